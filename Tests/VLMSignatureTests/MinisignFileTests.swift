import Testing
import VLMContainer
import VLMFoundation
import VLMTestSupport

@testable import VLMSignature

/// Files that minisign wrote, and what is written for it.
@Suite("Files of minisign's")
struct MinisignFileTests {
  @Test("a file that minisign signed is opened by whoever trusts the key")
  func opens() throws {
    let model = try SignedModel()
    #expect(try model.open("a.pub").tensors.count == 2)
    #expect(try model.open("b.pub", "a.pub").tensors.count == 2)
    let found = try TrustedKeys(SignedModel.key("a.pub")).verify(MappedFile(path: model.path))
    #expect(found.signature.trustedComment == "two tensors 1.0")
    #expect(try found.key == SignedModel.key("a.pub"))
  }

  @Test("a key is the same as text and as a file")
  func keyText() throws {
    let key = try SignedModel.key("a.pub")
    #expect(PublicKey(base64: key.base64) == key)
    #expect(try PublicKey(key.base64) == key)
    #expect(try PublicKey(SignedModel.fixture("a.pub")) == key)
    let folder = try TemporaryFolder()
    #expect(try PublicKey(path: folder.write("k", key.fileContent)) == key)
    #expect(try key.fileContent == SignedModel.bytes(SignedModel.fixture("a.pub")))
  }

  @Test("a signature of ours is, but for the comment, the one that minisign makes")
  func sameSignature() throws {
    let model = try SignedModel()
    let theirs = try Signature(path: model.path + ".minisig")
    try model.sign(comment: "two tensors 1.0")
    let ours = try Signature(path: model.path + ".minisig")
    #expect(ours.signature == theirs.signature)
    #expect(ours.number == theirs.number)
    let root = hexadecimal(try Container.open(path: model.path).rootHash)
    #expect(
      ours.trustedComment
        == "timestamp:1795000000\tfile:model.vlmz\thashed\troot:\(root)\ttwo tensors 1.0")
    #expect(ours.statedRoots == [root])
    #expect(try model.problem("a.pub") == nil)
  }

  @Test("a signature with line ends of Windows is read as the same")
  func windows() throws {
    let model = try SignedModel()
    let bytes = try model.folder.read("model.vlmz.minisig")
    let lines = bytes.flatMap { $0 == 0x0a ? [0x0d, 0x0a] : [$0] }
    try model.folder.write("model.vlmz.minisig", lines)
    #expect(try model.problem("a.pub") == nil)
  }

  @Test("a signature of the file itself, as old minisigns made it, is refused with what to do")
  func legacy() throws {
    let model = try SignedModel(signature: "legacy.minisig")
    #expect(try model.problem("a.pub") == .legacy)
    let error = SignatureError(path: "m.minisig", .legacy)
    #expect(error.description.contains("minisign 0.11") && error.exitStatus == .badData)
  }

  @Test("a secret key opens with its password, which an independent scrypt set, and with no other")
  func password() throws {
    let path = SignedModel.fixture("a-protected.key")
    let key = try SecretKey.read(path: path) { Array("correct horse".utf8) }
    #expect(try key.publicKey == SignedModel.key("a.pub"))
    for other in ["", "correct horsf", "correct horse "] {
      #expect(throws: SignatureError(path: path, .wrongPassword)) {
        try SecretKey.read(path: path) { Array(other.utf8) }
      }
    }
    #expect(throws: SignatureError(path: path, .passwordNeeded)) {
      try SecretKey.read(path: path) { nil }
    }
  }

  @Test(
    "a secret key with a password of minisign's own signs",
    .enabled(
      if: (Machine.availableMemory ?? 0) > 3 << 30,
      "minisign's passwords take 1 GiB of memory for a moment, which is not free here"))
  func minisignPassword() throws {
    let key = try SecretKey.read(path: SignedModel.fixture("b.key")) {
      Array("battery staple".utf8)
    }
    #expect(try key.publicKey == SignedModel.key("b.pub"))
    let model = try SignedModel(signature: "by-b.minisig")
    let container = try Container.open(path: model.path)
    let ours = try key.sign(container, path: "", time: 0, comment: nil)
    #expect(try ours.signature == Signature(path: model.path + ".minisig").signature)
  }

  @Test("a new key is read back, with a password and without")
  func newKey() throws {
    let folder = try TemporaryFolder()
    let key = try #require(SecretKey())
    let cheap = SecretKey.Cost(operations: 32768, memory: 1 << 24)
    let open = try folder.write("open", #require(key.fileContent(password: nil)))
    let closed = try folder.write(
      "closed", #require(key.fileContent(password: Array("ä".utf8), cost: cheap)))
    let first = try SecretKey.read(path: open) { nil }
    let second = try SecretKey.read(path: closed) { Array("ä".utf8) }
    #expect(first.publicKey == key.publicKey && second.publicKey == key.publicKey)
    #expect(first.sign([1, 2, 3]) == key.sign([1, 2, 3]) && first.sign([1, 2, 3]) != nil)
    #expect(try #require(SecretKey()).publicKey != key.publicKey)
  }

  @Test("a comment that would not stay one field of one line is refused")
  func comments() throws {
    let model = try SignedModel()
    let container = try Container.open(path: model.path)
    let key = try SignedModel.secretKey()
    for text in ["two\nlines", "a\ttab", "root:0", "\u{0}", String(repeating: "a", count: 8001)] {
      let error = thrownError(SignatureError.self) {
        try key.sign(container, path: "", time: 0, comment: text)
      }
      #expect(error?.exitStatus == .usage, "\(text.prefix(10))")
    }
    let plain = try key.sign(container, path: "", time: 0, comment: "")
    #expect(plain.trustedComment.split(separator: "\t").count == 4)
  }
}
