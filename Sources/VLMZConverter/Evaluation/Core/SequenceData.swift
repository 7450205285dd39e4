import VLMFoundation
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// Makes the sequences that language models are judged on, of texts and conversations.
struct SequenceData {
  private let path: String
  private let language: LanguageModel
  private let tokenizer: Tokenizer
  private let template: (any PromptTemplate)?

  /// Positions of a window of text.
  private static let window = 512
  /// Positions of the longest conversation.
  private static let longest = 2048

  /// - Throws: `GenerationError` for a model without a tokenizer; errors of its sections.
  init(_ model: Model, _ language: LanguageModel) throws {
    guard let tokenizer = language.tokenizer else {
      throw GenerationError(file: model.path, .noTokenizer)
    }
    (path, self.language, self.tokenizer) = (model.path, language, tokenizer)
    template = try TemplateChoice(model, language, arguments: JSONObject()).own().template
  }

  /// About `count` positions, of texts and of conversations as many, evenly chosen.
  ///
  /// - Parameter data: what the model reads; see `CalibrationData.readable`.
  /// - Returns: also what is said of conversations that are left out.
  /// - Throws: errors of the template and of the tokenizer.
  func sequences(
    _ data: CalibrationData, count: Int
  ) throws -> (sequences: [TokenSequence], leftOut: [CalibrationError]) {
    let context = min(language.layers.config.contextLength, Self.longest)
    let visual = language.usualVisualTokens
    let encoder = DialogueEncoder(
      tokenizer: tokenizer, template: template, seesPictures: language.pictures != nil)
    let (dialogues, leftOut) = try encoder.sequences(
      data.dialogues, context: context, visual: visual, path: path)
    let windows = try TextWindows.windows(
      of: data.texts, tokenizer, count: count, length: min(Self.window, context),
      bos: tokenizer.addsBOS ? tokenizer.bos : nil
    ).map { TokenSequence(windowOf: $0) }
    let kinds = [dialogues, windows].filter { !$0.isEmpty }
    let sequences = kinds.flatMap { kind -> [TokenSequence] in
      let total = kind.reduce(0) { $0 + $1.positions(visual: visual) }
      let limit = count / kinds.count
      return total > limit ? kind.evenly(max(1, (kind.count * limit + total - 1) / total)) : kind
    }
    return (sequences, leftOut)
  }
}

extension CalibrationData {
  /// What a language model reads of it: for one that sees pictures there is a question about each
  /// that comes without words; for another what is said about pictures makes no sense.
  func readable(bySighted isSighted: Bool) -> CalibrationData {
    var result = self
    result.pictures = []
    guard isSighted else {
      result.dialogues.removeAll { !$0.pictures.isEmpty }
      return result
    }
    result.dialogues += pictures.enumerated().map { number, picture in
      let question = OwnTexts.aboutPictures[number % OwnTexts.aboutPictures.count]
      let place = ImagePrompt.marker + ConversationTemplate.imageSeparator
      return Dialogue(turns: [.init(.user, place + question)], pictures: [picture])
    }
    return result
  }
}

extension LanguageModel {
  /// Visual tokens of a picture, about, where its size does not decide; 0 for a model that sees none.
  var usualVisualTokens: Int {
    guard let pictures else { return 0 }
    let side = preprocessing?.resolution ?? 336
    guard let grid = try? pictures.config.tower.grid(height: side, width: side) else { return 576 }
    // A photograph of 4:3 is an ordinary one.
    guard let layout = preprocessing?.layout(height: 3 * side, width: 4 * side),
      let plan = try? TileMergePlan(pictures.config.merge, layout, tile: grid)
    else { return max(1, grid.count) }
    return plan.count
  }
}
