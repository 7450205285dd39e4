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

  /// What `merges` says.
  private static func pairs() -> [(left: UInt32, right: UInt32)] {
    let bytes = merges.base64Bytes()
    return stride(from: 0, to: bytes.count - 3, by: 4).map { at in
      let words = bytes[at..<at + 4].map { UInt32($0) }
      return (words[0] << 8 | words[1], words[2] << 8 | words[3])
    }
  }
}
