import Foundation
import Testing
import VLMContainer
import VLMTestSupport

/// `delta` and `apply` as they are used.
@Suite("Deltas by command")
struct DeltaCommandTests {
  let folder: TemporaryFolder
  let model: String
  let delta: String
  private let base: [UInt8]
  private let target: [UInt8]

  private static let goldens = TestFiles.root.appendingPathComponent("formats/golden/delta").path
  private static let old = goldens + "/base.vlmz"
  private static let new = goldens + "/target.vlmz"

  init() throws {
    folder = try TemporaryFolder()
    base = try Self.bytes(Self.old)
    target = try Self.bytes(Self.new)
    model = try folder.write("m.vlmz", base)
    delta = folder.path("d.vlmzd")
    let outcome = try CommandRunner.convert("delta", Self.old, Self.new, delta)
    try #require(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("tensors: 1 unchanged, 2 changed, 0 new"), "\(outcome.output)")
    #expect(outcome.errors == "")
  }

  private static func bytes(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  private static func root(_ path: String) throws -> String {
    hexadecimal(try Container.open(path: path).rootHash)
  }

  @Test("a model becomes its next version, keeps the old one, and is left alone the second time")
  func apply() throws {
    let first = try CommandRunner.convert("apply", delta, model, "--keep-old", ".old")
    #expect(first.status == 0, "\(first.errors)")
    #expect(first.output.contains("root hash \(try Self.root(Self.new))"))
    #expect(first.output.contains("the old file is \(model).old"))
    #expect(try folder.read("m.vlmz") == target)
    #expect(try folder.read("m.vlmz.old") == base)
    let second = try CommandRunner.convert("apply", delta, model, "--keep-old", ".old")
    #expect(second.status == 0, "\(second.errors)")
    #expect(second.output.contains("already is what the delta makes"))
    #expect(try folder.read("m.vlmz.old") == base)
    #expect(try folder.names == ["d.vlmzd", "m.vlmz", "m.vlmz.old"])
    // Another output that already is the new version is left alone, too; any other file is kept.
    let old = folder.path("m.vlmz.old")
    let there = try CommandRunner.convert("apply", delta, old, "-o", model)
    #expect(there.status == 0 && there.output.contains("already is"), "\(there.errors)")
    let other = try folder.write("other.vlmz", base)
    let refused = try CommandRunner.convert("apply", delta, old, "-o", other, "-q")
    #expect(refused.status == 73)
    #expect(try folder.read("other.vlmz") == base)
    let copy = try CommandRunner.convert("apply", delta, model, "-o", folder.path("copy.vlmz"))
    #expect(copy.status == 65)
    #expect(copy.errors.contains("is already what the delta makes; copy it"))
  }

  @Test("an old signature is told of, and kept with the old file")
  func signatures() throws {
    try folder.write("m.vlmz.minisig", [1, 2])
    let other = try CommandRunner.convert("apply", delta, model, "-o", folder.path("o.vlmz"))
    #expect(other.status == 0 && other.errors == "", "\(other.errors)")
    let first = try CommandRunner.convert("apply", delta, model, "--keep-old", ".old")
    #expect(first.status == 0, "\(first.errors)")
    #expect(first.errors.contains("m.vlmz.minisig is the old file's signature"), "\(first.errors)")
    #expect(try folder.read("m.vlmz.old.minisig") == [1, 2])
    #expect(try folder.read("m.vlmz.minisig") == [1, 2])
    // Neither changes with the other.
    try Data([3]).write(to: URL(fileURLWithPath: folder.path("m.vlmz.minisig")))
    #expect(try folder.read("m.vlmz.old.minisig") == [1, 2])
    // A signature that was kept before is no less in the way than a file.
    try folder.write("m.vlmz", base)
    try FileManager.default.removeItem(atPath: folder.path("m.vlmz.old"))
    let second = try CommandRunner.convert("apply", delta, model, "--keep-old", ".old")
    #expect(second.status == 73 && second.errors.contains("m.vlmz.old.minisig"), "\(second.errors)")
    #expect(try folder.read("m.vlmz") == base)
    let forced = try CommandRunner.convert(
      "apply", delta, model, "--keep-old", ".old", "--force", "-q")
    #expect(forced.status == 0 && forced.errors == "", "\(forced.errors)")
  }

  @Test("refusals are one line, and leave the model")
  func refusals() throws {
    var broken = try folder.read("d.vlmzd")
    broken[200] ^= 1
    let damaged = try folder.write("damaged.vlmzd", broken)
    broken[200] ^= 1
    broken[5] ^= 1
    try folder.write("d5.vlmzd", broken)
    let cases: [([String], Int32, String)] = [
      (["apply", damaged, model], 65, "the bytes are damaged [D15]"),
      (["apply", delta, Self.goldens + "/damaged.vlmz", "-o", folder.path("o.vlmz")], 65, "[R50]"),
      (["apply", model, model], 65, "is a .vlmz container, expected a .vlmzd delta [D02]"),
      (["apply", delta, delta], 65, "expected a .vlmz container; 'vlm-convert apply' makes"),
      (["apply", delta, folder.path("none.vlmz")], 66, "No such file"),
      (["apply", delta, model, "-o", model], 73, "same file as the input"),
      (["apply", delta, model, "--keep-old", model], 73, "same file as the input"),
      (["apply", delta, model, "--keep-old", delta], 73, "same file as the input"),
      (["apply", delta, model, "--keep-old", ".o", "-o", "x.vlmz"], 64, "--keep-old"),
      (["apply", delta, model, "--keep-old", model + ".minisig", "--force"], 64, "a signature's"),
      (["apply", delta, model, "-o", model + ".minisig", "--force"], 64, "a signature's"),
      (["apply", folder.path("d5.vlmzd"), model], 65, "signature of a .vlmzd delta is changed"),
      (["delta", Self.old, Self.new, delta], 73, "already exists; use --force"),
      (["delta", Self.old, Self.goldens + "/damaged.vlmz", folder.path("x.vlmzd")], 65, "[R50]"),
      (["delta", Self.old, Self.new, folder.path("x.safetensors")], 64, "ends in .vlmzd"),
      (["delta", Self.old, Self.new, "-"], 64, "cannot go to a pipe"),
      (["apply", "-", model], 64, "reads no pipe"),
      (["apply", delta, "-"], 64, "reads no pipe"),
      (["verify", delta], 65, "expected a .vlmz, safetensors, PyTorch or GGUF file"),
      (["verify", delta], 65, "out of it and its base ('vlm-convert inspect' shows which)"),
    ]
    let names = try folder.names
    for (arguments, status, text) in cases {
      let outcome = try CommandRunner.run("vlm-convert", arguments)
      #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
      #expect(outcome.errors.contains(text), "\(arguments): \(outcome.errors)")
      #expect(outcome.output == "", "\(arguments)")
      if status != 64 {
        #expect(outcome.errorLine.split(separator: "\n").count == 1, "\(outcome.errors)")
      }
      #expect(try folder.read("m.vlmz") == base)
      #expect(try folder.names == names, "\(arguments)")
    }
  }

  @Test("inspect says what a delta is, and other commands what to do with it")
  func inspect() throws {
    let lines = try CommandRunner.convert("inspect", delta)
    #expect(lines.status == 0, "\(lines.errors)")
    #expect(lines.output.contains("root hash \(try Self.root(Self.old))"))
    #expect(lines.output.contains("root hash \(try Self.root(Self.new))"))
    let json = try CommandRunner.convert("inspect", delta, "--json")
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
    #expect(object["kind"] as? String == "vlmzd")
    let made = object["target"] as? [String: Any]
    let root = try Self.root(Self.new)
    #expect(made?["content_hash"] as? String == root)
    let again = try CommandRunner.convert(
      "delta", Self.old, Self.new, delta, "--force", "--json")
    let report = try #require(
      try JSONSerialization.jsonObject(with: Data(again.output.utf8)) as? [String: Any])
    let tensors = report["tensors"] as? [String: Int]
    #expect(tensors == ["unchanged": 1, "changed": 2, "new": 0])
    let run = try CommandRunner.vlmRun(delta, "p.png")
    #expect(run.status == 65)
    #expect(run.errors.contains("'vlm-convert apply'"), "\(run.errors)")
  }

