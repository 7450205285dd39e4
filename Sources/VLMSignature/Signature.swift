import VLMFoundation

/// A signature of a file as minisign writes it: Ed25519 of the file's BLAKE2b-512, and Ed25519 of
/// that signature with a comment. `formats/signature.md` says what it covers.
package struct Signature: Sendable, Equatable {
  /// The file that it was read from, for messages.
  package let path: String
  /// The number of the key that made it, as the file says.
  package let number: [UInt8]
  /// The comment that the signature covers.
  package let trustedComment: String
  /// Ed25519 of the digest, 64 bytes.
  let signature: [UInt8]
  /// Ed25519 of `signature` and the comment, 64 bytes.
  let commentSignature: [UInt8]

  static let trustedPrefix = "trusted comment: "
  /// Of the digest of the file.
  static let algorithm = Array("ED".utf8)
  /// Of the file itself, as old minisigns made by default.
  private static let legacyAlgorithm = Array("Ed".utf8)

  init(
    path: String, number: [UInt8], trustedComment: String, signature: [UInt8],
    commentSignature: [UInt8]
  ) {
    self.path = path
    self.number = number
    self.trustedComment = trustedComment
    self.signature = signature
    self.commentSignature = commentSignature
  }

  /// Where the signature of a file is looked for.
  package static func path(of file: String) -> String { file + suffix }
  package static let suffix = ".minisig"

  /// Reads a signature; checks its form only. What lies beside a model may be anything, so it has to
  /// be a regular file.
  package init(path: String) throws(SignatureError) {
    try self.init(KeyText(file: path, lines: 4))
  }

  /// The same of bytes.
  package init(path: String, bytes: [UInt8]) throws(SignatureError) {
    try self.init(KeyText(path: path, bytes: bytes, lines: 4))
  }

  private init(_ text: KeyText) throws(SignatureError) {
    let bytes = try text.bytes(1, count: 74)
    let algorithm = Array(bytes[..<2])
    guard algorithm == Self.algorithm else {
      throw SignatureError(
        path: text.path,
        algorithm == Self.legacyAlgorithm
          ? .legacy
          : .line(2, found: "a signature of another kind", expected: "one of minisign's"))
    }
    self.init(
      path: text.path, number: Array(bytes[2..<10]),
      trustedComment: try text.comment(2, Self.trustedPrefix), signature: Array(bytes[10...]),
      commentSignature: try text.bytes(3, count: 64))
  }

  /// The number as minisign shows it.
  package var identifier: String { KeyText.identifier(number) }

  /// The content of the signature's file.
  package var fileContent: [UInt8] {
    let lines = [
      "\(KeyText.untrustedPrefix)signature of a vlmz model, key \(identifier)",
      Base64.encode(Self.algorithm + number + signature),
      Self.trustedPrefix + trustedComment,
      Base64.encode(commentSignature),
    ]
    return lines.flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] }
  }

  /// What the comment's signature is of.
  static func commentMessage(_ signature: [UInt8], _ comment: String) -> [UInt8] {
    signature + Array(comment.utf8)
  }

  /// The root hashes that the comment states, in hexadecimal: none, or one for each field `root:`.
  package var statedRoots: [String] {
    trustedComment.split(separator: "\t").filter { $0.hasPrefix("root:") }
      .map { String($0.dropFirst("root:".count)) }
  }

  /// The key, one of `keys`, that made this signature, with the comment checked.
  ///
  /// - Throws: `.otherKey`, `.comment`.
  func author(among keys: [PublicKey]) throws(SignatureError) -> PublicKey {
    let known = keys.filter { $0.number == number }
    guard !known.isEmpty else {
      throw SignatureError(
        path: path, .otherKey(found: identifier, trusted: keys.map(\.identifier)))
    }
    let message = Self.commentMessage(signature, trustedComment)
    guard let key = known.first(where: { $0.verifies(commentSignature, of: message) }) else {
      throw SignatureError(path: path, .comment(key: identifier))
    }
    return key
  }
}
