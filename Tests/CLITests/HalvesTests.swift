import Foundation
import Testing
import VLMContainer
import VLMTestSupport

/// Both halves of a LLaVA in GGUF, and containers as input, as the command takes them.
@Suite("Halves and containers as input", .serialized)
struct HalvesTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static func fixture(_ name: String) -> String { TestFiles.fixture("llava-gguf/" + name) }

  private func run(_ arguments: String...) throws -> CommandRunner.Outcome {
    let outcome = try CommandRunner.run("vlm-convert", arguments)
    try #require(outcome.status == 0, "\(arguments): \(outcome.output)\(outcome.errors)")
    return outcome
  }

  @Test("--mmproj makes one file of two halves, which answers about a picture")
  func converts() throws {
    let model = folder.path("llava.vlmz")
    let outcome = try run(
      Self.fixture("model.gguf"), model, "--mmproj", Self.fixture("mmproj.gguf"), "--q8")
    #expect(outcome.errors.contains("padded, as LLaVA-1.5 does"))
    let picture = TestFiles.root.appendingPathComponent("docs/images/horse.png").path
    let answer = try CommandRunner.vlmRun(model, picture, "-p", "AB", "-n", "2", "-q", "--jsonl")
    #expect(answer.status == 0, "\(answer.errors)")
    #expect(
      answer.output.contains(#""visual_tokens":16"#)
        || answer.output.contains(#""visual_tokens": 16"#))
  }

  @Test("a vision half alone says what it is and what to type")
  func visionAlone() throws {
    let path = Self.fixture("mmproj.gguf")
    let outcome = try CommandRunner.convert(path, folder.path("x.vlmz"))
    #expect(outcome.status == 65)
    #expect(
      outcome.errorLine
        == "vlm-convert: \(path): is the vision half of a LLaVA in GGUF (general.architecture "
        + "'clip'); give the GGUF of its language half, and this one with --mmproj '\(path)'")
  }

  @Test(
    "the field's vision half says the same",
    .enabled(if: TestFiles.exists(mmproj), "needs the cases in ../shared, which are not here"))
  func fieldCase() throws {
    let outcome = try CommandRunner.convert(Self.mmproj, folder.path("x.vlmz"))
    #expect(outcome.status == 65)
    #expect(outcome.errorLine.contains("is the vision half of a LLaVA in GGUF"))
    #expect(outcome.errorLine.contains("--mmproj '\(Self.mmproj)'"))
  }

  static let mmproj =
    TestFiles.shared.appendingPathComponent("cases/checkpoints/gguf-mmproj/mmproj.gguf").path

  @Test("a container converts with the flags that a checkpoint has, and is never its own output")
  func container() throws {
    let (base, out) = (folder.path("base.vlmz"), folder.path("out.vlmz"))
    let wanted = folder.path("wanted.vlmz")
    _ = try run(TestFiles.fixture("convnext-cifar10"), base, "--f16", "-q")
    _ = try run(TestFiles.fixture("convnext-cifar10"), wanted, "--q4", "-q")
    let picture = TestFiles.root.appendingPathComponent("docs/images/horse.png").path
    let outcome = try run(base, out, "--q4", "--verify", "--resume", "--evaluate", picture)
    #expect(outcome.output.contains("same class"))
    _ = try run("diff", out, wanted, "-q")
    _ = try run(base, "--q4", "--dry-run")
    let typed = try run(base, out, "--force", "--tensor-type", "stages.0.*=f16")
    #expect(!typed.errors.contains("rounded before"))

    let before = try folder.read("base.vlmz")
    for flags in [[], ["--force"]] {
      let same = try CommandRunner.run("vlm-convert", [base, base] + flags)
      #expect(same.status != 0)
      #expect(try folder.read("base.vlmz") == before)
    }
    for option in [
      ["--mmproj", picture], ["--vision-tower", folder.url.path], ["--state", "ema"],
      ["--head-activation", "relu"],
    ] {
      let refused = try CommandRunner.run("vlm-convert", [base, out, "--force"] + option)
      #expect(refused.status == 64)
      #expect(refused.errorLine.hasPrefix("vlm-convert: \(option[0]): found "))
    }
  }

  @Test("8 bits to 4 is said before it is done")
  func rounded() throws {
    let (base, out) = (folder.path("base.vlmz"), folder.path("out.vlmz"))
    _ = try run(TestFiles.fixture("convnext-cifar10"), base, "--q8", "-q")
    let outcome = try run(base, out, "--q4")
    #expect(outcome.errors.contains("rounded before: 16 tensors from q8 to q4"))
    #expect(try run(base, out, "--q8", "--force").errors.isEmpty)
  }
}
