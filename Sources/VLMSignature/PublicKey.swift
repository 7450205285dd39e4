import CVLMSignature
import VLMFoundation

/// A public key of minisign's: an Ed25519 key and a number that tells it from others.
///
/// Its text is base64 of `Ed`, the number (8 bytes) and the key (32 bytes).
package struct PublicKey: Sendable, Hashable {
  /// The 8 bytes that signatures name the key by. Anybody can make a key with the same.
  package let number: [UInt8]
  /// The 32 bytes of the key.
  package let bytes: [UInt8]

  static let algorithm = Array("Ed".utf8)
  private static let byteCount = 42
  /// Base64 digits of `byteCount` bytes, which need no padding.
  private static let digitCount = 56

  init(number: [UInt8], bytes: [UInt8]) {
    self.number = number
    self.bytes = bytes
  }

  private init?(decoded: [UInt8]) {
    guard decoded.count == Self.byteCount, decoded.starts(with: Self.algorithm) else { return nil }
    self.init(number: Array(decoded[2..<10]), bytes: Array(decoded[10...]))
  }

  /// The key that a text says, as minisign prints it; nil for any other text.
  package init?(base64 text: String) {
    guard text.utf8.count == Self.digitCount, let bytes = Base64.decode(text) else { return nil }
    self.init(decoded: bytes)
  }

  /// The key in a file, as minisign writes it.
  package init(path: String) throws(SignatureError) {
    try self.init(KeyText(path: path, lines: 2))
  }

  /// The same of bytes.
  package init(path: String, bytes: [UInt8]) throws(SignatureError) {
    try self.init(KeyText(path: path, bytes: bytes, lines: 2))
  }

  private init(_ text: KeyText) throws(SignatureError) {
    guard let key = PublicKey(decoded: try text.bytes(1, count: Self.byteCount)) else {
      throw SignatureError(
        path: text.path,
        .line(2, found: "a key of another kind", expected: "an Ed25519 key of minisign's"))
    }
    self = key
  }

  /// A key as a caller names it: 56 characters of base64 that begin with `RW`, or else the name of
  /// its file. A file with such a name is meant by `./` before it.
  package init(_ argument: String) throws(SignatureError) {
    if let key = PublicKey(base64: argument) {
      self = key
      return
    }
    do throws(SignatureError) { try self.init(path: argument) } catch {
      // A key that lost a character would be a file that is not there.
      guard argument.hasPrefix("RW"), (40...80).contains(argument.utf8.count),
        argument.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "+/=".contains($0)) }),
        !FileSystem.exists(argument)
      else { throw error }
      throw SignatureError(
        path: argument,
        .line(
          nil, found: "\(argument.utf8.count) characters",
          expected: "the \(Self.digitCount) of a public key, or a file"))
    }
  }

  /// The number as minisign shows it.
  package var identifier: String { KeyText.identifier(number) }

  /// The text that `init(base64:)` reads.
  package var base64: String { Base64.encode(Self.algorithm + number + bytes) }

  /// The content of the key's file.
  package var fileContent: [UInt8] {
    Array("\(KeyText.untrustedPrefix)minisign public key \(identifier)\n\(base64)\n".utf8)
  }

  /// Whether `signature`, 64 bytes, is this key's of `message`.
  func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
    precondition(signature.count == 64 && bytes.count == 32, "sizes of Ed25519")
    return vlm_ed25519_verify(signature, message, message.count, bytes)
  }
}
