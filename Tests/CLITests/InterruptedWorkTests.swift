import Foundation
import Testing
import VLMTestSupport

/// Readers that go away, processes that were killed, and file systems that cannot be written.
@Suite("Interrupted work", .serialized)
struct InterruptedWorkTests {
  private let folder: TemporaryFolder
  private let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = folder.path("m.vlmz")
    let made = try CommandRunner.convert(TestFiles.fixture("convnext-cifar10"), model, "-q")
    try #require(made.status == 0, "\(made.errors)")
  }

  /// Runs a command once nobody reads its output any more; its status.
  private func unread(_ command: String) throws -> String {
    let outcome = try CommandRunner.shell(
      """
      cd "$1"; rm -f status; mkfifo gone; exec 9<>gone; exec 8>gone; exec 9<&-
      { "$BIN"/\(command); echo $? > status; } >&8 2>errors; rm gone; cat status errors
      """, folder.url.path)
    return outcome.output.trimmingCharacters(in: .newlines)
  }

  @Test("a command that only prints ends as by SIGPIPE, and what was asked for as files is written")
  func readers() throws {
    try FileManager.default.copyItem(atPath: DemonstrationTests.horse, toPath: folder.path("p.png"))
    #expect(try unread("vlm-run m.vlmz p.png p.png -q") == "141")
    #expect(try unread("vlm-convert inspect m.vlmz") == "141")
    #expect(try unread("vlm-convert diff m.vlmz m.vlmz") == "141")
    #expect(try unread("vlm-run --help") == "141")
    #expect(try unread("vlm-run m.vlmz p.png p.png -q --embed e.npy") == "0")
    #expect(try folder.read("e.npy").starts(with: [0x93, 0x4e]))
    #expect(try unread("vlm-convert extract m.vlmz x.safetensors") == "0")
    #expect(try unread("vlm-run m.vlmz p.png none.png -q --embed f.npy").hasPrefix("66\n"))
    #expect(try folder.names.contains("f.npy"))
    for command in ["--help", "--version", "inspect m.vlmz"] {
      let full = try CommandRunner.shell(
        #"cd "$1"; "$BIN/vlm-convert" $2 > /dev/full; echo $?"#, folder.url.path, command)
      #expect(full.output == "74\n", "\(command): \(full.errors)")
    }
  }

  @Test("what a killed command left of an output is removed by the next")
  func rests() throws {
    let rest = ".x.safetensors.2147483647-1.tmp"
    try folder.write(rest, [1])
    let outcome = try CommandRunner.convert("extract", model, folder.path("x.safetensors"), "-q")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(!FileManager.default.fileExists(atPath: folder.path(rest)))
  }

  @Test("a damaged model is not passed on as a sound one")
  func damaged() throws {
    var bytes = try folder.read("m.vlmz")
    bytes[bytes.count / 2] ^= 0x10
    let path = try folder.write("damaged.vlmz", bytes)
    let out = folder.path("x.safetensors")
    for arguments in [
      ["extract", path, out], ["extract", path, out, "--codes"], ["hash", path],
      ["hash", path, "--content"], ["inspect", path, "--bom", "spdx"],
      ["inspect", path, "--bom", "cyclonedx"],
    ] {
      let outcome = try CommandRunner.run("vlm-convert", arguments)
      #expect(outcome.status == 65, "\(arguments): \(outcome.errors)")
      #expect(outcome.errors.contains("[R50]"), "\(outcome.errors)")
      #expect(outcome.output == "")
      #expect(try folder.names == ["damaged.vlmz", "m.vlmz"])
    }
  }

  @Test("the journal of a transfer that was killed at its very end goes with --resume")
  func journal() throws {
    let (packed, back) = (folder.path("m.vlmzp"), folder.path("o.vlmz"))
    #expect(try CommandRunner.convert("pack", model, packed, "-q").status == 0)
    #expect(try CommandRunner.convert("unpack", packed, back, "-q").status == 0)
    try folder.write("o.vlmz.partial.journal", Array("vlmz unpack 1\n".utf8))
    let outcome = try CommandRunner.convert("unpack", packed, back, "--resume")
    #expect(outcome.status == 0 && outcome.output.contains("already unpacked"), "\(outcome)")
    #expect(try folder.names == ["m.vlmz", "m.vlmzp", "o.vlmz"])
    // Somebody else's file stays.
    try folder.write("o.vlmz.partial.journal", [1])
    #expect(try CommandRunner.convert("unpack", packed, back, "--resume").status == 0)
    #expect(try folder.read("o.vlmz.partial.journal") == [1])
  }

  @Test(
    "a packed model runs from a cache that cannot be written",
    .enabled(if: FaultyDisk.isAvailable, FaultyDisk.reason))
  func readOnlyCache() throws {
    let packed = folder.path("m.vlmzp")
    #expect(try CommandRunner.convert("pack", model, packed, "-q").status == 0)
    let cache = folder.path("cache")
    let variables = ["XDG_CACHE_HOME": cache]
    let arguments = [packed, DemonstrationTests.horse, "-q"]
    let first = try CommandRunner.run("vlm-run", arguments, environment: variables)
    #expect(first.status == 0, "\(first.errors)")
    let faults = [
      "LD_PRELOAD": CommandRunner.folder.appendingPathComponent("vlm-faults.so").path,
      "VLM_FAULT_FOLDER": cache + "/vlmz", "VLM_FAULT": "open:1:\(EROFS)",
    ]
    let second = try CommandRunner.run(
      "vlm-run", arguments, environment: variables.merging(faults) { $1 })
    #expect(second.status == 0, "\(second.errors)")
    #expect(second.output.contains("horse"))
  }

  @Test(
    "options that cannot be meant so are told as such",
    arguments: [
      (["vlm-run", "m", "p", "--embed", "a", "--embed", "b"], "--embed: found 'a' and 'b'"),
      (["vlm-run", "m", "p", "--dump=a", "--dump", "b"], "--dump: found 'a' and 'b'"),
      (["vlm-convert", "sign", "m", "--key", "a", "--key", "b"], "--key: found 'a' and 'b'"),
      (["vlm-convert", "apply", "d", "m", "-o", "a", "--output", "b"], "--output: found 'a'"),
      (["vlm-run", "m", "p", "--top", "-1"], "--top: found '-1', expected no negative number"),
      (["vlm-serve", "m", "--port", "-1"], "--port: found '-1', expected no"),
      (["vlm-run", "m", "-p", "Hi", "--stop", ""], "--stop: found an empty text"),
      (["vlm-run", "m", "--ctx", "100000000"], "--ctx: found 100000000, expected 1 to"),
      (["vlm-serve", "m", "--server-name", ""], "--server-name: found ''"),
      (["vlm-serve", "m", "--server-name", "a\nb"], "found 'a\\u{a}b', expected a name"),
      (["vlm-serve", "m", "--unix", ""], "--unix: found an empty name"),
      (["vlm-serve", "m", "--max-pictures", "1025"], "found 1025, expected 0 to 1024"),
      (["vlm-serve", "m", "--drain", "86401"], "--drain: found 86401, expected 0 to 86400"),
      (
        ["vlm-convert", "apply", "d", "m", "-o", "a.MINISIG"],
        "--output: found 'a.MINISIG', expected another name"
      ),
      (
        ["vlm-convert", "apply", "d", "m", "--keep-old", "a.minisig"],
        "--keep-old: found 'a.minisig', expected another name"
      ),
    ])
  func options(_ arguments: [String], _ text: String) throws {
    let outcome = try CommandRunner.run(arguments[0], Array(arguments.dropFirst()))
    #expect(outcome.status == 64, "\(outcome.errors)")
    #expect(outcome.errors.contains(text), "\(outcome.errors)")
    #expect(outcome.errorLine.split(separator: "\n").count == 1)
  }

  @Test("an empty name is called one, and a text may look like an option")
  func names() throws {
    let outcome = try CommandRunner.vlmRun("", DemonstrationTests.horse)
    #expect(outcome.status == 66)
    #expect(outcome.errors.contains("vlm-run: an empty name: "), "\(outcome.errors)")
    let texts = try CommandRunner.vlmRun(
      "none.vlmz", "p.png", "--system", "--embed", "-p", "--embed", "--embed", "a.npy")
    #expect(texts.status == 66, "\(texts.errors)")
  }
}
