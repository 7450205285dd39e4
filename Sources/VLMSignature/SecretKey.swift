import CVLMSignature
import VLMFoundation

/// A secret key of minisign's, open: it signs. Its bytes are overwritten when it goes.
///
/// A file of one holds, in base64, 158 bytes: `Ed`, how it is protected (`Sc` for scrypt, two zeros
/// for nothing), `B2`, a salt (32), two limits of scrypt (8 each, little-endian), and 104 bytes: the
/// key's number (8), the secret key (64) and BLAKE2b-256 of `Ed`, number and key; XOR scrypt's output.
package final class SecretKey {
  package let publicKey: PublicKey
  /// Seed and public key.
  private var secret: [UInt8]

  private static let byteCount = 158
  /// Base64 digits of `byteCount` bytes, with their padding.
  static let digitCount = 212
  private static let bodyByteCount = 104
  private static let scrypt = Array("Sc".utf8)
  private static let unprotected: [UInt8] = [0, 0]
  private static let checksumAlgorithm = Array("B2".utf8)

  /// What a password costs: libsodium's limits of scrypt.
  package struct Cost: Sendable, Equatable {
    package var operations: UInt64
    /// Bytes.
    package var memory: UInt64

    package init(operations: UInt64, memory: UInt64) {
      self.operations = operations
      self.memory = memory
    }

    /// What minisign takes, and the most that a file may ask for: a GiB, and some seconds.
    package static let sensitive = Cost(operations: 1 << 25, memory: 1 << 30)
  }

  /// - Parameter body: number, secret key and checksum.
  /// - Returns: nil where they do not belong together.
  private init?(body: [UInt8], requiresChecksum: Bool) {
    let (number, secret, checksum) = (
      Array(body[..<8]), Array(body[8..<72]), Array(body[72...])
    )
    // minisign leaves the checksum of a key without password zero.
    let isBlank = !requiresChecksum && checksum.allSatisfy { $0 == 0 }
    guard isBlank || Self.checksum(number, secret) == checksum, vlm_ed25519_is_pair(secret) else {
      return nil
    }
    publicKey = PublicKey(number: number, bytes: Array(secret[32...]))
    self.secret = secret
  }

  /// A new key.
  ///
  /// - Returns: nil where libsodium cannot be used.
  package init?() {
    var (number, key, secret) = (
      [UInt8](repeating: 0, count: 8), [UInt8](repeating: 0, count: 32),
      [UInt8](repeating: 0, count: 64)
    )
    guard vlm_random(&number, number.count), vlm_ed25519_make(&key, &secret) else { return nil }
    publicKey = PublicKey(number: number, bytes: key)
    self.secret = secret
  }

  deinit { Self.wipe(&secret) }

  /// Whether a file has the form of a secret key, by its length.
  static func isSecret(_ text: KeyText) -> Bool {
    text.lines[1].utf8.count == digitCount && text.lines[1].hasPrefix("RW")
  }

  /// Reads a key.
  ///
  /// - Parameter password: asked for if the key has one; nil where nobody knows it.
  /// - Throws: `SignatureError`; whatever `password` throws.
  package static func read(
    path: String, password: () throws -> [UInt8]?
  ) throws -> SecretKey {
    try read(KeyText(path: path, lines: 2), password: password)
  }

  /// The same of bytes.
  package static func read(
    path: String, bytes: [UInt8], password: () throws -> [UInt8]?
  ) throws -> SecretKey {
    try read(KeyText(path: path, bytes: bytes, lines: 2), password: password)
  }

  private static func read(
    _ text: KeyText, password: () throws -> [UInt8]?
  ) throws -> SecretKey {
    let path = text.path
    if PublicKey(base64: text.lines[1]) != nil {
      let beside = path.hasSuffix(".pub") ? String(path.dropLast(4)) + ".key" : path
      let isThere = beside != path && FileSystem.exists(beside)
      throw SignatureError(path: path, .publicKey(secret: isThere ? beside : nil))
    }
    var bytes = try text.bytes(1, count: byteCount)
    defer { wipe(&bytes) }
    let isProtected = Array(bytes[2..<4]) == scrypt
    guard bytes.starts(with: PublicKey.algorithm), isProtected || bytes[2..<4] == unprotected[...],
      Array(bytes[4..<6]) == checksumAlgorithm
    else {
      throw SignatureError(
        path: path,
        .line(2, found: "a key of another kind", expected: "a secret key of minisign's"))
    }
    var body = Array(bytes[54...])
    defer { wipe(&body) }
    if isProtected {
      let cost = Cost(operations: little(bytes[38..<46]), memory: little(bytes[46..<54]))
      guard cost.operations <= Cost.sensitive.operations, cost.memory <= Cost.sensitive.memory
      else {
        throw SignatureError(path: path, .cost(operations: cost.operations, memory: cost.memory))
      }
      guard var password = try password() else { throw SignatureError(path: path, .passwordNeeded) }
      defer { wipe(&password) }
      guard apply(password, salt: Array(bytes[6..<38]), cost, to: &body) else {
        throw SignatureError(path: path, .memory(cost.memory))
      }
    }
    guard let key = SecretKey(body: body, requiresChecksum: isProtected) else {
      throw SignatureError(path: path, isProtected ? .wrongPassword : .damagedKey)
    }
    return key
  }

  /// The content of the key's file.
  ///
  /// - Parameter password: nil for a key that whoever reads the file can use.
  /// - Returns: nil where there is no memory for `cost`.
  package func fileContent(password: [UInt8]?, cost: Cost = .sensitive) -> [UInt8]? {
    guard let checksum = Self.checksum(publicKey.number, secret) else { return nil }
    var body = publicKey.number + secret + checksum
    defer { Self.wipe(&body) }
    var salt = [UInt8](repeating: 0, count: 32)
    var bytes = PublicKey.algorithm
    if let password {
      guard vlm_random(&salt, salt.count), Self.apply(password, salt: salt, cost, to: &body) else {
        return nil
      }
      bytes += Self.scrypt + Self.checksumAlgorithm + salt
      bytes += Self.little(cost.operations) + Self.little(cost.memory)
    } else {
      bytes += Self.unprotected + Self.checksumAlgorithm + salt + [UInt8](repeating: 0, count: 16)
    }
    bytes += body
    defer { Self.wipe(&bytes) }
    let what = password == nil ? "minisign secret key" : "minisign encrypted secret key"
    return Array("\(KeyText.untrustedPrefix)\(what)\n\(Base64.encode(bytes))\n".utf8)
  }

  /// Ed25519 of `message`, 64 bytes; nil where libsodium cannot be used.
  func sign(_ message: [UInt8]) -> [UInt8]? {
    var signature = [UInt8](repeating: 0, count: 64)
    return vlm_ed25519_sign(message, message.count, secret, &signature) ? signature : nil
  }

  // MARK: - Parts of a file

  private static func checksum(_ number: [UInt8], _ secret: [UInt8]) -> [UInt8]? {
    BLAKE2b.digest(PublicKey.algorithm + number + secret, count: 32)
  }

  /// XORs scrypt's output onto `body`.
  private static func apply(
    _ password: [UInt8], salt: [UInt8], _ cost: Cost, to body: inout [UInt8]
  ) -> Bool {
    var stream = [UInt8](repeating: 0, count: bodyByteCount)
    defer { wipe(&stream) }
    guard
      vlm_scrypt(
        password, password.count, salt, cost.operations, cost.memory, &stream, stream.count)
    else { return false }
    for index in body.indices { body[index] ^= stream[index] }
    return true
  }

  private static func little(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private static func little(_ value: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  private static func wipe(_ bytes: inout [UInt8]) { vlm_wipe(&bytes, bytes.count) }
}
