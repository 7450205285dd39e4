import VLMFoundation

/// The lines of minisign's files: a comment that anybody may change, then base64.
struct KeyText {
  /// A file of keys or a signature is some hundred bytes; comments may be long.
  static let maximumByteCount = 64 << 10
  static let untrustedPrefix = "untrusted comment: "

  let path: String
  let lines: [String]

  /// Reads a regular file of `count` lines, each of which ends with LF or CR LF.
  init(file path: String, lines count: Int) throws(SignatureError) {
    let file: MappedFile
    do throws(FileError) { file = try MappedFile(path: path) } catch { throw SignatureError(error) }
    guard file.count <= Self.maximumByteCount else {
      throw SignatureError(path: path, .tooLong(limit: Self.maximumByteCount))
    }
    let bytes = file.withBytes(0..<file.count) { Array($0) }
    try self.init(path: path, bytes: bytes, lines: count)
  }

  /// The same of a file or a pipe that a person named; `-` is standard input.
  init(path: String, lines count: Int) throws(SignatureError) {
    let bytes: [UInt8]?
    // No output may take the place of a key.
    InputFiles.add(path: path)
    do throws(FileError) {
      bytes = try ByteStream(path: path).takeAll(limit: Self.maximumByteCount)
    } catch { throw SignatureError(error) }
    guard let bytes else {
      throw SignatureError(path: path, .tooLong(limit: Self.maximumByteCount))
    }
    try self.init(path: path, bytes: bytes, lines: count)
  }

  init(path: String, bytes: [UInt8], lines count: Int) throws(SignatureError) {
    self.path = path
    guard bytes.count <= Self.maximumByteCount else {
      throw SignatureError(path: path, .tooLong(limit: Self.maximumByteCount))
    }
    // With the end of the last line, so that no file cut short is taken for a whole one.
    let pieces = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    guard pieces.count == count + 1, pieces.last?.isEmpty == true else {
      let found = pieces.count - 1
      throw SignatureError(
        path: path,
        .line(
          nil, found: found == count ? "bytes behind line \(count)" : counted(found, "line"),
          expected: "\(count), each with its end"))
    }
    var lines: [String] = []
    for (index, piece) in pieces.dropLast().enumerated() {
      let piece = piece.last == UInt8(ascii: "\r") ? piece.dropLast() : piece
      guard piece.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == UInt8(ascii: "\t") }),
        let line = String(validating: piece, as: UTF8.self)
      else {
        throw SignatureError(
          path: path,
          .line(index + 1, found: "control characters or no UTF-8", expected: "a line of text"))
      }
      lines.append(line)
    }
    self.lines = lines
    _ = try comment(0, Self.untrustedPrefix)
  }

  /// What line `index` has behind a prefix.
  func comment(_ index: Int, _ prefix: String) throws(SignatureError) -> String {
    // By bytes: characters that combine with the last of the prefix change nothing.
    guard lines[index].utf8.starts(with: prefix.utf8) else {
      throw SignatureError(
        path: path,
        .line(
          index + 1, found: "'\(lines[index].escapedForDisplay(limit: 40))'",
          expected: "'\(prefix)…'"))
    }
    return String(decoding: lines[index].utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
  }

  /// The `count` bytes that line `index` says in base64.
  func bytes(_ index: Int, count: Int) throws(SignatureError) -> [UInt8] {
    guard let bytes = Base64.decode(lines[index]), bytes.count == count else {
      throw SignatureError(
        path: path,
        .line(
          index + 1, found: "\(lines[index].utf8.count) characters that are none",
          expected: "\(count) bytes in base64"))
    }
    return bytes
  }

  /// The number of a key as minisign writes it: 16 hexadecimal digits.
  static func identifier(_ bytes: [UInt8]) -> String {
    let digits = bytes.reversed().map { byte in
      let text = String(byte, radix: 16, uppercase: true)
      return text.count == 1 ? "0" + text : text
    }
    return digits.joined()
  }
}
