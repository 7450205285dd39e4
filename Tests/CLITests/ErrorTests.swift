import Foundation
import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// One line on standard error, and the exit status of the table in docs/cli.md.
struct ErrorTests {
  static let checkpoint = TestFiles.fixture("convnext-cifar10")

  @Test("usage errors exit with 64")
  func usage() throws {
    #expect(try CommandRunner.vlmRun().status == 64)
    #expect(try CommandRunner.vlmRun("a.vlmz", "b.png", "--no-such-option").status == 64)
    #expect(try CommandRunner.vlmRun("a.vlmz", "b.png", "--top", "0").status == 64)
    #expect(try CommandRunner.convert("in.safetensors").status == 64)
    #expect(try CommandRunner.convert("in", "out", "--q4", "--q8").status == 64)
    #expect(try CommandRunner.convert("in", "out", "--tensor-type", "x=q9").status == 64)
  }

  @Test("a misspelt subcommand is suggested, and one in the place of the output is refused")
  func mistakenCommand() throws {
    let folder = try TemporaryFolder()
    let model = try folder.write("cx.vlmz", [1])
    for (arguments, message) in [
      (["inspec", model], "unknown command 'inspec'; did you mean 'inspect'? See"),
      (["verfy"], "unknown command 'verfy'; did you mean 'verify'? See"),
      (["--", "verfy", model], "unknown command 'verfy'; did you mean 'verify'? See"),
      (
        ["--q4", "diff", model],
        "found the command 'diff' behind an option; it comes first: vlm-convert diff; see"
      ),
      (
        [model, "verify"],
        "found 'verify' as the output, which is a command: vlm-convert verify "
          + "\(model.quotedForShell); ./verify is a file; see"
      ),
    ] {
      let outcome = try CommandRunner.run("vlm-convert", arguments)
      #expect(outcome.status == 64)
      #expect(outcome.errorLine == "vlm-convert: \(message) vlm-convert convert --help")
    }
    #expect(!FileManager.default.fileExists(atPath: "verify"))
  }

  @Test(
    "a usage error is one line, with the program's name, no control characters and what to look at")
  func usageLine() throws {
    for (program, arguments, start, end) in [
      ("vlm-run", [], "missing expected argument '<model>'", "vlm-run --help"),
      (
        "vlm-run", ["a.vlmz", "b.png", "--no\u{1b}[31m\nsuch"], "unknown option '--no\\u{1b}[31m",
        "vlm-run --help"
      ),
      (
        "vlm-run", ["a.vlmz", "b.png", "--kv", "f33"], "the value 'f33' is invalid",
        "vlm-run --help"
      ),
      ("vlm-run", ["a.vlmz", "b.png", "--top", "0"], "--top: found 0", "vlm-run --help"),
      ("vlm-convert", ["in"], "expected an output file", "vlm-convert convert --help"),
      ("vlm-convert", ["extract", "in"], "missing expected", "vlm-convert extract --help"),
    ] as [(String, [String], String, String)] {
      let outcome = try CommandRunner.run(program, arguments)
      #expect(outcome.status == 64)
      #expect(outcome.output == "")
      #expect(outcome.errorLine.hasPrefix("\(program): \(start)"), "\(outcome.errors)")
      #expect(outcome.errorLine.hasSuffix("; see \(end)"), "\(outcome.errors)")
      #expect(outcome.errorLine.unicodeScalars.allSatisfy { $0.value >= 0x20 })
    }
  }

  @Test("a container that is cut short is a defect for verify, another file is none")
  func cutShort() throws {
    let folder = try TemporaryFolder()
    let model = folder.path("m.vlmz")
    try #require(try CommandRunner.convert(Self.checkpoint, model, "-q").status == 0)
    let whole = try folder.read("m.vlmz")
    for count in [64, 4096, whole.count - 1] {
      let path = try folder.write("cut.vlmz", Array(whole.prefix(count)))
      let outcome = try CommandRunner.convert("verify", path)
      #expect(outcome.status == 2, "\(count): \(outcome.errors)")
      #expect(outcome.errorLine.hasPrefix("vlm-convert: \(path): "))
    }
    let other = try folder.write("other.vlmz", Array("something else, long enough".utf8))
    #expect(try CommandRunner.convert("verify", other).status == 65)
  }

  @Test("with --json an error is one object on standard error")
  func json() throws {
    for (arguments, status) in [
      (["/nonexistent.vlmz", "-p", "x", "--json"], 66), (["x.vlmz", "--jsonl", "--top", "0"], 64),
    ] {
      let outcome = try CommandRunner.run("vlm-run", arguments)
      #expect(outcome.status == Int32(status))
      #expect(outcome.output == "")
      let object = try JSONValue.parse(Array(outcome.errors.utf8))
      #expect(object["schema"]?.intValue == 1)
      #expect(object["error"]?["status"]?.intValue == status)
      #expect(object["error"]?["program"]?.stringValue == "vlm-run")
      #expect(object["error"]?["message"]?.stringValue?.isEmpty == false)
    }
  }

