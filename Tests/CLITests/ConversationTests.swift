import Foundation
import Testing
import VLMTensor
import VLMTestSupport

/// `vlm-run` on a language model: the small trained one that the project carries.
@Suite(.serialized)
struct ConversationTests {
  private func model(_ folder: TemporaryFolder) throws -> String {
    let path = folder.path("stories.vlmz")
    let outcome = try CommandRunner.convert(TestFiles.fixture("stories260K"), path, "--f32")
    try #require(outcome.status == 0, "\(outcome.errors)")
    return path
  }

  @Test("a prompt is continued, and the timings go to standard error")
  func prompt() throws {
    let folder = try TemporaryFolder()
    let outcome = try CommandRunner.vlmRun(
      try model(folder), "-p", "Once upon a time", "-n", "10")
    #expect(outcome.status == 0)
    #expect(outcome.output == ", there was a little girl named Lily\n")
    #expect(outcome.errors.contains("prompt 5 tokens"))
  }

  @Test("a prompt from standard input gives what the option gives, as JSON with its tokens")
  func standardInput() throws {
    let folder = try TemporaryFolder()
    let model = try model(folder)
    let outcome = try CommandRunner.run(
      "vlm-run", [model, "-p", "-", "-n", "10", "--json", "-q"],
      input: Data("Once upon a time\n".utf8))
    #expect(outcome.status == 0)
    #expect(outcome.errors == "")
    let json = try JSONValue.parse(Array(outcome.output.utf8))
    #expect(json["text"]?.stringValue == ", there was a little girl named Lily")
    #expect(json["token_ids"]?.arrayValue?.count == 10)
    #expect(json["prompt_tokens"]?.intValue == 5)
    #expect(json["visual_tokens"]?.intValue == 0)
    #expect(json["ending"]?.stringValue == "length")
  }

  @Test("a chat answers line by line, keeps what it computed, and ends with /quit")
  func chat() throws {
    let folder = try TemporaryFolder()
    let outcome = try CommandRunner.run(
      "vlm-run",
      [try model(folder), "--chat", "-n", "5", "--template", "vicuna_v1", "--jsonl", "-q"],
      input: Data("Hello\n\nAgain\n/quit\nnever read\n".utf8))
    #expect(outcome.status == 0)
    let lines = try outcome.output.split(separator: "\n").map {
      try JSONValue.parse(Array($0.utf8))
    }
    #expect(lines.count == 2)
    #expect(lines.first?["timings"]?["reused_tokens"]?.intValue == 0)
    #expect((lines.last?["timings"]?["reused_tokens"]?.intValue ?? 0) > 100)
  }

  @Test("a stop string ends the answer and is no part of it")
  func stop() throws {
    let folder = try TemporaryFolder()
    let outcome = try CommandRunner.vlmRun(
      try model(folder), "-p", "Once upon a time", "-n", "50", "--stop", "girl", "-q")
    #expect(outcome.output == ", there was a little \n")
  }

  @Test("a full context ends the answer with a warning that says how to have more")
  func fullContext() throws {
    let folder = try TemporaryFolder()
    let outcome = try CommandRunner.vlmRun(
      try model(folder), "-p", "Once upon a time", "--ctx", "12", "-q")
    #expect(outcome.status == 0)
    #expect(outcome.errors.contains("--ctx 24 allows more"))
  }

  @Test("options that do not fit the model are usage errors")
  func usage() throws {
    let folder = try TemporaryFolder()
    let model = try model(folder)
    let horse = TestFiles.root.appendingPathComponent("docs/images/horse.png").path
    for arguments in [
      [model], [model, horse, "-p", "x"], [model, "-p", "x", "--template", "no-such"],
      [model, "-p", "x", "--chat"], [model, "--chat", "--json"], [model, "-p", "x", "-n", "0"],
      [model, "-p", "x", "--embed", folder.path("e.npy")],
    ] {
      let outcome = try CommandRunner.run("vlm-run", arguments)
      #expect(outcome.status == 64, "\(arguments.dropFirst())")
    }
  }
}
