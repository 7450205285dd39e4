/// Why a text is not the JSON that was expected, and the byte where that shows.
///
/// The file's name is the caller's to add: wrap this in the module's own error.
package struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Problem: Sendable, Equatable {
    case tooLarge(bytes: Int, limit: Int)
    case tooDeep(limit: Int)
    case tooManyValues(limit: Int)
    /// That of UTF-8, where there must be none.
    case byteOrderMark
    /// The text is in this encoding, which is not UTF-8.
    case encoding(String)
    /// The text ended where `expected` had to follow.
    case truncated(expected: String)
    case unexpected(byte: UInt8, expected: String)
    /// A value that Python and JavaScript write, and JSON has not.
    case notOfJSON(String)
    case controlCharacter(UInt8)
    case invalidUTF8
    case invalidEscape
    case loneSurrogate(UInt16)
    case invalidNumber
    case numberOutOfRange(String)
    case duplicateKey(String)
    case trailingBytes
  }

  /// Byte offset in the text.
  package let offset: Int
  package let problem: Problem

  package init(offset: Int, problem: Problem) {
    self.offset = offset
    self.problem = problem
  }

  package var description: String { "invalid JSON at byte \(offset): \(text)" }

  private var text: String {
    switch problem {
    case .tooLarge(let bytes, let limit): "\(bytes) bytes of text, expected at most \(limit)"
    case .tooDeep(let limit): "nested more than \(limit) deep"
    case .tooManyValues(let limit): "more than \(limit) values"
    case .byteOrderMark: "the text starts with a UTF-8 byte order mark, expected none"
    case .encoding(let name): "the text is in \(name), expected UTF-8; save it as that"
    case .truncated(let expected): "the text ends here, expected \(expected)"
    case .unexpected(let byte, let expected):
      "found \(Self.show(byte)), expected \(expected)"
        + ([UInt8(ascii: "/"), UInt8(ascii: "#")].contains(byte) ? "; JSON has no comments" : "")
    case .notOfJSON(let word):
      "found '\(word)', which JSON has not, expected a number, null, true or false"
    case .controlCharacter(let byte): "unescaped control character \(Self.show(byte)) in a string"
    case .invalidUTF8: "the bytes are not valid UTF-8"
    case .invalidEscape: "invalid escape in a string"
    case .loneSurrogate(let unit): "lone surrogate \\u\(String(unit, radix: 16)) in a string"
    case .invalidNumber: "malformed number"
    case .numberOutOfRange(let literal):
      "number '\(literal.escapedForDisplay(limit: 40))' is out of range"
    case .duplicateKey(let key): "duplicate key '\(key.escapedForDisplay(limit: 80))'"
    case .trailingBytes: "found more text after the value, expected its end"
    }
  }

  private static func show(_ byte: UInt8) -> String {
    byte > 0x20 && byte < 0x7f
      ? "'\(Character(Unicode.Scalar(byte)))'"
      : "byte 0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
  }
}
