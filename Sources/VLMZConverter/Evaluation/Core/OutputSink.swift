import VLMFoundation
import VLMModels
import VLMTensor

/// Takes what a model makes of items, one after the other.
protocol OutputSink: AnyObject {
  /// Whether an item is to be run.
  func wants(_ item: EvaluationItems.Item) -> Bool

  /// An item that the model cannot be shown: a damaged picture, or a sequence with one.
  func skip(_ item: EvaluationItems.Item, _ error: any ReportableError)

  /// What an image model makes of a picture.
  func take(picture index: Int, _ output: ImageVector) throws

  /// The embedding of a caption, of length 1.
  func take(caption index: Int, _ embedding: [Float]) throws

  /// What the language model sees of picture number `picture` of a sequence.
  func take(visualTokens: VisualTokens, picture: Int, ofSequence index: Int) throws

  /// The logits that tokens of a sequence are predicted by.
  ///
  /// - Parameters:
  ///   - logits: `[tokens, vocabulary]`, valid during the call.
  ///   - first: number of the first of them, from 0 for the first that counts.
  func take(logits: MatrixView, first: Int, ofSequence index: Int) throws
}
