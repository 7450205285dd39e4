import Foundation
import Testing
import VLMTestSupport

/// `pack`, `unpack`, and the commands that open a packed model.
@Suite("Packed models", .serialized)
struct TransportTests {
  private let folder: TemporaryFolder
  private let model: String
  private let packed: String

  init() throws {
    folder = try TemporaryFolder()
    model = folder.path("model.vlmz")
    packed = folder.path("model.vlmzp")
    let made = try CommandRunner.convert(TestFiles.fixture("convnext-cifar10"), model, "--q8", "-q")
    try #require(made.status == 0, "\(made.errors)")
    let outcome = try CommandRunner.convert("pack", model, packed)
    try #require(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.hasPrefix("\(packed): ") && outcome.output.contains("root hash "))
  }

  private func content(_ name: String) throws -> Data {
    try Data(contentsOf: folder.url.appendingPathComponent(name))
  }

  @Test("a packed file comes back through a pipe, and is replaced with --force only")
  func pipe() throws {
    let outcome = try CommandRunner.shell(
      #"cat "$1" | "$BIN/vlm-convert" unpack - "$2""#, packed, folder.path("back.vlmz"))
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("verified, root hash "))
    #expect(try content("back.vlmz") == content("model.vlmz"))
    let again = try CommandRunner.convert("unpack", packed, folder.path("back.vlmz"))
    #expect(again.status == 73)
    #expect(again.errorLine.hasSuffix("already exists; use --force to replace it"))
    #expect(try CommandRunner.convert("unpack", packed, model, "--force").status == 0)
  }

  @Test("a broken pipe tells the byte to continue from, and the rest completes the file")
  func brokenPipe() throws {
    let size = try content("model.vlmzp").count
    let back = folder.path("back.vlmz")
    let broken = try CommandRunner.shell(
      #"head -c "$3" "$1" | "$BIN/vlm-convert" unpack - "$2""#, packed, back, "\(size * 3 / 4)")
    #expect(broken.status == 65)
    let offset = try CommandRunner.convert("unpack", "--offset", "-", back).output
      .trimmingCharacters(in: .newlines)
    let first = try #require(Int(offset))
    #expect(first > 0 && first < size)
    #expect(
      broken.errorLine.contains(
        "; what came is kept: --resume continues, and needs the file from byte \(first) on "
          + "(curl -r \(first)-)"))
    let rest = try CommandRunner.shell(
      #"tail -c +"$3" "$1" | "$BIN/vlm-convert" unpack --resume - "$2""#, packed, back,
      "\(first + 1)")
    #expect(rest.status == 0, "\(rest.errors)")
    #expect(rest.errors.contains("resumed after "))
    #expect(try content("back.vlmz") == content("model.vlmz"))
    #expect(try folder.names == ["back.vlmz", "model.vlmz", "model.vlmzp"])
  }

