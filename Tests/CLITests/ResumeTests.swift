import Foundation
import Testing
import VLMTestSupport

/// Conversions that are killed, continued, or disturbed.
@Suite("Resuming", .serialized)
struct ResumeTests {
  let model: LargerCheckpoint

  init() throws { model = try LargerCheckpoint() }

  private func convert(_ flags: String...) throws -> CommandRunner.Outcome {
    try CommandRunner.run("vlm-convert", [model.path, model.output] + flags)
  }

  @Test("V60 a conversion killed anywhere leaves the old output, and continues to the same bytes")
  func killed() throws {
    let reference = try model.reference("--q4")
    var resumed = 0
    for point in 0..<10 {
      try Data("old".utf8).write(to: URL(fileURLWithPath: model.output))
      let target = reference.count * point / 10
      let met = try model.start(["--q4", "--force"], and: SIGKILL, at: target)
      if met {
        #expect(try model.content(model.output) == Data("old".utf8))
        let names = Set(try model.names)
        #expect(
          names.isSubset(of: ["model.vlmz", "model.vlmz.partial", "model.vlmz.partial.journal"]))
        if point > 0 {
          // What is left says what it is, to people and to programs.
          let start = try model.content(model.partial).prefix(29)
          #expect(String(decoding: start, as: UTF8.self) == "unfinished output of vlm-conv")
          #expect(try CommandRunner.convert("verify", model.partial).status == 65)
          #expect(try CommandRunner.vlmRun(model.partial, "x.png").status == 65)
        }
      }
      let outcome = try convert("--q4", "--force", "--resume")
      #expect(outcome.status == 0, "\(outcome.errors)")
      if outcome.errors.contains("resuming: ") { resumed += 1 }
      #expect(try model.content(model.output) == reference)
      #expect(try model.names == ["model.vlmz"])
    }
    #expect(resumed >= 3)
  }

  @Test("V60 killed again and again, it still ends in the same bytes")
  func killedRepeatedly() throws {
    let reference = try model.reference("--q8")
    for point in 1..<6 {
      _ = try model.start(
        ["--q8", "--resume", "--force"], and: SIGKILL, at: reference.count * point / 6)
    }
    #expect(try convert("--q8", "--resume", "--force").status == 0)
    #expect(try model.content(model.output) == reference)
    #expect(try model.names == ["model.vlmz"])
  }

  @Test("without --resume a stale partial file is replaced")
  func stale() throws {
    let reference = try model.reference("--q8")
    _ = try model.start(["--q8", "--resume"], and: SIGKILL, at: reference.count / 2)
    let outcome = try convert("--q8", "--force")
    #expect(outcome.status == 0)
    #expect(!outcome.errors.contains("resuming"))
    #expect(try model.content(model.output) == reference)
    #expect(try model.names == ["model.vlmz"])
  }

  /// Leaves a partial file behind; tried again where the conversion was too fast.
  private func interrupt(_ flags: String...) throws {
    for _ in 0..<20 {
      unlink(model.output)
      if try model.start(flags + ["--resume"], and: SIGKILL, at: LargerCheckpoint.halfway),
        FileManager.default.fileExists(atPath: model.journal)
      {
        return
      }
    }
    throw LargerCheckpoint.Failure(text: "the conversion always ended first")
  }

  @Test("V61 other flags start over, and say so")
  func otherFlags() throws {
    try interrupt("--q8")
    let reference = try model.reference("--f16")
    let outcome = try convert("--f16", "--resume")
    #expect(outcome.status == 0)
    #expect(outcome.errors.contains("starting over"))
    #expect(try model.content(model.output) == reference)
  }

  @Test("V61 another source starts over, and says so")
  func otherSource() throws {
    try interrupt("--q8")
    try LargerCheckpoint.write(model.path, seed: 2)
    let reference = try model.reference("--q8")
    let outcome = try convert("--q8", "--resume")
    #expect(outcome.status == 0)
    #expect(outcome.errors.contains("starting over"))
    #expect(try model.content(model.output) == reference)
  }

  @Test("V61 a damaged journal or partial file costs time and nothing else")
  func damaged() throws {
    let reference = try model.reference("--q8")
    for damage in 0..<5 {
      try interrupt("--q8")
      var partial = try model.content(model.partial)
      var journal = try model.content(model.journal)
      switch damage {
      case 0: journal = journal.prefix(journal.count / 2)
      case 1: journal[journal.count / 2] ^= 1
      case 2: partial[partial.count / 3] ^= 1
      case 3: partial = partial.prefix(partial.count / 3)
      default: partial = Data()
      }
      try partial.write(to: URL(fileURLWithPath: model.partial))
      try journal.write(to: URL(fileURLWithPath: model.journal))
      let outcome = try convert("--q8", "--resume", "--force")
      #expect(outcome.status == 0, "\(outcome.errors)")
      #expect(try model.content(model.output) == reference, "damage \(damage)")
      #expect(try model.names == ["model.vlmz"])
    }
  }

  @Test("V61 a record for other bytes is not believed")
  func otherRecord() throws {
    try interrupt("--q8")
    // The last line again: a tensor out of its place.
    let lines = try model.content(model.journal).split(separator: UInt8(ascii: "\n"))
    var text = Data(lines.prefix(2).joined(separator: [UInt8(ascii: "\n")]))
    text.append(contentsOf: [UInt8(ascii: "\n")] + lines[lines.count - 1] + [UInt8(ascii: "\n")])
    try text.write(to: URL(fileURLWithPath: model.journal))
    #expect(try convert("--q8", "--resume", "--force").status == 0)
    #expect(try model.content(model.output) == model.reference("--q8"))
  }

  @Test(
    "a signal leaves a partial file with --resume and nothing without",
    arguments: [true, false])
  func signalled(resume: Bool) throws {
    var met = false
    for _ in 0..<20 where !met {
      unlink(model.output)
      met =
        try model.start(
          ["--q8"] + (resume ? ["--resume"] : []), and: SIGTERM, at: LargerCheckpoint.halfway)
        && !FileManager.default.fileExists(atPath: model.output)
    }
    try #require(met)
    let left = ["model.vlmz.partial", "model.vlmz.partial.journal"]
    #expect(try model.names == (resume ? left : []))
  }

  @Test("a file of another's that stands where the partial file would go is not touched")
  func notOurs() throws {
    try Data("precious".utf8).write(to: URL(fileURLWithPath: model.partial))
    let outcome = try convert("--q8", "--resume")
    #expect(outcome.status == 73)
    #expect(outcome.errors.contains("is no unfinished output"))
    #expect(try model.content(model.partial) == Data("precious".utf8))
    unlink(model.partial)
    symlink("elsewhere", model.partial)
    #expect(try convert("--q8").status == 73)
    #expect(try model.names == ["model.vlmz.partial"])
  }

  @Test("V62 a second conversion to one output is told to wait")
  func busy() throws {
    let descriptor = open(model.partial, O_RDWR | O_CREAT, 0o600)
    defer { close(descriptor) }
    try #require(flock(descriptor, LOCK_EX) == 0)
    let outcome = try convert("--q8")
    #expect(outcome.status == 75)
    #expect(
      outcome.errorLine.hasSuffix("vlm-convert: \(model.partial): another process is writing it"))
  }
}
