import Testing
import VLMText

struct StopStringTests {
  private func run(_ stops: [String], _ pieces: [String]) -> (shown: [String], stopped: Bool) {
    var filter = StopStrings(stops)
    var shown = pieces.map { filter.push($0) }
    shown.append(filter.isStopped ? "" : filter.finish())
    return (shown, filter.isStopped)
  }

  @Test("a stop string within a piece ends the text before it")
  func within() {
    #expect(run(["STOP"], ["a STOP b", "c"]).shown == ["a ", "", ""])
  }

  @Test("a stop string over several pieces is never shown in part")
  func spanning() {
    let (shown, stopped) = run(["</s>"], ["one <", "/", "s", "> two"])
    #expect(shown == ["one ", "", "", "", ""])
    #expect(stopped)
  }

  @Test("what only began like a stop string is shown after all")
  func released() {
    #expect(run(["</s>"], ["a <", "/b>", "<"]).shown == ["a ", "</b>", "", "<"])
    #expect(run(["aab"], ["a", "a", "a", "b"]).shown == ["", "", "a", "", ""])
  }

  @Test("the earliest of several stop strings counts, and empty ones never")
  func several() {
    #expect(run(["two", "one", ""], ["0 one two"]).shown == ["0 ", ""])
    #expect(run([""], ["text"]).shown == ["text", ""])
  }

  @Test("characters of several bytes are never cut")
  func characters() {
    #expect(run(["é!"], ["caf", "é", "é", "!"]).shown == ["caf", "", "é", "", ""])
  }
}
