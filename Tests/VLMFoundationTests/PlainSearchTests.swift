import Testing
import VLMFoundation

struct PlainSearchTests {
  @Test(
    "a text is found where its characters follow one another",
    arguments: [
      ("", "", true), ("a", "", true), ("", "a", false), ("abc", "bc", true), ("abc", "cb", false),
      ("aab", "ab", true), ("a\u{301}", "a", false), ("xa\u{301}", "\u{e1}", true),
    ])
  func found(text: String, part: String, isThere: Bool) {
    #expect(text.contains(part) == isThere)
    #expect(text[...].contains(part) == isThere)
  }

  @Test(
    "a separator of any length divides a text",
    arguments: [
      ("", "{}", [""]), ("{}", "{}", ["", ""]), ("a {} b{}", "{}", ["a ", " b", ""]),
      ("{{}}", "{}", ["{", "}"]), ("aaa", "aa", ["", "a"]), ("ab", "", ["ab"]),
    ])
  func divided(text: String, separator: String, parts: [String]) {
    #expect(text.parts(between: separator).map(String.init) == parts)
  }
}
