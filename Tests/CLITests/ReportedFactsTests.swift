import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

/// What the commands say of models and pictures: as much as is so, and nothing that is not.
struct ReportedFactsTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func model(_ fixture: String, _ options: String...) throws -> String {
    let path = folder.path("model.vlmz")
    let outcome = try CommandRunner.run(
      "vlm-convert", [TestFiles.fixture(fixture), path, "-q", "--force"] + options)
    try #require(outcome.status == 0, "\(outcome.errors)")
    return path
  }

  private func json(_ outcome: CommandRunner.Outcome) throws -> JSONValue {
    try #require(outcome.status == 0, "\(outcome.errors)")
    return try JSONValue.parse(Array(outcome.output.utf8))
  }

  private static let picture = TestFiles.fixture("smolvlm/pictures/green.png")
  private static let film = TestFiles.fixture("smolvlm/pictures/film.gif")

  @Test("an embedding that goes to a file has no classes beside it")
  func embedding() throws {
    let path = try model("zero-shot")
    let outcome = try CommandRunner.vlmRun(
      path, Self.picture, "--jsonl", "--embed", folder.path("e.npy"), "-q")
    let object = try json(outcome)
    #expect(object["top"] == nil && object["embedding"] == nil)
    #expect(object["milliseconds"] != nil)
    let bare = try json(try CommandRunner.vlmRun(path, Self.picture, "--jsonl", "-q"))
    #expect(bare["embedding"]?.arrayValue?.isEmpty == false)
  }

  @Test("tokens of pictures are counted without the marks around them")
  func encodedTokens() throws {
    let outcome = try CommandRunner.vlmRun(
      try model("smolvlm/trained"), Self.picture, "-p", "What?", "-n", "1", "--json", "-q")
    let object = try json(outcome)
    let tokens = try #require(object["visual_tokens"]?.intValue)
    #expect(tokens > 0 && object["timings"]?["encode_tokens"]?.intValue == tokens)
  }

  @Test("an answer goes on behind the beginning that is given, by either name")
  func beginning() throws {
    let path = try model("goldens/convllava-trained/hf-A-safetensors")
    let cup = TestFiles.golden("convllava-trained/cup.png")
    let ask = [path, cup, "-p", "What is in the picture?", "--json", "-q"]
    for option in ["--answer-begins", "--prefill-response"] {
      let found = try json(try CommandRunner.run("vlm-run", ask + [option, "A cup of"]))
      #expect(found["text"]?.stringValue == " coffee on a table.")
    }
    let turns = Data("What is in the picture?\n".utf8)
    let chat = try CommandRunner.run(
      "vlm-run", [path, cup, "--chat", "--jsonl", "-q", "--answer-begins", "A cup"], input: turns)
    #expect(try json(chat)["text"]?.stringValue == " of coffee on a table.")
    let bare = try CommandRunner.run(
      "vlm-run", ask + ["--template", "none", "--answer-begins", "A"])
    #expect(bare.status == 64)
    #expect(bare.errorLine.contains("--answer-begins: expected a template"))
  }

  @Test("a plan says that no memory limits the weights")
  func memory() throws {
    let path = try model("stories260K")
    for options in [[], ["--memory", "1GB"]] {
      let outcome = try CommandRunner.run(
        "vlm-run", [path, "-p", "Once", "--dry-run", "--json", "-q"] + options)
      #expect(try json(outcome)["memory_bytes"]?.isNull == true)
    }
  }

  @Test("numbers of speculated tokens that can be are listed")
  func speculation() throws {
    for command in ["vlm-run", "vlm-serve"] {
      let outcome = try CommandRunner.run(command, ["model.vlmz", "--speculate", "8"])
      #expect(
        outcome.errorLine.contains("one of the following: - off - 1 - 2"), "\(outcome.errorLine)")
    }
  }

  @Test("what training counted is not told as left out")
  func leftOut() throws {
    let outcome = try CommandRunner.convert(
      TestFiles.fixture("fastvit/timm-batch"), folder.path("model.vlmz"))
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(!outcome.errors.contains("num_batches_tracked"))
    #expect(!outcome.errors.contains("left out"))
  }

  @Test(
    "a model is called as the field calls it",
    arguments: [
      ("decoders/qwen3", "qwen3"), ("decoders/gemma2.gguf", "gemma2"), ("stories260K", "llama"),
      ("decoders/mistral", "mistral"), ("fastvit/mobileclip", "mobileclip"),
      ("mobilenet/conv-small", "mobilenetv4_conv_small"), ("convnext-cifar10", "convnext"),
    ])
  func architecture(_ fixture: String, _ name: String) throws {
    let path = try model(fixture)
    #expect(
      try json(try CommandRunner.convert("inspect", path, "--json"))["architecture"]
        == .string(name))
    let text = try CommandRunner.convert("inspect", path).output
    #expect(text.split(separator: "\n").contains("architecture: \(name)"))
    let plan = try CommandRunner.vlmRun(path, "--dry-run", "--json", "-q")
    #expect(try json(plan)["model"] == .string(name))
  }

  @Test("pictures behind the first are told of, whatever the model and wherever they come from")
  func severalPictures() throws {
    let path = try model("convnext-cifar10")
    let named = try CommandRunner.vlmRun(path, Self.film)
    #expect(named.status == 0)
    #expect(named.errors.contains("the first of 5 pictures is seen"))
    #expect(!named.errors.contains("--fps"))
    let bytes = try Data(contentsOf: URL(fileURLWithPath: Self.film))
    let piped = try CommandRunner.run("vlm-run", [path, "-"], input: bytes)
    #expect(piped.errors.contains("the first of 5 pictures is seen"), "\(piped.errors)")
    let quiet = try CommandRunner.vlmRun(path, Self.film, "-q")
    #expect(!quiet.errors.contains("the first of"))
  }

  @Test("pages of a TIFF are no frames of a film, on standard input neither")
  func pages() throws {
    // Two directories: each one pixel, and where the next one is.
    func directory(next: UInt32) -> [UInt8] {
      let entries: [(UInt16, UInt16, UInt32)] = [
        (256, 3, 1), (257, 3, 1), (258, 3, 8), (262, 3, 1), (273, 4, 8), (278, 3, 1), (279, 4, 1),
      ]
      var bytes: [UInt8] = [UInt8(entries.count), 0]
      for (tag, type, value) in entries {
        for number in [tag, type] { bytes += [UInt8(number & 255), UInt8(number >> 8)] }
        bytes += [1, 0, 0, 0] + (0..<4).map { UInt8(value >> (8 * $0) & 255) }
      }
      return bytes + (0..<4).map { UInt8(next >> (8 * UInt32($0)) & 255) }
    }
    let length = UInt32(directory(next: 0).count)
    var tiff: [UInt8] = [0x49, 0x49, 42, 0, 10, 0, 0, 0, 200, 0]
    tiff += directory(next: 10 + length) + directory(next: 0)
    try folder.write("pages.tif", tiff)
    let path = try model("smolvlm/trained")
    for (name, input) in [(folder.path("pages.tif"), Data()), ("-", Data(tiff))] {
      let outcome = try CommandRunner.run(
        "vlm-run", [path, name, "--fps", "1", "-p", "What?", "-n", "1", "-q"], input: input)
      #expect(outcome.status != 0)
      #expect(outcome.errors.contains("a TIFF of several pages"), "\(outcome.errors)")
    }
  }
}
