/// Prompts with pictures in them.
package enum ImagePrompt {
  /// Marks a picture in text.
  package static let marker = "<image>"
  /// Stands for a picture among ids; `Splice` puts visual tokens there.
  package static let sentinel = -200

  /// The ids of a prompt, a sentinel for each `<image>`.
  ///
  /// As the reference does it: the text between pictures is encoded piece by piece, each as if it
  /// began a text, and only the first keeps its BOS.
  ///
  /// - Parameter bos: whether BOS comes first; nil for what the tokenizer's own file says.
  /// - Throws: as `Tokenizer.encode`.
  package static func ids(
    _ prompt: String, _ tokenizer: Tokenizer, bos: Bool? = nil
  ) throws(TextError) -> [Int] {
    var ids: [Int] = []
    for (index, chunk) in chunks(prompt).enumerated() {
      if index > 0 { ids.append(sentinel) }
      ids += try tokenizer.encode(chunk, bos: index == 0 ? bos : false, eos: false)
    }
    return ids
  }

  /// How many pictures a text names.
  package static func count(_ text: String) -> Int { chunks(text).count - 1 }

  /// The text between the markers.
  static func chunks(_ text: String) -> [String] {
    let (bytes, mark) = (Array(text.utf8), Array(marker.utf8))
    var chunks: [String] = []
    var start = 0
    var at = 0
    while at < bytes.count {
      if bytes[at] == mark[0], bytes[at...].starts(with: mark) {
        chunks.append(String(decoding: bytes[start..<at], as: UTF8.self))
        at += mark.count
        start = at
      } else {
        at += 1
      }
    }
    chunks.append(String(decoding: bytes[start...], as: UTF8.self))
    return chunks
  }
}
