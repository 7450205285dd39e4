import Foundation
import Testing
import VLMTestSupport

/// `unpack --trust` and `apply --trust`: what is made has to be what somebody signed.
@Suite("Results that have to be signed")
struct TrustedResultTests {
  let folder: TemporaryFolder
  /// A container, packed, and its signature by key a.
  private let packed: String
  private let signature: String
  /// A delta from `model`, a base with a signature of its own, to the container.
  private let delta: String
  private let model: String
  private let base: [UInt8]
  private let target: [UInt8]

  private static let goldens = TestFiles.root.appendingPathComponent("formats/golden/delta").path
  private static func fixture(_ name: String) -> String {
    TestFiles.fixture("signatures/" + name)
  }
  private let key = fixture("a.pub")

  init() throws {
    folder = try TemporaryFolder()
    base = Array(try Data(contentsOf: URL(fileURLWithPath: Self.goldens + "/base.vlmz")))
    target = Array(try Data(contentsOf: URL(fileURLWithPath: Self.goldens + "/target.vlmz")))
    model = try folder.write("m.vlmz", base)
    packed = folder.path("new.vlmzp")
    delta = folder.path("d.vlmzd")
    signature = folder.path("new.vlmz.minisig")
    let new = Self.goldens + "/target.vlmz"
    try Self.done("pack", new, packed, "-q")
    try Self.done("delta", Self.goldens + "/base.vlmz", new, delta)
    try Self.done("sign", new, "--key", Self.fixture("a.key"), "-o", signature, "-q")
    try Self.done("sign", model, "--key", Self.fixture("a.key"), "-q")
  }

  private static func done(_ arguments: String...) throws {
    let outcome = try CommandRunner.run("vlm-convert", arguments)
    try #require(outcome.status == 0, "\(outcome.errors)")
  }

  /// A signature by another key, and one by key a of another file.
  private var otherSignatures: (otherKey: String, otherFile: String) {
    (Self.fixture("by-b.minisig"), folder.path("m.vlmz.minisig"))
  }

  // MARK: - unpack

  @Test("what is unpacked gets its name, and its signature beside it, when a trusted key signed it")
  func unpack() throws {
    let output = folder.path("o.vlmz")
    let outcome = try CommandRunner.convert("unpack", packed, output, "--trust", key)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(try folder.read("o.vlmz") == target)
    #expect(try folder.read("o.vlmz.minisig") == folder.read("new.vlmz.minisig"))
    let verified = try CommandRunner.convert("verify-signature", output, "--key", key)
    #expect(verified.status == 0)
    // The one beside the output is only replaced if asked.
    let again = try CommandRunner.convert("unpack", packed, output, "--trust", key)
    #expect(again.status == 73 && again.errors.contains("already exists"))
    let forced = try CommandRunner.convert("unpack", packed, output, "--trust", key, "--force")
    #expect(forced.status == 0, "\(forced.errors)")
  }

