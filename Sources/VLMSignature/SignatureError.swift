import VLMFoundation

/// Why a file is not trusted, or a key or signature cannot be used.
package struct SignatureError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    case file(FileError)

    // Of whom the file is

    /// There is no signature where it was looked for, and what helps.
    case notSigned(expected: String, Remedy)
    /// The signature is of a key that is not trusted; numbers of keys.
    case otherKey(found: String, trusted: [String])
    /// The signature is not of these bytes.
    case otherBytes(signature: String, key: String)
    /// The trusted comment is not the one that was signed, or the key is another with this number.
    case comment(key: String)
    /// The comment states another root hash than the file has.
    case root(found: String, expected: String)

    // Of the form of a key or signature

    case tooLong(limit: Int)
    /// A line, from 1; nil for the whole file.
    case line(Int?, found: String, expected: String)
    /// A text that begins as a public key does, is none, and names no file.
    case noKey(characters: Int)
    /// A secret key where a public one is expected.
    case secretKey
    /// A public key where a secret one is expected, and the file that has that, if it lies beside it.
    case publicKey(secret: String?)
    /// A signature of the file itself and not of its hash.
    case legacy
    /// A secret key whose parts do not belong together.
    case damagedKey
    /// The limits of a secret key's scrypt.
    case cost(operations: UInt64, memory: UInt64)
    /// The key has a password, and there was none or a wrong one.
    case passwordNeeded
    case wrongPassword
    /// A key that would be replaced.
    case keyExists
    /// What is to be a comment is none.
    case commentText(found: String, expected: String)

    // Of the machine

    /// Memory for scrypt, bytes.
    case memory(UInt64)
    /// libsodium cannot be used.
    case unavailable
  }

  package let path: String
  package let problem: Problem

  package init(path: String, _ problem: Problem) {
    self.path = path
    self.problem = problem
  }

  init(_ error: FileError) { self.init(path: error.path, .file(error)) }

  /// Whether the file is simply none that a trusted key signed.
  package var isDistrust: Bool {
    switch problem {
    case .notSigned, .otherKey, .otherBytes, .comment, .root: true
    default: false
    }
  }

  package var exitStatus: ExitStatus {
    switch problem {
    case .file(let error): error.exitStatus
    case .notSigned, .otherKey, .otherBytes, .comment, .root, .passwordNeeded, .wrongPassword:
      .noPermission
    case .tooLong, .line, .secretKey, .publicKey, .legacy, .damagedKey, .cost: .badData
    case .noKey: .noInput
    case .commentText: .usage
    case .keyExists: .cannotCreate
    case .memory: .osError
    case .unavailable: .unsupported
    }
  }

  package func description(in words: Wording) -> String {
    if case .file(let error) = problem { return error.description(in: words) }
    return "\(path.escapedForDisplay()): " + text(words)
  }

  private func text(_ words: Wording) -> String {
    switch problem {
    case .file(let error): error.description(in: words)
    case .notSigned(let expected, let remedy):
      "is not signed: there is no '\(expected.escapedForDisplay())', expected the file's signature "
        + "there" + words.end(remedy)
    case .otherKey(let found, let trusted):
      "signature by key \(found), expected \(trusted.count == 1 ? "" : "one of ")"
        + trusted.prefix(8).joined(separator: ", ")
        + "; give its public key too if you trust its owner"
    case .otherBytes(let signature, let key):
      "is not the file that key \(key) signed in '\(signature.escapedForDisplay())'; get both anew "
        + "from whoever signed it"
    case .comment(let key):
      "the trusted comment is not the one that key \(key) signed; get the signature anew"
    case .root(let found, let expected):
      "trusted comment: root hash \(found.escapedForDisplay(limit: 64)), expected \(expected)"
    case .tooLong(let limit): "found more than \(limit) bytes, expected a key or signature"
    case .line(let line, let found, let expected):
      (line.map { "line \($0): " } ?? "") + "found \(found), expected \(expected)"
    case .noKey(let characters):
      "found \(counted(characters, "character")), neither a public key "
        + "(\(PublicKey.digitCount) characters of base64) nor a file"
    case .secretKey:
      "is a secret key, expected the public one, minisign's or vlm-convert's .pub beside it; keep the "
        + "secret one where models are signed"
    case .publicKey(let secret):
      "is a public key, which checks signatures; expected the secret one that makes them"
        + (secret.map { ": \($0.escapedForDisplay())" } ?? ", made with it: its .key, or minisign's")
    case .legacy:
      "found a signature of the file itself, expected one of its hash; sign again with minisign 0.11 "
        + "or later, or with its -H"
    case .damagedKey: "the secret key is damaged: its parts do not belong together"
    case .cost(let operations, let memory):
      "password: found limits of \(operations) operations and \(memory) bytes, expected those of "
        + "minisign or less"
    case .passwordNeeded: "the key has a password" + words.end(.password)
    case .wrongPassword: "wrong password"
    case .keyExists:
      "already exists, and nothing replaces a key; give another name, or move it away"
    case .commentText(let found, let expected): "comment: found \(found), expected \(expected)"
    case .memory(let bytes): "the password needs \(bytes >> 20) MiB of memory for a moment"
    case .unavailable: "libsodium cannot be used on this machine"
    }
  }
}
