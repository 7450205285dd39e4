import Foundation
import Testing
import VLMTestSupport

/// QEMU's variables are set by whoever runs the tests under it, see `scripts/test-debian13`.
private let isEmulated = ProcessInfo.processInfo.environment["QEMU_CPU"] != nil
private let emulation: Comment = "an emulator reserves more address space than a program"

/// Commands whose address space is limited, as `ulimit -v` and batch systems do it.
@Suite("Memory limits", .serialized, .enabled(if: !isEmulated, emulation))
struct MemoryLimitTests {
  let model: LargerCheckpoint

  init() throws { model = try LargerCheckpoint() }

  /// Runs a command in each of many sizes of address space: it works, or says in a line that it
  /// cannot.
  ///
  /// - Returns: sizes in which it worked, and in which it did not.
  private func sweep(
    _ program: String, _ arguments: [String], from start: Int, to end: Int, step: Int,
    check: () throws -> Void
  ) throws -> (worked: Int, refused: Int) {
    var (worked, refused) = (0, 0)
    for kilobytes in stride(from: start, through: end, by: step) {
      let command = try RunningCommand(
        program, arguments,
        prelude: "ulimit -c 0; ulimit -t 60; ulimit -v \(kilobytes); export VLM_THREADS=2")
      let outcome = try command.finish()
      switch outcome.status {
      case 0: worked += 1
      // The loader found no room for the program itself.
      case 127: continue
      // Swift's runtime found none, which ends it at a trap; no code of ours has run in less.
      case -1 where worked + refused == 0 && outcome.errors.isEmpty: continue
      default:
        #expect(outcome.status == 71, "\(kilobytes) kB: \(outcome.errors)")
        let lines = outcome.errors.split(separator: "\n").filter { !$0.contains("warning: ") }
        #expect(lines.count == 1, "\(kilobytes) kB: \(outcome.errors)")
        let last = outcome.errors.split(separator: "\n").last ?? ""
        #expect(last.hasPrefix("\(program): "), "\(kilobytes) kB: \(outcome.errors)")
        #expect(last.contains("memory"), "\(kilobytes) kB: \(outcome.errors)")
        refused += 1
      }
      try check()
    }
    return (worked, refused)
  }

  @Test("V63 a conversion in too little address space is an error, and leaves the old output")
  func conversion() throws {
    let reference = try model.reference("--q8")
    let old = Data("old".utf8)
    try old.write(to: URL(fileURLWithPath: model.output))
    let arguments = [model.path, model.output, "--q8", "--force", "-q"]
    let counts = try sweep("vlm-convert", arguments, from: 60_000, to: 300_000, step: 8_000) {
      let content = try model.content(model.output)
      #expect(content == reference || content == old)
      #expect(try model.names == ["model.vlmz"])
      try old.write(to: URL(fileURLWithPath: model.output))
    }
    #expect(counts.worked > 3)
    #expect(counts.refused > 3)
  }

  @Test("V63 a model in too little address space is an error")
  func run() throws {
    _ = try model.reference("--q8")
    let picture = TestFiles.fixture("pngsuite/basn2c08.png")
    let counts = try sweep(
      "vlm-run", [model.folder.path("reference.vlmz"), picture], from: 30_000, to: 150_000,
      step: 3_000
    ) {}
    #expect(counts.worked > 3)
    #expect(counts.refused > 3)
  }

  @Test(
    "threads that cannot be had are an error in one line, or do without",
    .enabled(if: FaultyDisk.isAvailable, FaultyDisk.reason))
  func threads() throws {
    let folder = try TemporaryFolder()
    let stories = folder.path("s.vlmz")
    try #require(
      try CommandRunner.convert(TestFiles.fixture("stories260K"), stories, "-q").status == 0)
    let template = try folder.write("t.jinja", Array("{{ messages[0].content }}".utf8))
    func run(_ arguments: [String], without number: Int) throws -> CommandRunner.Outcome {
      try FaultyDisk(folder: folder.url.path).run(
        "vlm-run", [stories, "-p", "Once", "-n", "2", "-q"] + arguments,
        fault: .init(call: "thread", number: number, code: EAGAIN)
      ).outcome
    }
    // The first waits for signals, the second runs the template; those that compute may be few.
    for number in 1...2 {
      let outcome = try run(["--template", template, "--threads", "1"], without: number)
      #expect(outcome.status == 71, "\(outcome.errors)")
      #expect(outcome.errorLine.hasPrefix("vlm-run: ") && outcome.errorLine.contains("thread"))
      #expect(outcome.errorLine.split(separator: "\n").count == 1)
    }
    let fewer = try run(["--template", "none", "--threads", "4"], without: 2)
    #expect(fewer.status == 0, "\(fewer.errors)")
  }

  @Test("activations that the system refuses are an error that says what they are for")
  func activations() throws {
    _ = try model.reference("--q8")
    let picture = TestFiles.fixture("pngsuite/basn2c08.png")
    let command = try RunningCommand(
      "vlm-run", [model.folder.path("reference.vlmz"), picture, "-q", "--size", "2048"],
      prelude: "ulimit -v 300000; export VLM_THREADS=2")
    let outcome = try command.finish()
    #expect(outcome.status == 71)
    #expect(outcome.errors.split(separator: "\n").count == 1)
    #expect(outcome.errors.contains("memory: a picture of 2048×2048 needs "), "\(outcome.errors)")
    #expect(outcome.errors.contains("which the system refuses"), "\(outcome.errors)")
  }

  @Test("a picture that memory has no room for is told, and the others are run")
  func pictures() throws {
    _ = try model.reference("--q8")
    let small = TestFiles.fixture("pngsuite/basn2c08.png")
    let large = model.folder.path("large.jpg")
    try Data(FlatPicture.jpeg(width: 8000, height: 6000, isProgressive: true))
      .write(to: URL(fileURLWithPath: large))
    let command = try RunningCommand(
      "vlm-run",
      [model.folder.path("reference.vlmz"), small, large, small, "-q", "--top", "1"],
      prelude: "ulimit -v 300000; export VLM_THREADS=2")
    let outcome = try command.finish()
    #expect(outcome.status == 71)
    let lines = outcome.errors.split(separator: "\n")
    #expect(lines.count == 1)
    #expect(lines.first?.hasPrefix("vlm-run: \(large): the image takes 29") == true)
    #expect(lines.first?.hasSuffix("saved again as a baseline JPEG it takes less") == true)
    #expect(outcome.output.split(separator: "\n").count { $0.hasPrefix(small) } == 2)
  }
}
