import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

/// `--speculate`, which changes the time of an answer and nothing else.
struct SpeculationCommandTests {
  @Test("answers are the same with proposals and without, and say how many there were")
  func answers() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("stories.vlmz")
    let outcome = try CommandRunner.convert(TestFiles.fixture("stories260K"), path, "--q8")
    try #require(outcome.status == 0, "\(outcome.errors)")
    let prompt = [String](repeating: "Once upon a time, there was a little girl.", count: 6)
      .joined(separator: " ")
    func answer(_ options: [String]) throws -> JSONValue {
      let outcome = try CommandRunner.run(
        "vlm-run", [path, "-p", prompt, "-n", "100", "--json", "-q"] + options)
      try #require(outcome.status == 0, "\(outcome.errors)")
      return try JSONValue.parse(Array(outcome.output.utf8))
    }
    let plain = try answer(["--speculate", "off"])
    #expect(plain["timings"]?["proposed_tokens"]?.intValue == 0)
    #expect(plain["timings"]?["accepted_tokens"]?.intValue == 0)
    for options in [[], ["--speculate", "7"], ["--speculate", "1"]] {
      let json = try answer(options)
      #expect(json["token_ids"] == plain["token_ids"])
      let proposed = try #require(json["timings"]?["proposed_tokens"]?.intValue)
      let accepted = try #require(json["timings"]?["accepted_tokens"]?.intValue)
      #expect(accepted <= proposed)
    }
  }

  @Test("what is no number of tokens is a usage error", arguments: ["8", "0", "-1", "on", ""])
  func wrong(_ value: String) throws {
    for command in ["vlm-run", "vlm-serve"] {
      let outcome = try CommandRunner.run(command, ["model.vlmz", "--speculate", value])
      #expect(outcome.status == 64)
      #expect(outcome.errors.contains("--speculate"))
    }
  }
}
