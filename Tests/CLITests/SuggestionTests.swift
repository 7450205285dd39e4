import Testing
import VLMCommandLine

/// What a person may have meant.
struct SuggestionTests {
  private static let names = ["chatml", "llama_2", "mistral", "vicuna_v1", "vicuna_v0", "plain"]

  @Test(
    "the name that takes the fewest changes is proposed",
    arguments: [
      ("chatlm", "chatml"), ("mistrl", "mistral"), ("mixtral", "mistral"), ("llama2", "llama_2"),
      ("VICUNA_V1", "vicuna_v1"), ("plain", "plain"),
    ])
  func nearest(_ found: String, _ meant: String) {
    #expect(Suggestion.nearest(to: found, of: Self.names) == meant)
  }

  @Test(
    "a third of the letters may be wrong and no more",
    arguments: ["", "x", "gemma", "plan_b", "vicuna"])
  func tooFar(_ found: String) {
    #expect(Suggestion.nearest(to: found, of: Self.names) == nil)
  }

  @Test("nothing is proposed where there is nothing, or only what is too long to be a name")
  func none() {
    #expect(Suggestion.nearest(to: "chatml", of: []) == nil)
    let long = String(repeating: "a", count: 65)
    #expect(Suggestion.nearest(to: long, of: [long]) == nil)
    // A name that somebody makes a million letters long costs no more than its first 64.
    let longest = String(repeating: "a", count: 1_000_000)
    #expect(Suggestion.nearest(to: longest, of: [String(repeating: "a", count: 64)]) != nil)
  }
}