  @Test("from a pipe the signature is that beside the output, or the one that is named")
  func pipe() throws {
    let script = #"cat "$1" | "$BIN/vlm-convert" unpack - "$2" --trust "$3" $4"#
    let lacking = try CommandRunner.shell(script, packed, folder.path("o.vlmz"), key, "")
    #expect(lacking.status == 77)
    #expect(lacking.errors.contains("there is no '\(folder.path("o.vlmz.minisig"))'"))
    // Nothing can be signed that is not there.
    #expect(
      lacking.errorLine.hasSuffix(
        "from whoever signed that, and --signature FILE says where it lies"))
    let named = try CommandRunner.shell(
      script, packed, folder.path("o.vlmz"), key, "--signature \(signature)")
    #expect(named.status == 0, "\(named.errors)")
    let beside = try CommandRunner.shell(script, packed, folder.path("new.vlmz"), key, "")
    #expect(beside.status == 0, "\(beside.errors)")
    #expect(try folder.read("new.vlmz") == target)
  }

  @Test("a signature by another key, or of another file, leaves nothing")
  func unpackRefused() throws {
    let (otherKey, otherFile) = otherSignatures
    let before = try folder.names
    for (path, message) in [
      (otherKey, "signature by key"), (otherFile, "trusted comment: root hash"),
    ] {
      let outcome = try CommandRunner.convert(
        "unpack", packed, folder.path("o.vlmz"), "--trust", key, "--signature", path)
      #expect(outcome.status == 77 && outcome.output.isEmpty)
      #expect(outcome.errorLine.contains(message), "\(outcome.errors)")
      #expect(try folder.names == before)
    }
  }

  @Test("bytes that were not signed leave nothing, also where the comment says nothing of them")
  func otherBytes() throws {
    // A signature of minisign's own states no root hash: here one of another file.
    let path = try folder.write(
      "f.minisig",
      Array(try Data(contentsOf: URL(fileURLWithPath: Self.fixture("model.vlmz.minisig")))))
    let before = try folder.names
    let outcome = try CommandRunner.convert(
      "unpack", packed, folder.path("o.vlmz"), "--trust", key, "--signature", path)
    #expect(outcome.status == 77 && outcome.output.isEmpty, "\(outcome.errors)")
    #expect(try folder.names == before)
  }

  @Test("an output that is there already, and one that is resumed, have to be signed too")
  func resumed() throws {
    let output = folder.path("o.vlmz")
    let broken = try CommandRunner.shell(
      #"head -c "$3" "$1" | "$BIN/vlm-convert" unpack - "$2" --trust "$4" --signature "$5""#,
      packed, output, "\(try folder.read("new.vlmzp").count - 70)", key, signature)
    #expect(broken.status == 65, "\(broken.errors)")
    for expected in ["root hash", "already unpacked"] {
      let outcome = try CommandRunner.convert(
        "unpack", packed, output, "--resume", "--trust", key)
      #expect(outcome.status == 0 && outcome.output.contains(expected), "\(outcome.errors)")
      try FileManager.default.removeItem(atPath: output + ".minisig")
    }
    let (otherKey, _) = otherSignatures
    let refused = try CommandRunner.convert(
      "unpack", packed, output, "--resume", "--trust", key, "--signature", otherKey)
    #expect(refused.status == 77)
  }

  // MARK: - apply

  @Test("a model becomes a version that was signed, and each has its signature")
  func apply() throws {
    let old = try folder.read("m.vlmz.minisig")
    let arguments = [
      "apply", delta, model, "--trust", key, "--signature", signature, "--keep-old", ".old",
    ]
    let first = try CommandRunner.run("vlm-convert", arguments)
    #expect(first.status == 0 && first.errors.isEmpty, "\(first.errors)")
    #expect(try folder.read("m.vlmz") == target)
    #expect(try folder.read("m.vlmz.minisig") == folder.read("new.vlmz.minisig"))
    #expect(try folder.read("m.vlmz.old") == base)
    #expect(try folder.read("m.vlmz.old.minisig") == old)
    // As after an end between the two renamings.
    try folder.write("m.vlmz.minisig", old)
    let second = try CommandRunner.run("vlm-convert", arguments)
    #expect(second.status == 0 && second.output.contains("already is"), "\(second.errors)")
    #expect(try folder.read("m.vlmz.minisig") == folder.read("new.vlmz.minisig"))
    #expect(try folder.read("m.vlmz.old.minisig") == old)
  }

  @Test("a version that was not signed changes nothing")
  func applyRefused() throws {
    let (otherKey, otherFile) = otherSignatures
    let before = try folder.names
    for path in [otherKey, otherFile, folder.path("none")] {
      let outcome = try CommandRunner.convert(
        "apply", delta, model, "--trust", key, "--signature", path, "--keep-old", ".old")
      #expect(outcome.status == 77 && outcome.output.isEmpty, "\(outcome.errors)")
      #expect(try folder.names == before)
      #expect(try folder.read("m.vlmz") == base)
    }
  }

  @Test("the signature of another output is beside it, unless it is named")
  func applyElsewhere() throws {
    let output = folder.path("new.vlmz")
    let outcome = try CommandRunner.convert("apply", delta, model, "-o", output, "--trust", key)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(try folder.read("new.vlmz") == target)
  }

  @Test("an output that an end left without its signature gets it, and any other stays")
  func applyAgain() throws {
    let output = folder.path("o.vlmz")
    let arguments = [
      "apply", delta, model, "-o", output, "--trust", key, "--signature", signature,
    ]
    try folder.write("o.vlmz", target)
    let again = try CommandRunner.run("vlm-convert", arguments)
    #expect(again.status == 0 && again.output.contains("already is"), "\(again.errors)")
    #expect(try folder.read("o.vlmz.minisig") == folder.read("new.vlmz.minisig"))
    // With both there, with the signature's usual place, and without a key nothing is left to do.
    for less in [arguments, Array(arguments.dropLast(2)), Array(arguments.dropLast(4))] {
      let third = try CommandRunner.run("vlm-convert", less)
      #expect(third.status == 0 && third.output.contains("already is"), "\(third.errors)")
    }
    try FileManager.default.removeItem(atPath: output + ".minisig")
    var damaged = target
    damaged[damaged.count - 1] ^= 1
    for bytes in [base, damaged] {
      try folder.write("o.vlmz", bytes)
      let other = try CommandRunner.run("vlm-convert", arguments)
      #expect(other.status == 73, "\(other.errors)")
      #expect(try folder.read("o.vlmz") == bytes)
      #expect(!FileManager.default.fileExists(atPath: output + ".minisig"))
    }
  }

  @Test("what belongs to no call is refused with a way on")
  func usage() throws {
    let place = try CommandRunner.convert("apply", delta, model, "--trust", key)
    #expect(place.status == 64 && place.errors.contains("expected --signature FILE too"))
    for command in ["apply", "unpack"] {
      let alone = try CommandRunner.convert(command, delta, model, "--signature", signature)
      #expect(alone.status == 64 && alone.errors.contains("goes with --trust KEY"))
    }
  }
}