  @Test("a missing file exits with 66")
  func missing() throws {
    let run = try CommandRunner.vlmRun("/nonexistent/model.vlmz", "x.png")
    #expect(run.status == 66)
    #expect(
      run.errorLine
        == "vlm-run: /nonexistent/model.vlmz: open failed: No such file or directory")
    #expect(try CommandRunner.convert("/nonexistent/model.safetensors", "out.vlmz").status == 66)
  }

  @Test("a file of another kind exits with 65 and says what it is")
  func otherKind() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("weights.safetensors")
    try Data("GGUF\u{3}\0\0\0 and so on, long enough".utf8).write(to: URL(fileURLWithPath: path))
    let outcome = try CommandRunner.convert(path, folder.path("out.vlmz"))
    #expect(outcome.status == 65)
    #expect(outcome.errors.contains("GGUF"))
    let run = try CommandRunner.vlmRun(Self.checkpoint + "/model.safetensors", "x.png")
    #expect(run.status == 65)
    #expect(run.errors.contains("safetensors"))
  }

  @Test("a checkpoint is never replaced by a container, whichever way round the arguments are")
  func swapped() throws {
    let folder = try TemporaryFolder()
    for (fixture, kind) in [
      ("upstream/torchvision.pth", "PyTorch checkpoint"),
      ("convnext-cifar10/model.safetensors", "safetensors file"),
    ] {
      let path = folder.path("trained")
      let content = try Data(contentsOf: URL(fileURLWithPath: TestFiles.fixture(fixture)))
      try content.write(to: URL(fileURLWithPath: path))
      for arguments in [
        [Self.checkpoint, path], [Self.checkpoint, path, "--force"],
        [folder.path("missing.vlmz"), path],
      ] {
        let outcome = try CommandRunner.run("vlm-convert", arguments)
        #expect(outcome.status == 73)
        let text = "is a \(kind), expected a .vlmz file to write: are the arguments the wrong way"
        #expect(outcome.errors.contains(path + ": " + text), "\(outcome.errors)")
        #expect(!outcome.errors.contains("use --force"))
      }
      #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == content)
    }
  }

  @Test("what a model does not take is told with what it does")
  func otherModel() throws {
    let folder = try TemporaryFolder()
    let (classifier, language) = (folder.path("a.vlmz"), folder.path("b.vlmz"))
    #expect(try CommandRunner.convert(Self.checkpoint, classifier, "-q").status == 0)
    let stories = TestFiles.fixture("stories260K")
    #expect(try CommandRunner.convert(stories, language, "-q").status == 0)
    let named = try CommandRunner.vlmRun(classifier, "x.png", "--labels", "a,b")
    #expect(named.status == 64)
    #expect(
      named.errors.contains("vlm-convert \(classifier.quotedForShell) new.vlmz --labels-file"))
    let asked = try CommandRunner.vlmRun(language, "Hello there")
    #expect(asked.errors.contains("found 'Hello there'; a question is given with -p"))
    let halves = try CommandRunner.convert(
      Self.checkpoint, folder.path("c.vlmz"), "--mmproj", classifier)
    #expect(halves.errors.contains("expected the language half of a LLaVA in GGUF"))
  }

  @Test("an unwritable folder exits with 73")
  func unwritable() throws {
    let outcome = try CommandRunner.convert(Self.checkpoint, "/nonexistent/out.vlmz")
    #expect(outcome.status == 73, "\(outcome.errors)")
  }

  @Test("a crop of next to nothing is a usage error, without a trap")
  func tinyCrop() throws {
    for share in ["1e-30", "1e-300", "0", "nan", "1.5"] {
      let outcome = try CommandRunner.vlmRun("a.vlmz", "b.png", "--crop-pct", share)
      #expect(outcome.status == 64, "\(share)")
    }
  }

  @Test(
    "a text may begin with dashes, and be another option's name",
    arguments: ["-1 + 1 =", "--", "---", "--- x", "-=-", "--a=b", "--json", "--help", "-h"])
  func dashes(_ text: String) throws {
    func check(_ program: String, _ arguments: [String]) throws {
      let outcome = try CommandRunner.run(program, arguments)
      #expect(outcome.status == 66, "\(arguments): \(outcome.errors)")
      #expect(
        outcome.errorLine.hasPrefix("\(program): /nonexistent/model.vlmz: "), "\(outcome.errors)")
    }
    let model = "/nonexistent/model.vlmz"
    for option in ["-p", "--system", "--stop", "--answer-begins"] {
      try check("vlm-run", [model, option, text, "--prompt", "x"])
    }
    for option in ["--label", "--labels"] { try check("vlm-run", [model, option, text, "-q"]) }
    try check("vlm-run", [model, "--label", "a", "--label-template", text + "{}", "-q"])
    try check("vlm-convert", ["sign", model, "--comment", text, "--key", "k"])
    try check("vlm-serve", [model, "--api-key", text, "--port", "0"])
  }

  @Test("an unknown VLM_FORCE_ISA exits with 69 and names the known ones")
  func unknownISA() throws {
    let outcome = try CommandRunner.run(
      "vlm-run", ["a.vlmz", "b.png"], environment: ["VLM_FORCE_ISA": "avx1024"])
    #expect(outcome.status == 69)
    #expect(outcome.errors.contains("'avx1024'"))
    #expect(outcome.errors.contains("scalar"))
  }

  @Test("--version names the kernels")
  func version() throws {
    let outcome = try CommandRunner.run(
      "vlm-run", ["--version"], environment: ["VLM_FORCE_ISA": "scalar"])
    #expect(outcome.status == 0)
    #expect(outcome.output.contains("kernels: scalar"))
  }

  @Test("a truncated container is refused at every length, with one line")
  func truncatedContainer() throws {
    let folder = try TemporaryFolder()
    let model = folder.path("model.vlmz")
    #expect(try CommandRunner.convert(Self.checkpoint, model, "--q4").status == 0)
    let data = try Data(contentsOf: URL(fileURLWithPath: model))
    let cut = folder.path("cut.vlmz")
    for length in [0, 1, 64, 127, 128, 4096, data.count / 2, data.count - 1] {
      try data.prefix(length).write(to: URL(fileURLWithPath: cut))
      let outcome = try CommandRunner.vlmRun(cut, "x.png")
      #expect(outcome.status == 65, "\(length) bytes: \(outcome.errors)")
      #expect(outcome.errors.split(separator: "\n").count == 1)
    }
  }
}
