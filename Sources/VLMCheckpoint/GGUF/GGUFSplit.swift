import VLMFoundation

/// Finds the parts of a split model: `NAME-00001-of-00003.gguf` and so on. Their metadata must
/// agree about their number.
enum GGUFSplit {
  private static let countKey = "split.count"
  private static let numberKey = "split.no"
  private static let tensorsKey = "split.tensors.count"
  /// Maximum number of parts. Each file stays open.
  static let maximumParts = 512

  /// All parts of the model that `part` belongs to, in order; only `part` if the model is not
  /// split.
  static func parts(of part: GGUFPart) throws(CheckpointError) -> [GGUFPart] {
    guard let value = part.metadata[countKey] else { return [part] }
    guard let count = value.intValue, (0...maximumParts).contains(count) else {
      throw failure(part, countKey, value, "a number up to \(maximumParts)")
    }
    guard count > 1 else { return [part] }
    guard let name = Name(part.file.path), name.count == count else {
      throw CheckpointError(path: part.file.path, problem: .gguf(.splitName(count: count)))
    }
    var parts: [GGUFPart] = []
    for number in 0..<count {
      let sibling =
        number + 1 == name.number ? part : try open(name.path(number: number + 1))
      guard sibling.metadata[countKey]?.intValue == count else {
        throw failure(sibling, countKey, sibling.metadata[countKey], "\(count)")
      }
      guard sibling.metadata[numberKey]?.intValue == number else {
        throw failure(sibling, numberKey, sibling.metadata[numberKey], "\(number)")
      }
      parts.append(sibling)
    }
    let total = parts.reduce(0) { $0 + $1.tensors.count }
    if let stated = parts[0].metadata[tensorsKey], stated.intValue != total {
      throw failure(parts[0], tensorsKey, stated, "\(total), the tensors of all parts")
    }
    return parts
  }

  private static func open(_ path: String) throws(CheckpointError) -> GGUFPart {
    let file = try MappedFile.ofCheckpoint(path: path)
    guard GGUFFile.matches(file) else {
      let kind = FileKind.sniff(file) ?? FileKind("no GGUF file, though one by its name")
      throw CheckpointError(path: path, problem: file.count == 0 ? .empty : .otherKind(kind))
    }
    return try GGUFPart(file)
  }

  private static func failure(
    _ part: GGUFPart, _ key: String, _ value: GGUFValue?, _ expected: String
  ) -> CheckpointError {
    CheckpointError(
      path: part.file.path,
      problem: .gguf(
        .splitField(key: key, found: value?.text ?? "missing", expected: expected)))
  }

  /// A path of the form `NAME-00001-of-00003.gguf`.
  struct Name {
    let stem: String
    let number: Int
    let count: Int

    init?(_ path: String) {
      let ending = "-00001-of-00003.gguf".utf8.count
      let bytes = Array(path.utf8)
      guard bytes.count > ending else { return nil }
      let tail = bytes[(bytes.count - ending)...]
      let parts = String(decoding: tail.dropFirst().dropLast(5), as: UTF8.self)
        .split(separator: "-", omittingEmptySubsequences: false)
      guard tail.first == UInt8(ascii: "-"), path.hasSuffix(".gguf"), parts.count == 3,
        parts[1] == "of", parts[0].utf8.count == 5, parts[2].utf8.count == 5,
        let number = Self.number(parts[0]), let count = Self.number(parts[2]),
        (1...max(1, count)).contains(number)
      else { return nil }
      stem = String(decoding: bytes.dropLast(ending), as: UTF8.self)
      self.number = number
      self.count = count
    }

    private static func number(_ digits: Substring) -> Int? {
      digits.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        ? Int(digits) : nil
    }

    func path(number: Int) -> String {
      "\(stem)-\(Self.padded(number))-of-\(Self.padded(count)).gguf"
    }

    private static func padded(_ number: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
  }
}
