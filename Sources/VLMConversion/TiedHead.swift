import VLMCheckpoint
import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// A language model whose description says that its head is its table of embeddings, while the file
/// has a head of its own: training of the head, or a merge of adapters, leaves this.
enum TiedHead {
  private static let key = "tie_word_embeddings"
  /// Elements compared at a time.
  private static let piece = 1 << 20

  /// The description with the file's head in force where that is another than the table, as
  /// transformers 5 has it.
  ///
  /// - Parameter notes: what a person should know is added.
  static func resolve(
    _ description: JSONValue?, _ catalog: TensorCatalog, notes: inout [Note]
  ) throws(CheckpointError) -> JSONValue? {
    guard var object = description?.objectValue, isTied(description),
      let head = only("lm_head.weight", catalog), let table = only("embed_tokens.weight", catalog),
      try !areEqual(head, table)
    else { return description }
    object.set(key, false)
    if var text = object["text_config"]?.objectValue {
      text.set(key, false)
      object.set("text_config", .object(text))
    }
    notes.append(
      "config.json says \(key), but '\(head.name.escapedForDisplay())' is not the table of "
        + "embeddings: the file's head is kept, as transformers 5 does")
    return .object(object)
  }

  private static func isTied(_ description: JSONValue?) -> Bool {
    [description, description?["text_config"]].contains { $0?[key]?.boolValue == true }
  }

  private static func only(_ name: String, _ catalog: TensorCatalog) -> CheckpointTensor? {
    let found = catalog.tensors.filter { $0.name == name || $0.name.hasSuffix("." + name) }
    return found.count == 1 ? found[0] : nil
  }

  /// Whether both hold the same bytes; the first difference ends the comparison.
  private static func areEqual(
    _ a: CheckpointTensor, _ b: CheckpointTensor
  ) throws(CheckpointError) -> Bool {
    guard a.shape == b.shape, a.dtype == b.dtype else { return false }
    guard a.blocks == nil, b.blocks == nil, a.dtype.bitCount % 8 == 0 else { return false }
    for first in stride(from: 0, to: a.elementCount, by: piece) {
      let elements = first..<min(first + piece, a.elementCount)
      let isEqual = a.withBytes(ofElements: elements) { a in
        b.withBytes(ofElements: elements) { b in
          guard let left = a.baseAddress, let right = b.baseAddress else {
            return a.count == b.count
          }
          return a.count == b.count && memcmp(left, right, a.count) == 0
        }
      }
      guard isEqual else { return false }
    }
    return true
  }
}
