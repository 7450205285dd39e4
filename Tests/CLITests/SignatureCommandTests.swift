import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

/// `sign`, `verify-signature`, `generate-key` and `--trust`.
@Suite("Commands on signatures", .serialized)
struct SignatureCommandTests {
  static let minisign = ["/usr/bin/minisign", "/usr/local/bin/minisign"]
    .first { FileManager.default.isExecutableFile(atPath: $0) }

  static func fixture(_ name: String) -> String { TestFiles.fixture("signatures/" + name) }

  let folder: TemporaryFolder
  /// A classifier.
  let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = folder.path("my model.vlmz")
    let outcome = try CommandRunner.convert(
      TestFiles.fixture("convnext-cifar10"), model, "--q8", "-q")
    try #require(outcome.status == 0, "\(outcome.errors)")
  }

  private static let picture = TestFiles.root.appendingPathComponent("docs/images/horse.png").path

  private func sign(_ more: String...) throws -> CommandRunner.Outcome {
    try CommandRunner.run("vlm-convert", ["sign", model, "--key", Self.fixture("a.key")] + more)
  }

  private func runTrusting(_ key: String) throws -> CommandRunner.Outcome {
    try CommandRunner.vlmRun(model, Self.picture, "-q", "--trust", key)
  }

  @Test("a model that was signed is run by whoever trusts the key")
  func trusted() throws {
    let signed = try sign("--comment", "cifar 1.0")
    #expect(signed.status == 0 && signed.output.contains("cifar 1.0"), "\(signed.errors)")
    for key in [Self.fixture("a.pub"), try Self.text(of: "a.pub")] {
      let outcome = try runTrusting(key)
      #expect(outcome.status == 0 && outcome.output.contains("horse"), "\(outcome.errors)")
    }
    let several = try CommandRunner.vlmRun(
      model, Self.picture, "-q", "--trust", Self.fixture("b.pub"), "--trust", Self.fixture("a.pub"))
    #expect(several.status == 0)
  }

  @Test("a public key in the place of the secret one is told, with the file that is meant")
  func publicKey() throws {
    let own = folder.path("own.pub")
    try FileManager.default.copyItem(atPath: Self.fixture("a.pub"), toPath: own)
    let alone = try CommandRunner.run("vlm-convert", ["sign", model, "--key", own])
    #expect(alone.status == 65)
    #expect(
      alone.errorLine
        == "vlm-convert: \(own): is a public key, which checks signatures; expected the secret one "
        + "that makes them, made with it: its .key, or minisign's")
    try FileManager.default.copyItem(
      atPath: Self.fixture("a.key"), toPath: folder.path("own.key"))
    let beside = try CommandRunner.run("vlm-convert", ["sign", model, "--key", own])
    #expect(beside.errorLine.hasSuffix("that makes them: \(folder.path("own.key"))"))
  }

  @Test("a model that is not signed by a trusted key is refused with one line and status 77")
  func refused() throws {
    let unsigned = try runTrusting(Self.fixture("a.pub"))
    #expect(unsigned.status == 77 && unsigned.output.isEmpty)
    #expect(
      unsigned.errorLine
        == "vlm-run: \(model): is not signed: there is no '\(model).minisig', expected the file's "
        + "signature there; it comes with the model, or is made by vlm-convert sign '\(model)' "
        + "--key FILE")
    #expect(try sign("-q").status == 0)
    let other = try runTrusting(Self.fixture("b.pub"))
    #expect(other.status == 77 && other.errorLine.contains("signature by key"))
    let without = try CommandRunner.vlmRun(model, Self.picture, "-q")
    #expect(without.status == 0, "without the option no signature is looked for")
  }

  @Test("a model that was changed after it was signed is refused before it is looked at")
  func changed() throws {
    #expect(try sign("-q").status == 0)
    var bytes = try folder.read("my model.vlmz")
    bytes[bytes.count / 2] ^= 1
    try folder.write("my model.vlmz", bytes)
    let outcome = try runTrusting(Self.fixture("a.pub"))
    #expect(outcome.status == 77 && outcome.errorLine.contains("is not the file that key"))
    let verified = try CommandRunner.convert(
      "verify-signature", model, "--key", Self.fixture("a.pub"))
    #expect(verified.status == 2 && verified.errorLine.contains("is not the file that key"))
    let again = try sign("-q", "--force")
    #expect(again.status == 65, "a damaged model is not signed")
  }

  @Test("vlm-serve does not begin to serve a model that no trusted key signed")
  func server() throws {
    let outcome = try CommandRunner.run(
      "vlm-serve", [model, "--port", "0", "--trust", Self.fixture("a.pub")])
    #expect(outcome.status == 77 && outcome.output.isEmpty)
    #expect(outcome.errorLine.hasPrefix("vlm-serve: \(model): is not signed"))
  }

  @Test("a packed model is trusted by the signature of what it unpacks to, before it is unpacked")
  func packed() throws {
    let packed = model + "p"
    #expect(try CommandRunner.convert("pack", model, packed, "-q").status == 0)
    let environment = ["XDG_CACHE_HOME": folder.path("cache")]
    func run(_ key: String) throws -> CommandRunner.Outcome {
      try CommandRunner.run(
        "vlm-run", [packed, Self.picture, "--trust", Self.fixture(key)], environment: environment)
    }
    let unsigned = try run("a.pub")
    #expect(unsigned.status == 77)
    #expect(
      unsigned.errorLine
        == "vlm-run: \(model): is not signed: there is no '\(model).minisig', expected the file's "
        + "signature there; it comes with the model, or is made by vlm-convert sign '\(model)' "
        + "--key FILE")
    #expect(try sign("-q").status == 0)
    #expect(try run("b.pub").status == 77)
    #expect(!FileManager.default.fileExists(atPath: folder.path("cache")), "nothing was unpacked")
    let first = try run("a.pub")
    #expect(first.status == 0 && first.output.contains("horse"), "\(first.errors)")
    #expect(first.errors.contains("unpacked for this and later runs"))

    // One that was exchanged in the cache is unpacked again.
    let cached = folder.url.appendingPathComponent("cache/vlmz")
    let name = try #require(
      try FileManager.default.contentsOfDirectory(atPath: cached.path)
        .first { $0.hasSuffix(".vlmz") })
    var bytes = try folder.read("cache/vlmz/" + name)
    bytes[bytes.count / 2] ^= 1
    try folder.write("cache/vlmz/" + name, bytes)
    let second = try run("a.pub")
    #expect(second.status == 0 && second.errors.contains("unpacked for this"), "\(second.errors)")
    #expect(try folder.read("cache/vlmz/" + name) == folder.read("my model.vlmz"))

    // Another model under the signature.
    let other = try CommandRunner.convert(
      TestFiles.fixture("convnext-cifar10"), folder.path("other.vlmz"), "--q4", "-q")
    #expect(other.status == 0)
    #expect(
      try CommandRunner.convert("pack", folder.path("other.vlmz"), packed, "-q", "--force").status
        == 0)
    let exchanged = try run("a.pub")
    #expect(exchanged.status == 77 && exchanged.errors.contains("is not the file that key"))
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: cached.path)
        .filter { $0.hasSuffix(".vlmz") } == [name])

    let verified = try CommandRunner.convert(
      "verify-signature", packed, "--key", Self.fixture("a.pub"))
    #expect(verified.status == 65)
    #expect(
      verified.errorLine.hasSuffix(
        "is packed, and what is signed is the file that it unpacks to; unpack it first: "
          + "vlm-convert unpack '\(packed)' '\(model)'"))
  }

  @Test("verify-signature prints who signed and what else was signed, also as JSON")
  func verifySignature() throws {
    #expect(try sign("-q", "--comment", "cifar 1.0", "-o", folder.path("s")).status == 0)
    let arguments = [
      "verify-signature", model, "--key", Self.fixture("a.pub"), "--signature", folder.path("s"),
    ]
    let plain = try CommandRunner.run("vlm-convert", arguments)
    #expect(plain.status == 0)
    #expect(plain.output.contains("signed by \(try Self.text(of: "a.pub"))"))
    let outcome = try CommandRunner.run("vlm-convert", arguments + ["--json"])
    let json = try JSONValue.parse(Array(outcome.output.utf8))
    #expect(json["signed"] == .bool(true))
    let key = try Self.text(of: "a.pub")
    #expect(json["key"]?.stringValue == key)
    #expect(json["trusted_comment"]?.stringValue?.hasSuffix("\tcifar 1.0") == true)
    let other = try CommandRunner.convert(
      "verify-signature", model, "--key", Self.fixture("b.pub"), "--signature", folder.path("s"),
      "--json")
    let problem = try JSONValue.parse(Array(other.output.utf8))
    #expect(other.status == 2 && problem["signed"] == .bool(false))
    #expect(problem["problem"]?.stringValue?.contains("signature by key") == true)
  }

  @Test("a signature is replaced only if asked, and is no model's")
  func outputs() throws {
    #expect(try sign("-q").status == 0)
    let again = try sign("-q")
    #expect(again.status == 73 && again.errorLine.hasSuffix("use --force to replace it"))
    #expect(try sign("-q", "--force").status == 0)
    let over = try sign("-q", "--force", "-o", model)
    #expect(over.status == 73 && over.errorLine.contains("is the same file as the input"))
    let key = try folder.write(
      "a.key", Array(Data(contentsOf: URL(fileURLWithPath: Self.fixture("a.key")))))
    let before = try folder.read("a.key")
    let lost = try CommandRunner.convert("sign", model, "--key", key, "-o", key, "--force", "-q")
    #expect(lost.status == 73 && lost.errorLine.contains("is the same file as the input"))
    #expect(try folder.read("a.key") == before)
  }

  @Test("a signature beside a file that is replaced is told of, unless the new one comes with it")
  func left() throws {
    let packed = folder.path("m.vlmzp")
    let delta = folder.path("d.vlmzd")
    let other = folder.path("other.vlmz")
    let output = folder.path("out.vlmz")
    let key = Self.fixture("a.pub")
    let checkpoint = TestFiles.fixture("convnext-cifar10")
    #expect(try sign("-q").status == 0)
    #expect(try CommandRunner.convert("pack", model, packed, "-q").status == 0)
    #expect(try CommandRunner.convert(checkpoint, other, "--q4", "-q").status == 0)
    #expect(try CommandRunner.convert("delta", model, other, delta, "-q").status == 0)
    let note =
      "vlm-convert: note: \(output).minisig lay there before, and is not the new file's unless it "
      + "verifies: vlm-convert verify-signature \(output) --key KEY\n"
    let commands: [[String]] = [
      [checkpoint, output, "--f16"], [model, output], ["unpack", packed, output],
      ["apply", delta, model, "-o", output],
    ]
    for command in commands {
      func errors(_ more: String...) throws -> String {
        let outcome = try CommandRunner.run("vlm-convert", command + more)
        #expect(outcome.status == 0, "\(command): \(outcome.errors)")
        return outcome.errors
      }
      #expect(try !errors().contains("minisig"), "\(command)")
      try folder.write("out.vlmz.minisig", [1])
      #expect(try errors("--force").hasSuffix(note), "\(command)")
      #expect(try errors("--force", "-q") == "")
      try FileManager.default.removeItem(atPath: output)
      // One that is there first may be the new file's.
      #expect(try !errors().contains("minisig"), "\(command)")
      if command[0] == "unpack" {
        let signature = "\(model).minisig"
        #expect(try errors("--force", "--trust", key, "--signature", signature) == "")
      }
      for path in [output, output + ".minisig"] { try FileManager.default.removeItem(atPath: path) }
    }
  }

  @Test("new keys are the owner's alone, replace none, and sign")
  func newKeys() throws {
    let name = folder.path("mine")
    let made = try CommandRunner.convert("generate-key", name, "--unprotected")
    #expect(made.status == 0, "\(made.errors)")
    let attributes = try FileManager.default.attributesOfItem(atPath: name + ".key")
    #expect((attributes[.posixPermissions] as? Int) == 0o600)
    let signed = try CommandRunner.convert("sign", model, "--key", name + ".key", "-q")
    #expect(signed.status == 0)
    #expect(try runTrusting(name + ".pub").status == 0)
    let again = try CommandRunner.convert("generate-key", name, "--unprotected")
    #expect(again.status == 73 && again.errorLine.contains("mine.key: already exists, and nothing"))
  }

  @Test("a key with a password signs with it and not without")
  func password() throws {
    let right = try folder.write("right", Array("correct horse\nmore\n".utf8))
    let wrong = try folder.write("wrong", Array("correct\n".utf8))
    func sign(_ password: String) throws -> CommandRunner.Outcome {
      try CommandRunner.convert(
        "sign", model, "--key", Self.fixture("a-protected.key"), "--password-file", password, "-q")
    }
    let refused = try sign(wrong)
    #expect(refused.status == 77 && refused.errorLine.hasSuffix("a-protected.key: wrong password"))
    #expect(try sign(right).status == 0)
    #expect(try runTrusting(Self.fixture("a.pub")).status == 0)
  }

  @Test("what belongs to no call is refused with a way on")
  func usage() throws {
    let none = try CommandRunner.convert("verify-signature", model)
    #expect(none.status == 64 && none.errorLine.contains("--key"))
    let both = try CommandRunner.convert(
      "generate-key", folder.path("x"), "--unprotected", "--password-file", "y")
    #expect(both.status == 64)
    let pipes = try CommandRunner.convert("sign", model, "--key", "-", "--password-file", "-")
    #expect(pipes.status == 64)
    let missing = try runTrusting(folder.path("no.pub"))
    #expect(missing.status == 66)
  }

  // MARK: - minisign itself

  private static func text(of key: String) throws -> String {
    let lines = try String(contentsOfFile: fixture(key), encoding: .utf8).split(separator: "\n")
    return String(try #require(lines.last))
  }

  private static let hasMinisign = minisign != nil
  private static let reason: Comment = "needs minisign, which is not installed"

  @Test("minisign verifies what sign signed", .enabled(if: hasMinisign, reason))
  func verifiedByMinisign() throws {
    let minisign = try #require(Self.minisign)
    #expect(try sign("-q", "--comment", "cifar 1.0").status == 0)
    let outcome = try CommandRunner.run(minisign, ["-V", "-m", model, "-p", Self.fixture("a.pub")])
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("cifar 1.0"))
    let other = try CommandRunner.run(minisign, ["-V", "-m", model, "-p", Self.fixture("b.pub")])
    #expect(other.status != 0)
  }

  @Test("what minisign signs with a new key of ours is trusted", .enabled(if: hasMinisign, reason))
  func signedByMinisign() throws {
    let minisign = try #require(Self.minisign)
    let name = folder.path("mine")
    #expect(try CommandRunner.convert("generate-key", name, "--unprotected", "-q").status == 0)
    let signed = try CommandRunner.run(
      minisign, ["-S", "-s", name + ".key", "-m", model, "-t", "anything"])
    #expect(signed.status == 0, "\(signed.errors)")
    #expect(try runTrusting(name + ".pub").status == 0)
    let found = try CommandRunner.convert("verify-signature", model, "--key", name + ".pub")
    #expect(found.status == 0 && found.output.contains("anything"))
  }

  @Test(
    "minisign opens a new key of ours with its password",
    .enabled(if: hasMinisign && (Machine.availableMemory ?? 0) > 3 << 30, reason))
  func passwordOfMinisign() throws {
    let minisign = try #require(Self.minisign)
    let name = folder.path("mine")
    let password = try folder.write("password", Array("battery staple\n".utf8))
    let made = try CommandRunner.convert(
      "generate-key", name, "--password-file", password, "-q")
    #expect(made.status == 0, "\(made.errors)")
    let signed = try CommandRunner.run(
      minisign, ["-S", "-s", name + ".key", "-m", model], input: Data("battery staple\n".utf8))
    #expect(signed.status == 0, "\(signed.errors)")
    #expect(try runTrusting(name + ".pub").status == 0)
  }
}
