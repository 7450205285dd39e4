import Testing
import VLMContainer
import VLMFoundation
import VLMTestSupport

@testable import VLMSignature

#if canImport(Glibc)
  import Glibc
#endif

/// Of a key; what they say is none.
private let digits = String(repeating: "A", count: 56)

/// Swift 6.0 takes no interpolation within the arguments of a macro.
private let malformedKeys: [String] = [
  "", "\n", "\n\n", "untrusted comment: x\n", "untrusted comment: x\n\(digits)",
  "untrusted comment: x\n\(digits)\n", "untrusted comment: x\n\(digits)\n\n",
  "comment: x\nRW\(digits.dropFirst(2))\n",
  "untrusted comment: x\u{0}\nRW\(digits.dropFirst(2))\n",
  "untrusted comment: x\nRW\(digits.dropFirst(3))\n", "untrusted comment: x\n RW==\n",
  "untrusted comment: x\nRW\(digits.dropFirst(3))=\n", "untrusted comment:\n\n",
]

/// Models that nobody trusted signed, and files that are no keys or signatures.
@Suite("What is not trusted")
struct RefusalTests {
  let model: SignedModel

  init() throws { model = try SignedModel() }

  @Test("a model without a signature is refused, whatever key is trusted")
  func unsigned() throws {
    FileSystem.unlink(model.path + ".minisig")
    let problem = try model.problem("a.pub")
    #expect(problem == .notSigned(expected: model.path + ".minisig", .sign(model.path)))
    let error = SignatureError(
      path: "m.vlmz", .notSigned(expected: "m.vlmz.minisig", .sign("m.vlmz")))
    #expect(
      error.description
        == "m.vlmz: is not signed: there is no 'm.vlmz.minisig', expected the file's signature there; "
        + "it comes with the model from whoever signed that")
    #expect(error.exitStatus == .noPermission)
  }

  @Test("a model that another key signed is refused, naming both keys")
  func otherKey() throws {
    let (a, b) = (try SignedModel.key("a.pub"), try SignedModel.key("b.pub"))
    #expect(try model.problem("b.pub") == .otherKey(found: a.identifier, trusted: [b.identifier]))
    #expect(try SignedModel(signature: "by-b.minisig").problem("b.pub") == nil)
    #expect(try SignedModel(signature: "by-b.minisig").problem("a.pub") != nil)
  }

  @Test("a key with the number of another is not taken for it, nor does it stand in its way")
  func imposter() throws {
    let (a, imposter) = (try SignedModel.key("a.pub"), try SignedModel.key("imposter.pub"))
    #expect(imposter.number == a.number && imposter != a)
    #expect(try model.problem("imposter.pub") == .comment(key: a.identifier))
    #expect(try model.problem("imposter.pub", "a.pub") == nil)
  }

  @Test("nothing of a model is looked at before its signature is found to be right")
  func order() throws {
    try model.folder.write("model.vlmz", Array("no model at all".utf8))
    let key = try SignedModel.key("a.pub").identifier
    #expect(
      try model.problem("a.pub") == .otherBytes(signature: model.path + ".minisig", key: key))
  }

  @Test("a signed file that is no container is refused as one")
  func signedNonsense() throws {
    let bytes = Array("no model at all".utf8)
    let key = try SignedModel.secretKey()
    let digest = try #require(BLAKE2b.digest(bytes, count: BLAKE2b.digestByteCount))
    let signature = try #require(key.sign(digest))
    let signed = Signature(
      path: "", number: key.publicKey.number, trustedComment: "", signature: signature,
      commentSignature: try #require(key.sign(signature)))
    try model.folder.write("model.vlmz", bytes)
    try model.folder.write("model.vlmz.minisig", signed.fileContent)
    let error = thrownError(ContainerError.self) { try model.open("a.pub") }
    #expect(error?.rule == .r02)
  }

  @Test("no keys are no trust")
  func noKeys() throws {
    #expect(try TrustedKeys([String]()) == nil)
  }

  @Test("a signature that is a pipe, a folder or a device is refused at once")
  func irregular() throws {
    let path = model.path + ".minisig"
    FileSystem.unlink(path)
    #expect(mkfifo(path, 0o600) == 0)
    #expect(
      try model.problem("a.pub") == .file(FileError(path: path, problem: .notRegular("pipe"))))
    FileSystem.unlink(path)
    #expect(symlink("/dev/zero", path) == 0)
    #expect(
      try model.problem("a.pub") == .file(FileError(path: path, problem: .notRegular("device"))))
    FileSystem.unlink(path)
    #expect(mkdir(path, 0o700) == 0)
    #expect(
      try model.problem("a.pub") == .file(FileError(path: path, problem: .notRegular("directory"))))
  }

  @Test("a signature or a key that is too long is refused before it is read")
  func tooLong() throws {
    let long = [UInt8](repeating: 0x61, count: KeyText.maximumByteCount + 1)
    try model.folder.write("model.vlmz.minisig", long)
    #expect(try model.problem("a.pub") == .tooLong(limit: 65536))
    let key = try model.folder.write("long.pub", long)
    #expect(throws: SignatureError(path: key, .tooLong(limit: 65536))) { try PublicKey(path: key) }
    #expect(throws: SignatureError(path: "/dev/zero", .tooLong(limit: 65536))) {
      try PublicKey(path: "/dev/zero")
    }
  }

  @Test("a text that is no key is refused with its line", arguments: malformedKeys)
  func malformed(_ text: String) throws {
    let path = try model.folder.write("x.pub", Array(text.utf8))
    let error = thrownError(SignatureError.self) { try PublicKey(path: path) }
    guard case .line? = error?.problem else {
      Issue.record("'\(text)': \(error.map { "\($0)" } ?? "accepted")")
      return
    }
    #expect(error?.exitStatus == .badData)
    #expect(error?.description.contains("\n") == false)
  }

  @Test("bytes that are no UTF-8 are refused, also in a comment")
  func noText() throws {
    let bytes = Array("untrusted comment: ".utf8) + [0xff, 0x0a] + Array("RW\n".utf8)
    let error = thrownError(SignatureError.self) {
      try Signature(path: "s", bytes: bytes + bytes)
    }
    #expect(
      error?.problem
        == .line(1, found: "control characters or no UTF-8", expected: "a line of text"))
  }

  @Test("a key that lost a character is told from a file that is not there")
  func shortKey() throws {
    let key = try SignedModel.key("a.pub").base64
    let short = String(key.dropLast())
    for text in [short, "RWQabc"] {
      let error = thrownError(SignatureError.self) { try PublicKey(text) }
      #expect(error?.problem == .noKey(characters: text.utf8.count))
    }
    let missing = thrownError(SignatureError.self) { try PublicKey("no-such.pub") }
    #expect(missing?.exitStatus == .noInput)
  }

  @Test("a secret key whose password would cost more than minisign's is refused before it costs")
  func cost() throws {
    let text = String(
      decoding: try SignedModel.bytes(SignedModel.fixture("a-protected.key")), as: UTF8.self)
    let lines = text.split(separator: "\n")
    var bytes = try #require(Base64.decode(String(lines[1])))
    bytes[52] = 1
    let path = try model.folder.write(
      "costly.key", Array("\(lines[0])\n\(Base64.encode(bytes))\n".utf8))
    var wasAsked = false
    let error = thrownError(SignatureError.self) {
      try SecretKey.read(path: path) {
        wasAsked = true
        return [1]
      }
    }
    #expect(error?.problem == .cost(operations: 32768, memory: 1 << 24 | 1 << 48))
    #expect(!wasAsked)
  }

  @Test("a public key is no secret one, and the other way round")
  func kinds() throws {
    #expect(
      thrownError(SignatureError.self) {
        try SecretKey.read(path: SignedModel.fixture("a.pub")) { nil }
      }?.exitStatus == .badData)
    for name in ["a.key", "a-protected.key"] {
      let path = SignedModel.fixture(name)
      let file = thrownError(SignatureError.self) { try PublicKey(path) }
      #expect(file == SignatureError(path: path, .secretKey))
      #expect(file?.exitStatus == .badData)
      // As a text, which is not shown.
      let bytes = try SignedModel.bytes(path)
      let line = bytes.split(separator: 0x0a)[1]
      let text = String(decoding: line, as: UTF8.self)
      let error = thrownError(SignatureError.self) { try PublicKey(text) }
      #expect(error?.problem == .secretKey)
      #expect(error?.description.contains(text.dropFirst(8).prefix(20)) == false)
    }
  }
}
