import Testing
import VLMContainer
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMSignature

/// What somebody who has no secret key may try.
@Suite("Tampering with signed models")
struct TamperingTests {
  let model: SignedModel
  let keys: TrustedKeys

  init() throws {
    model = try SignedModel()
    keys = TrustedKeys(try SignedModel.key("a.pub"))
  }

  /// Why bytes with the model's signature are refused; nil where they are not.
  private func problem(_ bytes: [UInt8]) -> SignatureError.Problem? {
    let file = bytes.withUnsafeBytes { MappedFile(name: model.path, copying: $0) }
    return thrownError(SignatureError.self) { try keys.verify(file) }?.problem
  }

  /// The same of another text of the signature and the model as it is.
  private func refusal(signature bytes: [UInt8]) -> SignatureError? {
    thrownError(SignatureError.self) {
      let signature = try Signature(path: "s", bytes: bytes)
      let key = try signature.author(among: keys.keys)
      let digest = try BLAKE2b.digest(of: MappedFile(path: model.path))
      guard key.verifies(signature.signature, of: digest) else {
        throw SignatureError(path: "s", .otherBytes(signature: "s", key: ""))
      }
    }
  }

  @Test("a model with any byte changed is refused")
  func modelBytes() throws {
    let bytes = try model.folder.read("model.vlmz")
    let key = keys.keys[0].identifier
    #expect(problem(bytes) == nil)
    for index in bytes.indices {
      var changed = bytes
      changed[index] ^= 1 << (index % 8)
      let found = problem(changed)
      #expect(
        found == .otherBytes(signature: model.path + ".minisig", key: key), "byte \(index)")
    }
  }

  @Test("a model that is cut short or has more bytes is refused")
  func modelLength() throws {
    let bytes = try model.folder.read("model.vlmz")
    for count in stride(from: 0, to: bytes.count, by: 37) + [bytes.count - 1] {
      #expect(problem(Array(bytes[..<count])) != nil, "\(count) bytes")
    }
    #expect(problem(bytes + [0]) != nil)
    #expect(problem(bytes + bytes) != nil)
  }

  @Test("a signature with any bit changed is refused, but for its untrusted comment")
  func signatureBits() throws {
    let bytes = try model.folder.read("model.vlmz.minisig")
    let untrusted = "untrusted comment: ".utf8.count
    let firstLine = try #require(bytes.firstIndex(of: 0x0a))
    #expect(refusal(signature: bytes) == nil)
    for index in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[index] ^= 1 << bit
        // Anybody may write there, which is why it is called so and shown nowhere.
        if (untrusted..<firstLine).contains(index) { continue }
        #expect(refusal(signature: changed) != nil, "byte \(index), bit \(bit)")
      }
    }
  }

  @Test("a signature that is cut short anywhere or goes on is refused")
  func signatureLength() throws {
    let bytes = try model.folder.read("model.vlmz.minisig")
    for count in bytes.indices { #expect(refusal(signature: Array(bytes[..<count])) != nil) }
    for more in ["\n", "x", "\u{0}", String(decoding: bytes, as: UTF8.self)] {
      #expect(refusal(signature: bytes + Array(more.utf8)) != nil)
    }
  }

  @Test("a public key with any bit changed is no key, or one that did not sign")
  func keyBits() throws {
    let bytes = try SignedModel.bytes(SignedModel.fixture("a.pub"))
    let start = try #require(bytes.firstIndex(of: 0x0a)) + 1
    for index in start..<bytes.count {
      for bit in 0..<8 {
        var changed = bytes
        changed[index] ^= 1 << bit
        let path = try model.folder.write("changed.pub", changed)
        let error = thrownError(SignatureError.self) {
          try TrustedKeys(PublicKey(path: path)).verify(MappedFile(path: model.path))
        }
        #expect(error != nil, "byte \(index), bit \(bit)")
      }
    }
  }

  @Test("a secret key with any byte changed is refused, or is the same key")
  func secretKeyBytes() throws {
    let key = try #require(SecretKey())
    let bytes = try #require(key.fileContent(password: nil))
    let start = try #require(bytes.firstIndex(of: 0x0a)) + 1
    var same = 0
    for index in start..<bytes.count {
      var changed = bytes
      changed[index] ^= 1 << (index % 6)
      let path = try model.folder.write("changed.key", changed)
      guard let found = try? SecretKey.read(path: path, password: { Array("a".utf8) }) else {
        continue
      }
      // Salt and limits mean nothing without a password.
      same += 1
      #expect(found.publicKey == key.publicKey && found.sign([1]) == key.sign([1]), "\(index)")
    }
    #expect(same <= 64)
  }

  @Test("a model whose weights were exchanged for others with the same checksums is refused")
  func sameRootHash() throws {
    // Why the root hash is not what is signed: it is made of XXH64, which whoever wants to can meet.
    let original: [UInt8] = (0..<64).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    let forged = XXH64Collision.partner(of: original)
    #expect(forged != original && XXH64.hash(forged) == XXH64.hash(original))
    try write("first.vlmz", weights: original)
    try write("second.vlmz", weights: forged)
    try model.sign("first.vlmz")
    let (first, second) = (
      try Container.open(path: model.folder.path("first.vlmz")),
      try Container.open(path: model.folder.path("second.vlmz"))
    )
    #expect(first.rootHash == second.rootHash)
    #expect(try second.verify(strict: true).isEmpty)
    try model.folder.write(
      "second.vlmz.minisig", model.folder.read("first.vlmz.minisig"))
    _ = try Container.open(path: first.path, signedBy: keys)
    let error = thrownError(SignatureError.self) {
      try Container.open(path: second.path, signedBy: keys)
    }
    #expect(
      error?.problem
        == .otherBytes(signature: second.path + ".minisig", key: keys.keys[0].identifier))
  }

  @Test("a section that is exchanged for another model's is refused")
  func swappedSection() throws {
    let weights = [UInt8](repeating: 1, count: 64)
    try write("first.vlmz", weights: weights, config: #"{"a":1}"#)
    try write("second.vlmz", weights: weights, config: #"{"a":2}"#)
    try model.sign("first.vlmz")
    try model.folder.write("second.vlmz.minisig", model.folder.read("first.vlmz.minisig"))
    let error = thrownError(SignatureError.self) {
      try Container.open(path: model.folder.path("second.vlmz"), signedBy: keys)
    }
    #expect(error?.isDistrust == true)
  }

  @Test("a signature of another model, or of an earlier one of this name, is refused")
  func replayedSignature() throws {
    try write("model.vlmz", weights: [UInt8](repeating: 9, count: 64))
    #expect(
      try model.problem("a.pub")
        == .otherBytes(signature: model.path + ".minisig", key: keys.keys[0].identifier))
  }

  @Test("an earlier model with its own signature is accepted under any name: a signature says who")
  func replayedModel() throws {
    try model.sign(comment: "version 1")
    for (from, to) in [("model.vlmz", "new.vlmz"), ("model.vlmz.minisig", "new.vlmz.minisig")] {
      try model.folder.write(to, model.folder.read(from))
    }
    let file = try MappedFile(path: model.folder.path("new.vlmz"))
    let comment = try keys.verify(file).signature.trustedComment
    // What tells the versions apart is there for whoever looks.
    #expect(comment.contains("\tfile:model.vlmz\t") && comment.hasSuffix("\tversion 1"))
  }

  @Test("a comment that states another root hash than the file has is refused")
  func statedRoot() throws {
    let key = try SignedModel.secretKey()
    let digest = try BLAKE2b.digest(of: MappedFile(path: model.path))
    let other = String(repeating: "0", count: 64)
    let comment = "file:a\troot:\(other)"
    let signature = try #require(key.sign(digest))
    let signed = Signature(
      path: "", number: key.publicKey.number, trustedComment: comment, signature: signature,
      commentSignature: try #require(key.sign(Signature.commentMessage(signature, comment))))
    try model.folder.write("model.vlmz.minisig", signed.fileContent)
    let root = hexadecimal(try Container.open(path: model.path).rootHash)
    #expect(try model.problem("a.pub") == .root(found: other, expected: root))
  }

  // MARK: - Models

  private func write(_ name: String, weights: [UInt8], config: String = "{}") throws {
    let writer = try ContainerWriter(
      path: model.folder.path(name), overwrite: true, compress: false)
    try writer.beginTensor(
      name: "weight", format: TensorFormat(scheme: .f32), role: .vector, shape: [weights.count / 4])
    try writer.write(weights)
    try writer.endTensor()
    try writer.add(section: .config, Array(config.utf8))
    _ = try writer.finish()
  }
}

/// How easily XXH64 is met: each of its lanes is a bijection of what it reads, so a change in one
/// stripe of 32 bytes is made up for in the next.
enum XXH64Collision {
  private static let prime1: UInt64 = 0x9e37_79b1_85eb_ca87
  private static let prime2: UInt64 = 0xc2b2_ae3d_27d4_eb4f

  /// Other bytes with the same hash.
  ///
  /// - Parameter bytes: 64 or more; the first lane of the first two stripes is changed.
  static func partner(of bytes: [UInt8]) -> [UInt8] {
    var result = bytes
    let first = word(bytes, 0)
    // The lane begins with both primes, the seed being 0.
    let start = prime1 &+ prime2
    let before = round(start, first)
    let after = round(start, first ^ 1)
    put(first ^ 1, into: &result, 0)
    put(word(bytes, 32) &+ (before &- after) &* inverse(prime2), into: &result, 32)
    return result
  }

  private static func round(_ lane: UInt64, _ input: UInt64) -> UInt64 {
    let sum = lane &+ input &* prime2
    return (sum << 31 | sum >> 33) &* prime1
  }

  /// The inverse of an odd number modulo 2^64, by Newton's iteration.
  private static func inverse(_ value: UInt64) -> UInt64 {
    var result = value
    for _ in 0..<6 { result = result &* (2 &- value &* result) }
    return result
  }

  private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
    bytes[offset..<offset + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private static func put(_ value: UInt64, into bytes: inout [UInt8], _ offset: Int) {
    for index in 0..<8 {
      bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
    }
  }
}
