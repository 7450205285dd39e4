import VLMContainer
import VLMFoundation

extension SecretKey {
  /// Bytes of a trusted comment that minisign reads.
  private static let longestComment = 8000

  /// Signs all bytes of a container.
  ///
  /// The trusted comment is minisign's own, `timestamp:…`, `file:…` and `hashed` with tabs between,
  /// then `root:` with the root hash in hexadecimal, then `comment`.
  ///
  /// - Parameters:
  ///   - path: of the signature, for messages.
  ///   - time: seconds since 1970.
  ///   - comment: a text without control characters; nil or empty for none.
  ///   - progress: called with the bytes that were hashed.
  /// - Throws: `SignatureError`.
  package func sign(
    _ container: Container, path: String, time: Int, comment: String?,
    progress: ((Int) -> Void)? = nil
  ) throws(SignatureError) -> Signature {
    let name = container.path.splitAtLastSlash.name.escapedForDisplay()
    var fields = [
      "timestamp:\(time)", "file:\(name)", "hashed", "root:\(hexadecimal(container.rootHash))",
    ]
    if let comment, !comment.isEmpty { fields.append(try Self.field(comment, path: path)) }
    let trusted = fields.joined(separator: "\t")
    let digest = try BLAKE2b.digest(of: container.file, progress: progress)
    guard let signature = sign(digest),
      let commentSignature = sign(Signature.commentMessage(signature, trusted))
    else { throw SignatureError(path: path, .unavailable) }
    return Signature(
      path: path, number: publicKey.number, trustedComment: trusted, signature: signature,
      commentSignature: commentSignature)
  }

  /// A comment as the last field of the trusted one.
  private static func field(_ comment: String, path: String) throws(SignatureError) -> String {
    let text = comment.repairedText
    guard text.utf8.count <= longestComment else {
      throw SignatureError(
        path: path,
        .commentText(found: "\(text.utf8.count) bytes", expected: "at most \(longestComment)"))
    }
    guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
      throw SignatureError(
        path: path, .commentText(found: "control characters", expected: "one line of text"))
    }
    guard !text.hasPrefix("root:") else {
      throw SignatureError(
        path: path, .commentText(found: "'root:'", expected: "a text that does not begin so"))
    }
    return text
  }
}
