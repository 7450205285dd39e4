import CVLMTables
import VLMFoundation
import VLMImages
import VLMText

/// CLIP's vocabulary, which is the same for all models and not in their checkpoints: open_clip has it
/// in its code.
package enum CLIPVocabulary {
  /// Pieces. A text tower with another number of embeddings has another vocabulary.
  package static let count = 49_408

  /// - Parameter context: ids that the text tower takes.
  package static func tokenizer(context: Int) throws(TextError) -> Tokenizer {
    try Tokenizer(clipMerges: pairs(), context: context, file: "CLIP's vocabulary")
  }

  /// The list of merges, first rank first.
  private static func pairs() -> [(left: UInt32, right: UInt32)] {
    let ids = UnsafeBufferPointer(start: vlm_clip_merges(), count: 2 * Int(VLM_CLIP_MERGES))
    return stride(from: 0, to: ids.count, by: 2).map { (UInt32(ids[$0]), UInt32(ids[$0 + 1])) }
  }
}
