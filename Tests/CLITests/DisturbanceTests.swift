import Foundation
import Testing
import VLMTestSupport

/// What a conversion does when the disk is full or its source changes under it.
@Suite("Disturbed conversions", .serialized)
struct DisturbanceTests {
  let model: LargerCheckpoint

  init() throws { model = try LargerCheckpoint() }

  /// One line, status 74, the old output as it was and nothing beside it.
  private func expectFailure(_ outcome: CommandRunner.Outcome, _ text: String) throws {
    #expect(outcome.status == 74, "\(outcome.errors)")
    #expect(outcome.errors.contains(text), "\(outcome.errors)")
    #expect(
      outcome.errors.split(separator: "\n").filter { !$0.contains("warning") }.count == 1)
    #expect(try model.content(model.output) == Data("old".utf8))
    #expect(try model.names == ["model.vlmz"])
  }

  @Test("V59 a file size limit is an error in one line, at any size", arguments: [1, 8, 2000])
  func sizeLimit(blocks: Int) throws {
    try Data("old".utf8).write(to: URL(fileURLWithPath: model.output))
    let command = try RunningCommand(
      "vlm-convert", [model.path, model.output, "--q8", "--force", "-q"],
      prelude: "ulimit -f \(blocks)")
    try expectFailure(try command.finish(), "File too large")
  }

  /// Where a small file system can be mounted.
  static let canMount: Bool = {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("vlmz-mount-\(getpid())").path
    mkdir(folder, 0o700)
    defer { rmdir(folder) }
    guard mount("none", folder, "tmpfs", 0, "size=1m") == 0 else { return false }
    umount(folder)
    return true
  }()
  static let mountReason: Comment = "needs the right to mount a small file system"

  @Test("V59 a full disk is an error in one line", .enabled(if: canMount, mountReason))
  func fullDisk() throws {
    let folder = model.folder.path("out")
    try #require(mount("none", folder, "tmpfs", 0, "size=3m") == 0)
    defer { umount(folder) }
    try Data("old".utf8).write(to: URL(fileURLWithPath: model.output))
    let outcome = try CommandRunner.run(
      "vlm-convert", [model.path, model.output, "--q8", "--force"])
    try expectFailure(outcome, "No space left on device")
    let extracted = try CommandRunner.run(
      "vlm-convert", [model.path, folder + "/big.vlmz", "--f32"])
    #expect(extracted.status == 74)
    #expect(try model.names == ["model.vlmz"])
  }

  /// Does something to the source in the middle of a conversion.
  private func disturb(_ change: () throws -> Void) throws -> CommandRunner.Outcome {
    for _ in 0..<20 {
      try LargerCheckpoint.write(model.path, seed: 1)
      try Data("old".utf8).write(to: URL(fileURLWithPath: model.output))
      let command = try RunningCommand(
        "vlm-convert", [model.path, model.output, "--q8", "--force"])
      let met = command.waits(until: model.partial, has: LargerCheckpoint.halfway / 2)
      command.send(SIGSTOP)
      let isUnfinished = FileManager.default.fileExists(atPath: model.partial)
      if met, isUnfinished { try change() }
      command.send(SIGCONT)
      let outcome = try command.finish()
      if met, isUnfinished { return outcome }
    }
    throw LargerCheckpoint.Failure(text: "the conversion always ended first")
  }

  @Test("V56 a source that is cut short while it is mapped is an error in one line")
  func truncated() throws {
    let outcome = try disturb { truncate(model.path, 4096) }
    try expectFailure(outcome, "\(model.path): changed")
  }

  @Test("V57 a source that is written to is refused")
  func changed() throws {
    let outcome = try disturb {
      let file = try FileHandle(forWritingTo: URL(fileURLWithPath: model.path))
      try file.seek(toOffset: 100_000)
      try file.write(contentsOf: Data([1, 2, 3]))
      try file.close()
    }
    try expectFailure(outcome, "\(model.path): changed")
  }

  @Test("V57 a source that another file takes the place of is refused")
  func replaced() throws {
    let other = model.folder.path("other.safetensors")
    let outcome = try disturb {
      try LargerCheckpoint.write(other, seed: 2)
      rename(other, model.path)
    }
    try expectFailure(outcome, "\(model.path): changed")
  }
}