  @Test("an output that is there already is left as it is with --resume, if it is the right one")
  func alreadyUnpacked() throws {
    let outcome = try CommandRunner.convert("unpack", "--resume", packed, model)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.hasPrefix("\(model): already unpacked, nothing to do; root hash "))
    var bytes = Array(try content("model.vlmz"))
    bytes[bytes.count / 2] ^= 1
    let damaged = try folder.write("damaged.vlmz", bytes)
    let refused = try CommandRunner.convert("unpack", "--resume", packed, damaged)
    #expect(refused.status == 73)
    #expect(try Array(content("damaged.vlmz")) == bytes)
  }

  @Test("P23 bytes behind the end are an error that continuing would not help")
  func trailingBytes() throws {
    let longer = try folder.write("longer.vlmzp", Array(try content("model.vlmzp")) + [0])
    let outcome = try CommandRunner.convert("unpack", longer, folder.path("back.vlmz"))
    #expect(outcome.status == 65)
    #expect(outcome.errorLine.hasSuffix(": bytes follow the end [P23]"))
    // What came is kept all the same: the right file completes it.
    let right = try CommandRunner.convert("unpack", "--resume", packed, folder.path("back.vlmz"))
    #expect(right.status == 0, "\(right.errors)")
    #expect(right.errors.contains("resumed after "))
  }

  @Test("a model is unpacked into the cache by the first run, and found by the second")
  func cache() throws {
    let environment = ["XDG_CACHE_HOME": folder.path("cache")]
    let arguments = [packed, "--dry-run", "--json"]
    let first = try CommandRunner.run("vlm-run", arguments, environment: environment)
    #expect(first.status == 0, "\(first.errors)")
    #expect(first.errorLine.contains("model.vlmzp: unpacked for this and later runs: "))
    let second = try CommandRunner.run("vlm-run", arguments, environment: environment)
    #expect(second.status == 0)
    #expect(second.errors.isEmpty)
    #expect(first.output == second.output)

    let cached = folder.url.appendingPathComponent("cache/vlmz")
    let names = try FileManager.default.contentsOfDirectory(atPath: cached.path)
    let name = try #require(names.first { $0.hasSuffix(".vlmz") })
    try Data("damaged".utf8).write(to: cached.appendingPathComponent(name))
    let third = try CommandRunner.run("vlm-run", arguments, environment: environment)
    #expect(third.status == 0, "\(third.errors)")
    #expect(third.output == first.output)
  }

  @Test("two processes that start at once unpack once")
  func atOnce() throws {
    let outcome = try CommandRunner.shell(
      #"""
      export XDG_CACHE_HOME="$2"
      # The two ends of a pipe start together.
      "$BIN/vlm-run" "$1" --dry-run --json >"$2.1" | "$BIN/vlm-run" "$1" --dry-run --json >"$2.2"
      cmp "$2.1" "$2.2"
      """#, packed, folder.path("cache"))
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.errors.components(separatedBy: "unpacked for this").count == 2)
  }

  @Test("without a cache the error says how to unpack")
  func noCache() throws {
    let environment = ["VLM_CACHE_GB": "0"]
    let outcome = try CommandRunner.run("vlm-run", [packed, "--dry-run"], environment: environment)
    #expect(outcome.status == 73)
    #expect(
      outcome.errorLine.hasSuffix(
        "is packed, and VLM_CACHE_GB is 0, so that nothing is unpacked; unpack it first: "
          + "vlm-convert unpack \(packed) \(model)"))
    let wrong = try CommandRunner.run(
      "vlm-run", [packed, "--dry-run"], environment: ["VLM_CACHE_GB": "much"])
    #expect(wrong.status == 64)
    #expect(wrong.errorLine.contains("VLM_CACHE_GB: 'much' is no size, expected a number of GB"))
    for text in ["1G", "500MB", "2", "0.5"] {
      let right = try CommandRunner.run(
        "vlm-run", [packed, "--dry-run"],
        environment: ["VLM_CACHE_GB": text, "XDG_CACHE_HOME": folder.path("cache-" + text)])
      #expect(right.status == 0, "\(right.errors)")
    }
    let file = try folder.write("file", [])
    let blocked = try CommandRunner.run(
      "vlm-run", [packed, "--dry-run"], environment: ["XDG_CACHE_HOME": file])
    #expect(blocked.status == 73)
    #expect(blocked.errorLine.contains("mkdir failed"))
  }

  @Test("inspect and verify read a packed file, and other commands say what it is")
  func looking() throws {
    let inspected = try CommandRunner.convert("inspect", packed)
    #expect(inspected.status == 0)
    #expect(inspected.output.contains("content hash ") && inspected.output.contains("panels: "))
    #expect(try CommandRunner.convert("verify", packed).status == 0)
    var bytes = try content("model.vlmzp")
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: folder.url.appendingPathComponent("damaged.vlmzp"))
    let damaged = try CommandRunner.convert("verify", folder.path("damaged.vlmzp"))
    #expect(damaged.status == 2)
    #expect(damaged.errorLine.contains(": frame ") && damaged.errorLine.hasSuffix(" [P17]"))
    let compared = try CommandRunner.convert("diff", model, packed)
    #expect(compared.status == 65)
    #expect(compared.errorLine.contains("this is a packed .vlmzp, expected"))
    #expect(compared.errorLine.hasSuffix("; unpack it first: vlm-convert unpack"))
  }

  @Test("names of other formats are refused")
  func endings() throws {
    #expect(try CommandRunner.convert("pack", model, folder.path("x.vlmz")).status == 64)
    #expect(try CommandRunner.convert("unpack", packed, folder.path("x.vlmzp")).status == 64)
    #expect(try CommandRunner.convert("pack", model, "-").status == 64)
  }

  @Test("hash tells a packed file's content hash, and what looks at tensors says how to go on")
  func hashes() throws {
    let content = try CommandRunner.convert("hash", "--content", packed)
    let unpacked = try CommandRunner.convert("hash", "--content", model)
    #expect(content.status == 0, "\(content.errors)")
    let hash = try #require(unpacked.output.split(separator: " ").dropFirst().first)
    #expect(content.output.hasPrefix("content \(hash) "))
    let whole = try CommandRunner.convert("hash", "--json", packed)
    #expect(whole.output.contains(#""kind": "vlmzp""#) && whole.output.contains(#""sha256""#))
    for arguments in [["--digests"], ["--bom", "spdx"]] {
      let outcome = try CommandRunner.run("vlm-convert", ["inspect", packed] + arguments)
      #expect(outcome.status == 65 && outcome.output.isEmpty)
      #expect(
        outcome.errors.contains("; unpack it first: vlm-convert unpack "), "\(outcome.errors)")
    }
  }
}
