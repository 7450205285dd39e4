import VLMFoundation
import VLMText

/// Files of text that options name.
enum OptionFile {
  /// The text of a file, without a byte order mark.
  ///
  /// - Parameter limit: bytes that it may have.
  /// - Throws: `FileError` for a file that cannot be read; `TextError` for one that is larger, or no
  ///   UTF-8.
  static func text(of path: String, limit: Int) throws -> String {
    let file = try MappedFile(path: path)
    guard file.count <= limit else {
      throw TextError(
        file: path, place: "size",
        .value(found: "\(file.count) bytes", expected: "at most \(limit)"))
    }
    if file.count > 0, let found = FileKind.standIn(file) {
      throw TextError(
        file: path, place: "text",
        .value(found: found.name, expected: "the file itself" + found.end))
    }
    var bytes = file.withBytes(0..<file.count) { Array($0) }
    ForeignEncoding.dropMark(of: &bytes)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      let found = bytes.withUnsafeBytes { ForeignEncoding.name(of: $0) } ?? "other bytes"
      throw TextError(file: path, place: "text", .value(found: found, expected: "UTF-8"))
    }
    return text
  }
}
