/// What a file that is not of the expected format might be, by its first bytes; to name it in a
/// message.
package enum FileKind {
  /// "a PNG image" and the like; nil when nothing is recognised.
  package static func sniff(_ bytes: UnsafeRawBufferPointer) -> String? {
    if let kind = signatures.first(where: { bytes.starts(with: $0.bytes) })?.kind { return kind }
    if bytes.count > 262, bytes[257..<262].elementsEqual("ustar".utf8) {
      return "a tar archive; unpack it first"
    }
    if bytes.count >= 2, bytes[0] == 0x80, (2...5).contains(bytes[1]) {
      return "a Python pickle (a PyTorch checkpoint?)"
    }
    return sniffMessages(bytes) ?? sniffText(bytes)
  }

  /// What stands where a text should be because it was not fetched: a pointer, a page, a server's
  /// answer; nil for everything else.
  package static func standIn(_ bytes: UnsafeRawBufferPointer) -> String? {
    if let pointer = pointers.first(where: { bytes.starts(with: $0.bytes) }) { return pointer.kind }
    guard let kind = sniffText(bytes) else { return nil }
    return kind == page || kind.contains(answer) ? kind : nil
  }

  private static let page = "an HTML page"
  private static let answer = ", a server's answer instead of the file"

  /// Formats that begin with their first field.
  private static func sniffMessages(_ bytes: UnsafeRawBufferPointer) -> String? {
    guard bytes.count >= 8 else { return nil }
    if bytes[4..<8].elementsEqual("TFL3".utf8) { return "a TensorFlow Lite model" }
    if bytes[4..<6].elementsEqual("ET".utf8),
      bytes[6..<8].allSatisfy({ (0x30...0x39).contains($0) })
    {
      return "an ExecuTorch program"
    }
    // ir_version, then producer_name or graph.
    if bytes[0] == 0x08, (3...20).contains(bytes[1]), [0x12, 0x1a, 0x3a, 0x42].contains(bytes[2]) {
      return "an ONNX model"
    }
    // A map whose first key is a string.
    let second = (0x81...0x8f).contains(bytes[0]) ? 1 : bytes[0] == 0xde ? 3 : 0
    if second > 0, (0xa1...0xbf).contains(bytes[second]) || bytes[second] == 0xd9 {
      return "a MessagePack file (a Flax checkpoint?)"
    }
    return nil
  }

  private static func sniffText(_ bytes: UnsafeRawBufferPointer) -> String? {
    let start = bytes.prefix(256).drop { [0x20, 0x09, 0x0a, 0x0d].contains($0) }
    let lower = start.prefix(64).map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }
    if lower.starts(with: "<!doctype html".utf8) || lower.starts(with: "<html".utf8) {
      return page
    }
    if lower.starts(with: "<?xml".utf8) { return "an XML text" }
    if let answer = sniffAnswer(start) { return answer }
    if let first = start.first, first == UInt8(ascii: "{"),
      start.dropFirst().first.map({
        [0x22, 0x20, 0x0a, 0x0d, 0x09, 0x7d].contains($0)
      }) ?? true
    {
      return "a JSON text"
    }
    return nil
  }

  /// What a server answered instead of the file, or any other text, with its beginning.
  private static func sniffAnswer(_ start: Slice<UnsafeRawBufferPointer>) -> String? {
    guard start.count >= 3,
      start.allSatisfy({ (0x20...0x7e).contains($0) || [0x09, 0x0a, 0x0d].contains($0) }),
      let line = String(decoding: start, as: UTF8.self).split(whereSeparator: \.isNewline).first
    else { return nil }
    let text = "the text \"\(String(line).escapedForDisplay(limit: 60))\""
    let lower = line.lowercased()
    let isJSON = start.first == UInt8(ascii: "{")
    let answers = [
      "entry not found", "not found", "invalid username", "invalid credentials", "repository not",
      "access to model", "access denied", "unauthorized", "forbidden", "invalid token",
      "moved permanently", "temporary redirect",
      "too many requests", "internal server error", "<error>",
    ]
    let isAnswer =
      isJSON ? lower.hasPrefix("{\"error") : answers.contains { lower.contains($0) }
    guard isAnswer else { return isJSON ? nil : text }
    return text + answer + "; download it again (hf auth login first "
      + "where the model asks for permission)"
  }

  private struct Signature: Sendable {
    let bytes: [UInt8]
    let kind: String

    init(_ bytes: [UInt8], _ kind: String) {
      self.bytes = bytes
      self.kind = kind
    }

    init(_ text: String, _ kind: String) { self.init(Array(text.utf8), kind) }
  }

  private static let pointers = [
    Signature(
      "version https://git-lfs", "a Git LFS pointer; fetch the file itself first: git lfs pull"),
    Signature("# xet version", "a Xet pointer; fetch the file itself first: hf download"),
  ]

  private static let signatures =
    pointers + [
      Signature([0x89, 0x56, 0x4c, 0x4d, 0x5a], "a .vlmz container"),
      Signature(
        [0x89, 0x56, 0x4c, 0x4d, 0x44],
        "a .vlmzd delta, from which 'vlm-convert apply' makes a model out of its base ('vlm-convert "
          + "inspect' shows which)"),
      Signature(
        [0x89, 0x56, 0x4c, 0x5a, 0x50], "a packed .vlmzp; unpack it first: vlm-convert unpack"),
      Signature("GGUF", "a GGUF file"),
      Signature("PK\u{3}\u{4}", "a zip archive (a PyTorch checkpoint?)"),
      Signature("PK\u{5}\u{6}", "an empty zip archive"),
      Signature([0x1f, 0x8b], "a gzip archive; unpack it first"),
      Signature("BZh", "a bzip2 archive; unpack it first"),
      Signature([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], "an xz archive; unpack it first"),
      Signature([0x28, 0xb5, 0x2f, 0xfd], "a Zstandard archive; unpack it first"),
      Signature(
        "7z\u{bc}\u{af}".unicodeScalars.map { UInt8($0.value) }, "a 7-Zip archive; unpack it first"),
      Signature("Rar!\u{1a}\u{7}", "a RAR archive; unpack it first"),
      Signature([0x89, 0x50, 0x4e, 0x47], "a PNG image"),
      Signature([0xff, 0xd8, 0xff], "a JPEG image"),
      Signature("%PDF", "a PDF document"),
      Signature([0x89, 0x48, 0x44, 0x46], "an HDF5 file"),
      Signature([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59], "a NumPy array"),
      Signature([0x7f, 0x45, 0x4c, 0x46], "an ELF program"),
      Signature("#!", "a script"),
      Signature("lmgg", "a GGML file"), Signature("tjgg", "a GGJT file"),
    ]
}