  /// The model is the old one or the new one, whole, and nothing else lies in the folder.
  private func expectOneOfBoth(_ outcome: CommandRunner.Outcome, _ place: String) throws {
    let found = try folder.read("m.vlmz")
    #expect(found == base || found == target, "\(place)")
    if outcome.status == 0 { #expect(found == target, "\(place)") }
    let names = Set(try folder.names)
    let before: Set = ["d.vlmzd", "m.vlmz", "m.vlmz.minisig"]
    let all = before.union(["m.vlmz.old", "m.vlmz.old.minisig"])
    #expect(names.isSubset(of: all), "\(place): \(names)")
    // A failure leaves nothing that the next call could not make; a signal may have come too late.
    if outcome.status != 0, outcome.status < 128 { #expect(names == before, "\(place)") }
    if names.contains("m.vlmz.old") { #expect(try folder.read("m.vlmz.old") == base) }
  }

  private func restore() throws {
    try folder.write("m.vlmz", base)
    try folder.write("m.vlmz.minisig", [1, 2])
    for ending in [".old", ".old.minisig"] {
      try? FileManager.default.removeItem(atPath: model + ending)
    }
  }

  @Test("what an interrupted run has kept is no obstacle to the same command")
  func again() throws {
    let arguments = ["apply", delta, model, "--keep-old", ".old", "-q"]
    // The signature was kept, and the old file got its second name, or a copy on another disk.
    for isLink in [true, false] {
      try restore()
      try folder.write("m.vlmz.old.minisig", [1, 2])
      if isLink {
        try FileManager.default.linkItem(atPath: model, toPath: model + ".old")
      } else {
        try folder.write("m.vlmz.old", base)
      }
      let outcome = try CommandRunner.run("vlm-convert", arguments)
      #expect(outcome.status == 0, "\(outcome.errors)")
      #expect(try folder.read("m.vlmz") == target)
      #expect(try folder.read("m.vlmz.old") == base)
      #expect(try folder.read("m.vlmz.old.minisig") == [1, 2])
    }
    // Of another model, or another signature, they are in the way.
    var other = base
    other[base.count - 1] ^= 1
    for (name, content) in [("m.vlmz.old", other), ("m.vlmz.old.minisig", [1, 3])] {
      try restore()
      try folder.write(name, content)
      let outcome = try CommandRunner.run("vlm-convert", arguments)
      #expect(outcome.status == 73 && outcome.errors.contains(name), "\(outcome.errors)")
      #expect(try folder.read("m.vlmz") == base)
      #expect(try folder.read(name) == content)
    }
  }

  @Test(
    "a disk that fails at any call, or a signal there, leaves the old model or the new one",
    .enabled(if: FaultyDisk.isAvailable, FaultyDisk.reason))
  func faults() throws {
    let disk = FaultyDisk(folder: folder.url.path)
    let arguments = ["apply", delta, model, "--keep-old", ".old", "-q"]
    try restore()
    let (whole, calls) = try disk.run("vlm-convert", arguments)
    #expect(whole.status == 0, "\(whole.errors)")
    #expect(!calls.isEmpty)
    var failures = 0
    for call in ["open", "reserve", "write", "truncate", "sync", "rename"] {
      for number in 1...max(1, calls.count { $0.hasPrefix(call) }) {
        for code in [ENOSPC, -SIGTERM, -SIGINT] {
          try restore()
          let fault = FaultyDisk.Fault(call: call, number: number, code: code)
          let (outcome, _) = try disk.run("vlm-convert", arguments, fault: fault)
          failures += outcome.status == 0 ? 0 : 1
          let place = "\(call) \(number) \(code): \(outcome.errors)"
          try expectOneOfBoth(outcome, place)
          guard outcome.status != 0 else { continue }
          let again = try CommandRunner.run("vlm-convert", arguments)
          #expect(again.status == 0, "\(place), then \(again.errors)")
          #expect(try folder.read("m.vlmz") == target, "\(place)")
          #expect(try folder.read("m.vlmz.old") == base, "\(place)")
        }
      }
    }
    #expect(failures > 6)
  }
}
