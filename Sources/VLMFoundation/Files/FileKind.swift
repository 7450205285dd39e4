/// What a file that is not of the expected format might be, by its first bytes; to name it in a
/// message.
package struct FileKind: Sendable, Equatable {
  /// "a PNG image" and the like.
  package let name: String
  /// What gets one from it to a file that is read; nil where the name says enough.
  package let step: String?
  /// Whether it stands where a file was not fetched: a pointer, a page, a server's answer.
  package let isStandIn: Bool

  package init(_ name: String, step: String? = nil, isStandIn: Bool = false) {
    (self.name, self.step, self.isStandIn) = (name, step, isStandIn)
  }

  /// "a PNG image, expected a .vlmz container", with the next step behind it.
  package func instead(of expected: String) -> String {
    "\(name), expected \(expected)" + end
  }

  /// The next step as the end of a message; empty where there is none.
  package var end: String { step.map { "; \($0)" } ?? "" }

  /// The next step for files that were made of a model, and hold it in a form of their own.
  package static let madeOfModel = "convert the model that it was made from"
  /// The same for arrays that only the model's own program puts in their places.
  package static let loadAndSave = "load it into the model in PyTorch and save its state_dict()"
  package static let fetchAgain = "download it again"

  package static let json = FileKind("a JSON text")
  package static let page = FileKind("an HTML page", step: fetchAgain, isStandIn: true)

  // MARK: - Recognition

  /// Bytes that are looked at.
  package static let headBytes = 512

  /// Nil when nothing is recognised.
  ///
  /// - Parameter count: bytes of the whole file, where these are its beginning.
  package static func sniff(_ bytes: UnsafeRawBufferPointer, of count: Int? = nil) -> FileKind? {
    if let known = signatures.first(where: { bytes.starts(with: $0.bytes) }) { return known.kind }
    if bytes.count > 262, bytes[257..<262].elementsEqual("ustar".utf8) { return archive("a tar") }
    if bytes.count >= 2, bytes[0] == 0x80, (2...5).contains(bytes[1]) {
      return FileKind("a Python pickle (a PyTorch checkpoint?)")
    }
    if bytes.count > 64, bytes.prefix(headBytes).allSatisfy({ $0 == 0 }) {
      // Downloads that allocate the file first leave zeros.
      return FileKind(
        "zeros, as a download leaves them that has not ended", step: fetchAgain, isStandIn: true)
    }
    return sniffMessages(bytes) ?? sniffText(bytes, isWhole: (count ?? bytes.count) <= bytes.count)
  }

  /// Bytes that a pointer has at most; a text that only begins like one is longer.
  private static let pointerBytes = 1024

  /// What stands where a text should be because it was not fetched; nil for everything else.
  ///
  /// - Parameter count: bytes of the whole file, where these are its beginning.
  package static func standIn(_ bytes: UnsafeRawBufferPointer, of count: Int? = nil) -> FileKind? {
    if bytes.isEmpty { return FileKind("an empty file", step: fetchAgain, isStandIn: true) }
    guard let kind = sniff(bytes, of: count), kind.isStandIn else { return nil }
    let isPointer = pointers.contains { $0.kind == kind }
    return isPointer && (count ?? bytes.count) > pointerBytes ? nil : kind
  }

  /// The same of a file.
  package static func standIn(_ file: MappedFile) -> FileKind? {
    file.withBytes(0..<min(file.count, headBytes)) { standIn($0, of: file.count) }
  }

  /// What a file might be; nil when nothing is recognised.
  package static func sniff(_ file: MappedFile) -> FileKind? {
    file.withBytes(0..<min(file.count, headBytes)) { sniff($0, of: file.count) }
  }

  /// Formats that begin with their first field.
  private static func sniffMessages(_ bytes: UnsafeRawBufferPointer) -> FileKind? {
    guard bytes.count >= 8 else { return nil }
    if bytes[4..<8].elementsEqual("TFL3".utf8) {
      return FileKind("a TensorFlow Lite model", step: madeOfModel)
    }
    if bytes[4..<6].elementsEqual("ET".utf8),
      bytes[6..<8].allSatisfy({ (0x30...0x39).contains($0) })
    {
      return FileKind("an ExecuTorch program", step: madeOfModel)
    }
    if let kind = sniffProtocolBuffer(bytes) { return kind }
    // A map whose first key is a string.
    let second = (0x81...0x8f).contains(bytes[0]) ? 1 : bytes[0] == 0xde ? 3 : 0
    if second > 0, (0xa1...0xbf).contains(bytes[second]) || bytes[second] == 0xd9 {
      return FileKind(
        "a MessagePack file (a Flax checkpoint?)",
        step: "from_pretrained of transformers 4 with from_flax=True, then save_pretrained, makes "
          + "one of its checkpoints")
    }
    return nil
  }

  /// Messages whose first field is the number of a version, and whose second one tells them apart.
  private static func sniffProtocolBuffer(_ bytes: UnsafeRawBufferPointer) -> FileKind? {
    guard bytes[0] == 0x08, (1...20).contains(bytes[1]) else { return nil }
    let onnx = FileKind("an ONNX model", step: madeOfModel)
    switch bytes[2] {
    case 0x12:
      // A length, which may have two bytes, then a message in Core ML's, and in ONNX's the name of
      // the program that wrote it.
      let content = bytes[3] < 0x80 ? bytes[4] : bytes[5]
      return content >= 0x20 && content < 0x7f
        ? onnx : FileKind("a Core ML model", step: madeOfModel)
    // The version of the producer, the graph, or the sets of operators.
    case 0x1a, 0x3a, 0x42: return bytes[1] >= 3 ? onnx : nil
    default: return nil
    }
  }

  private static func sniffText(_ bytes: UnsafeRawBufferPointer, isWhole: Bool) -> FileKind? {
    let start = bytes.prefix(256).drop { [0x20, 0x09, 0x0a, 0x0d].contains($0) }
    let lower = start.prefix(64).map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }
    if lower.starts(with: "<!doctype html".utf8) { return page }
    if lower.starts(with: "<html".utf8) {
      // A list of tags has no more than the first of these.
      let text = String(decoding: bytes.prefix(headBytes), as: UTF8.self).lowercased()
      if ["<head", "<body", "<title", "<meta", "<script", "</html"].contains(where: text.contains) {
        return page
      }
    }
    if lower.starts(with: "<?xml".utf8) || lower.starts(with: "<net ".utf8) {
      let text = String(decoding: bytes.prefix(headBytes), as: UTF8.self)
      return text.contains("<net ")
        ? FileKind("an OpenVINO model", step: madeOfModel) : FileKind("an XML text")
    }
    if let answer = sniffAnswer(bytes, isWhole: isWhole) { return answer }
    if let first = start.first, first == UInt8(ascii: "{"),
      start.dropFirst().first.map({
        [0x22, 0x20, 0x0a, 0x0d, 0x09, 0x7d].contains($0)
      }) ?? true
    {
      return json
    }
    return nil
  }

  /// What a server answered instead of the file, or any other text, with its beginning.
  private static func sniffAnswer(
    _ bytes: UnsafeRawBufferPointer, isWhole: Bool
  ) -> FileKind? {
    guard bytes.count >= 3, bytes.prefix(256).allSatisfy(isPlain) else { return nil }
    let whole = String(decoding: bytes.prefix(headBytes), as: UTF8.self)
    let lines = whole.split(whereSeparator: \.isNewline).filter { !$0.allSatisfy(\.isWhitespace) }
    guard let line = lines.first else { return nil }
    let text = "the text \"\(String(line).escapedForDisplay(limit: 60))\""
    let isJSON = line.first { !$0.isWhitespace } == "{"
    // A long text may begin with anything.
    let isAnswer = isWhole && (isJSON ? isError(whole) : lines.count == 1 && isRefusal(line))
    guard isAnswer else { return isJSON ? nil : FileKind(text) }
    return FileKind(
      text + ", a server's answer instead of the file",
      step: fetchAgain + " (hf auth login first where the model asks for permission)",
      isStandIn: true)
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    (0x20...0x7e).contains(byte) || [0x09, 0x0a, 0x0d].contains(byte)
  }

  /// An object that says what went wrong, and nothing else.
  private static func isError(_ text: String) -> Bool {
    guard let object = (try? JSONValue.parse(Array(text.utf8)))?.objectValue else { return false }
    let keys = object.members.map { $0.key.lowercased() }
    guard keys.first == "error", keys.allSatisfy(keysOfErrors.contains) else { return false }
    switch object.members.first?.value {
    case .string(let words): return !words.isEmpty
    case .object: return true
    default: return false
    }
  }

  private static let keysOfErrors: Set<String> = [
    "error", "message", "status", "statuscode", "status_code", "code", "detail", "details",
    "reason", "path", "url", "timestamp", "request_id",
  ]

  /// What hubs and servers answer, perhaps behind a number: the whole of it, or how it begins.
  private static func isRefusal(_ line: Substring) -> Bool {
    let words = line.lowercased().drop { $0.isNumber || $0.isWhitespace || $0 == ":" }
    var bare = words
    while let last = bare.last, last.isWhitespace || last == "." { bare.removeLast() }
    return wholeRefusals.contains(String(bare)) || refusals.contains { words.hasPrefix($0) }
  }

  private static let wholeRefusals: Set<String> = [
    "not found", "unauthorized", "forbidden", "access denied", "bad gateway", "bad request",
    "too many requests", "internal server error", "service unavailable",
  ]

  private static let refusals = [
    "entry not found", "repository not found", "invalid username or password",
    "invalid credentials", "invalid token", "access to model ", "moved permanently. redirecting",
    "temporary redirect. redirecting", "found. redirecting", "<error>",
  ]

  private static func archive(_ kind: String) -> FileKind {
    FileKind("\(kind) archive", step: "unpack it first")
  }

  // MARK: - Signatures

  private struct Signature: Sendable {
    let bytes: [UInt8]
    let kind: FileKind

    init(_ bytes: [UInt8], _ kind: FileKind) { (self.bytes, self.kind) = (bytes, kind) }

    init(_ bytes: [UInt8], _ name: String) { self.init(bytes, FileKind(name)) }

    init(_ text: String, _ name: String, step: String? = nil, isStandIn: Bool = false) {
      self.init(Array(text.utf8), FileKind(name, step: step, isStandIn: isStandIn))
    }
  }

  private static let signatures: [Signature] = pointers + ours + archives + models + others

  private static let pointers: [Signature] = [
    Signature(
      "version https://git-lfs", "a Git LFS pointer",
      step: "fetch the file itself first: git lfs pull",
      isStandIn: true),
    Signature(
      "# xet version", "a Xet pointer", step: "fetch the file itself first: hf download",
      isStandIn: true),
  ]

  private static let ours: [Signature] = [
    Signature([0x89, 0x56, 0x4c, 0x4d, 0x5a], "a .vlmz container"),
    Signature(
      [0x89, 0x56, 0x4c, 0x4d, 0x44],
      FileKind(
        "a .vlmzd delta",
        step: "'vlm-convert apply' makes a model out of it and its base ('vlm-convert inspect' "
          + "shows which)")),
    Signature(
      [0x89, 0x56, 0x4c, 0x5a, 0x50],
      FileKind("a packed .vlmzp", step: "unpack it first: vlm-convert unpack")),
  ]

  private static let archives: [Signature] = [
    Signature("PK\u{3}\u{4}", "a zip archive (a PyTorch checkpoint?)"),
    Signature("PK\u{5}\u{6}", "an empty zip archive"),
    Signature([0x1f, 0x8b], archive("a gzip")),
    Signature("BZh".utf8.map { $0 }, archive("a bzip2")),
    Signature([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], archive("an xz")),
    Signature([0x28, 0xb5, 0x2f, 0xfd], archive("a Zstandard")),
    Signature("7z\u{bc}\u{af}".unicodeScalars.map { UInt8($0.value) }, archive("a 7-Zip")),
    Signature("Rar!\u{1a}\u{7}".utf8.map { $0 }, archive("a RAR")),
  ]

  private static let ggml =
    "download the model as GGUF or safetensors, or make a GGUF of a LLaMA's with llama.cpp's "
    + "convert_llama_ggml_to_gguf.py"

  private static let models: [Signature] = [
    Signature("GGUF", "a GGUF file"),
    Signature("lmgg", "a GGML file, as llama.cpp had before GGUF", step: ggml),
    Signature("fmgg", "a GGMF file, as llama.cpp had before GGUF", step: ggml),
    Signature("tjgg", "a GGJT file, as llama.cpp had before GGUF", step: ggml),
    Signature(
      "algg", "an adapter of llama.cpp (GGLA)",
      step: "merge the adapter that it was made from into its model (merge_and_unload of peft)"),
    Signature([0x89, 0x48, 0x44, 0x46], FileKind("an HDF5 file", step: hdf5)),
    Signature(
      [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59], FileKind("a NumPy array", step: loadAndSave)),
    Signature("ftrt", "a TensorRT engine", step: madeOfModel),
    Signature("ptrt", "a TensorRT engine", step: madeOfModel),
    Signature("MZqFpD", "a llamafile", step: "unzip takes the GGUF out of it"),
    Signature("7767517\n", "an ncnn model", step: madeOfModel),
    Signature("RKNN", "an RKNN model", step: madeOfModel),
    Signature("program(1.", "a Core ML program", step: madeOfModel),
  ]

  private static let hdf5 =
    "of transformers' tf_model.h5 from_pretrained of transformers 4 with from_tf=True, then "
    + "save_pretrained, makes one; of others convert the model in PyTorch"

  private static let others: [Signature] = [
    Signature([0x89, 0x50, 0x4e, 0x47], "a PNG image"),
    Signature([0xff, 0xd8, 0xff], "a JPEG image"),
    Signature("%PDF", "a PDF document"),
    Signature([0x7f, 0x45, 0x4c, 0x46], "an ELF program"),
    Signature("MZ\u{0}", "a Windows program"),
    Signature([0x4d, 0x5a, 0x90, 0], "a Windows program"),
    Signature("#!", "a script"),
  ]
}
