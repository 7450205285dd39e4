import Foundation
import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// What an output may not take the place of, and what a signal may not leave.
@Suite("Outputs that do no harm", .serialized)
struct OutputSafetyTests {
  let folder: TemporaryFolder
  let model: String
  let picture: String

  init() throws {
    folder = try TemporaryFolder()
    model = folder.path("m.vlmz")
    picture = folder.path("p.png")
    try FileManager.default.copyItem(
      atPath: TestFiles.fixture("convnext-cifar10"), toPath: folder.path("in"))
    try FileManager.default.copyItem(atPath: DemonstrationTests.horse, toPath: picture)
    let outcome = try CommandRunner.convert(folder.path("in"), model, "-q")
    try #require(outcome.status == 0, "\(outcome.errors)")
  }

  /// Status 73 in one line, and the file as it was.
  private func expectRefusal(
    _ program: String, _ arguments: [String], keeps path: String, _ text: String
  ) throws {
    let before = try Data(contentsOf: URL(fileURLWithPath: path))
    let outcome = try CommandRunner.run(program, arguments)
    #expect(outcome.status == 73, "\(arguments): \(outcome.errors)")
    #expect(outcome.errorLine.split(separator: "\n").count == 1, "\(outcome.errors)")
    #expect(outcome.errors.contains(text), "\(outcome.errors)")
    #expect(outcome.output == "")
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
  }

  @Test("no output takes the place of a file that the command reads, whatever name leads to it")
  func ownInputs() throws {
    let config = folder.path("in/config.json")
    let same = "is the same file as the input"
    link(config, folder.path("hard"))
    symlink("in/config.json", folder.path("soft"))
    for name in [config, folder.path("hard"), folder.path("soft")] {
      try expectRefusal(
        "vlm-convert", [folder.path("in"), name, "--force", "-q"], keeps: config, same)
    }
    try expectRefusal(
      "vlm-convert", [folder.path("in"), picture, "--evaluate", picture, "--force", "-q"],
      keeps: picture, same)
    try expectRefusal(
      "vlm-convert", ["extract", model, folder.path("./m.vlmz"), "--force"], keeps: model, same)
    link(model, folder.path("model.safetensors"))
    try expectRefusal(
      "vlm-convert", ["extract", model, folder.path("model.safetensors"), "--force"], keeps: model,
      same)
    link(model, folder.path("model.npy"))
    link(picture, folder.path("picture.safetensors"))
    for (option, name, kept) in [
      ("--dump", "m.vlmz", model), ("--dump", "model.safetensors", model),
      ("--embed", "model.npy", model),
      ("--embed", "picture.safetensors", picture), ("--explain", "p.png", picture),
    ] {
      try expectRefusal(
        "vlm-run", [model, picture, option, folder.path(name), "--force"], keeps: kept, same)
    }
  }

  @Test("the file, pipe or device that standard output goes to is no output, by any link")
  func standardOutput() throws {
    for (command, name) in [
      ("vlm-convert in", "fake"), ("vlm-convert extract m.vlmz", "fake"),
      ("vlm-run m.vlmz p.png --dump", "fake"), ("vlm-run m.vlmz p.png --dump", "fake.safetensors"),
      ("vlm-run m.vlmz p.png --explain", "fake.png"),
    ] {
      for target in ["> out.txt", "| cat > out.txt", "> /dev/null"] {
        let outcome = try CommandRunner.shell(
          """
          cd "$1"; rm -f fake* out.txt; ln -s /proc/self/fd/1 \(name)
          { "$BIN"/\(command) \(name) --force; echo $? > status; } \(target)
          test -L \(name); echo "$? $(cat status)"; ls out.txt
          """, folder.url.path)
        #expect(outcome.output.hasPrefix("0 73\n"), "\(command) \(target): \(outcome)")
        #expect(outcome.errors.split(separator: "\n").count <= 2, "\(outcome.errors)")
      }
    }
  }

  @Test("a model that a link leads to is replaced where it is")
  func links() throws {
    try FileManager.default.createDirectory(
      atPath: folder.path("disk"), withIntermediateDirectories: false)
    symlink("disk/real.vlmz", folder.path("link.vlmz"))
    for _ in 0..<2 {
      let outcome = try CommandRunner.convert(
        folder.path("in"), folder.path("link.vlmz"), "--force", "--verify", "-q")
      #expect(outcome.status == 0, "\(outcome.errors)")
      #expect(FileSystem.target(ofLink: folder.path("link.vlmz")) == "disk/real.vlmz")
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: folder.path("disk")) == ["real.vlmz"])
    }
  }

  @Test("extract refuses a name that says another format")
  func endings() throws {
    for name in ["x.pth", "x.NPZ", "x.gguf", "x.bin"] {
      let outcome = try CommandRunner.convert("extract", model, folder.path(name))
      #expect(outcome.status == 64)
      #expect(outcome.errors.contains("expected a name that ends in .safetensors"))
      #expect(!FileManager.default.fileExists(atPath: folder.path(name)))
    }
  }

  @Test(
    "a signal between making an unfinished file and noting it leaves nothing",
    .enabled(if: FaultyDisk.isAvailable, FaultyDisk.reason),
    // SIGQUIT's default action ends the process.
    arguments: [(SIGTERM, 143), (SIGINT, 130), (SIGHUP, 143), (SIGQUIT, -1)] as [(Int32, Int32)])
  func signals(_ signal: Int32, _ status: Int32) throws {
    try FileManager.default.createDirectory(
      atPath: folder.path("out"), withIntermediateDirectories: false)
    let disk = FaultyDisk(folder: folder.path("out"))
    func expectNothing(_ program: String, _ arguments: [String], opens: Int) throws {
      for number in 1...opens {
        let (outcome, _) = try disk.run(
          program, arguments, fault: .init(call: "open", number: number, code: -signal))
        #expect(outcome.status == status, "\(program), open \(number): \(outcome.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: disk.folder) == [])
      }
    }
    // The container and its journal; a file beside an answer.
    try expectNothing("vlm-convert", [folder.path("in"), disk.folder + "/o.vlmz", "-q"], opens: 2)
    try expectNothing(
      "vlm-run", [model, picture, "--dump", disk.folder + "/d.safetensors", "-q"], opens: 2)
    try expectNothing(
      "vlm-convert", ["extract", model, disk.folder + "/e.safetensors", "-q"], opens: 1)
  }
}
