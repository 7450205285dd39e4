import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMText

/// Splitting text at expressions: the words of the `tokenizers` library, and refused syntax.
@Suite("Expressions of pre-tokenizers")
struct SplitExpressionTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let json: JSONValue

    var testDescription: String { name }
  }

  private static let fixture = try? TokenizerFixtures.json(TokenizerFixtures.own("patterns.json"))
  private static let texts = (fixture?["texts"]?.arrayValue ?? []).compactMap(\.stringValue)
  static let cases = (fixture?["cases"]?.arrayValue ?? []).compactMap { entry in
    entry["name"]?.stringValue.map { Case(name: $0, json: entry) }
  }

  private static func words(_ steps: [PreTokenizer.Step], _ text: String) throws -> [[UInt8]] {
    var words: [[UInt8]] = []
    var matcher: ExpressionMatcher?
    try PreTokenizer(steps: steps).forEachWord(Array(text.utf8), &matcher) { words.append($0) }
    return words
  }

  private static func steps(_ json: JSONValue) throws -> [PreTokenizer.Step] {
    let whole: JSONValue = ["pre_tokenizer": json]
    return try PreTokenizerJSON(TokenizerJSON(json: whole, file: "tokenizer.json")).read().steps
  }

  @Test("the fixture has all pre-tokenizers")
  func count() { #expect(Self.cases.count == 35 && Self.texts.count == 20) }

  @Test("words are the library's", arguments: cases)
  func words(_ entry: Case) throws {
    let json = try #require(entry.json["pre_tokenizer"])
    let steps = try Self.steps(json)
    let isBytes = json.serialized().contains("ByteLevel")
    let lists = try #require(entry.json["words"]?.arrayValue)
    try #require(lists.count == Self.texts.count)
    for (text, list) in zip(Self.texts, lists) {
      let expected = try #require(list.arrayValue).map { word in
        let word = try #require(word.stringValue)
        return isBytes
          ? word.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) } : Array(word.utf8)
      }
      let found = try Self.words(steps, text)
      #expect(found == expected, "\(text.debugDescription)")
    }
  }

  @Test(
    "the expressions that are code cut as the engine does",
    arguments: TextPattern.sources.keys.sorted())
  func patterns(_ source: String) throws {
    let pattern = try #require(TextPattern.sources[source])
    // CLIP's letters are small before it is cut, and its marks are cut out.
    let written =
      pattern == .clip ? "(?i:'s|'t|'re|'ve|'m|'ll|'d)|" + source.dropped(to: "[") : source
    let steps: [PreTokenizer.Step] = [
      .expression(
        try SplitExpression(
          written, pattern == .clip ? .removed : .isolated, isInverted: pattern == .clip))
    ]
    var random = SystemRandomNumberGenerator()
    for _ in 0..<200 {
      let text = (0..<12).map { _ in Self.atoms.randomElement(using: &random) ?? "" }.joined()
      let (code, engine) = (try Self.words([.pattern(pattern)], text), try Self.words(steps, text))
      #expect(code == engine, "\(text.debugDescription)")
    }
  }

  private static let atoms =
    texts.flatMap { $0.unicodeScalars.map(String.init) } + ["'s", "'LL", " ", "\n", "12", "ab"]

  @Test(
    "what the engines read unlike is refused by name",
    arguments: [
      (#"(a)\1"#, #"'\1'"#), (#"a\K"#, #"'\K'"#), (#"\X"#, #"'\X'"#),
      ("(?(1)a)", "the group '(?(1'"),
      ("(?R)", "the group '(?R)'"), ("(?x: a)", "the group '(?x:'"), ("a(?i)b", "the group '(?i)'"),
      ("(?i:ss)", "'ss' in either case"), ("(?i:ß)", "'ß' in either case"),
      (#"(?i:\p{L})"#, #"'\p' in either case"#), ("a**", "a repetition of '*' at once"),
      ("a{2}?", "the repetition '{2}?'"), ("a{2000}", "more than 1000 repetitions"),
      ("(?=a)*", "a repetition of nothing"), ("*a", "a '*' that repeats nothing"),
      ("(a", "a '(' without ')'"), ("a)", "a ')' without '('"),
      ("[a", "an expression that breaks off"),
      ("[]a]", "']' at the start of a class"), (#"[\w-x]"#, "a range from a class"),
      ("[b-a]", "a range that descends"), ("[[:graph:]]", "the class '[:graph:]'"),
      (#"\pL"#, #"'\p' without '{'"#), (#"\p{L&}"#, "the property 'l&'"),
      (#"\xff"#, #"a code behind '\x'"#),
    ])
  func refused(_ source: String, _ reason: String) {
    let error = thrownError(ExpressionProblem.self) { try SplitExpression(source) }
    #expect(error?.text == reason)
  }

  @Test("groups, classes and expressions have bounds")
  func bounds() {
    let deep = String(repeating: "(", count: 100) + "a" + String(repeating: ")", count: 100)
    let classes = String(repeating: "[a", count: 100) + String(repeating: "]", count: 100)
    let long = String(repeating: "a", count: 9000)
    let huge = "(?:(?:(?:abc|d){1000}){1000}){1000}"
    for source in [deep, classes, long, huge, "", #"\p{Nonsense}"#, "(?<=a+)b"] {
      #expect(throws: ExpressionProblem.self) { try SplitExpression(source) }
    }
  }

  @Test(
    "an expression that would search for ever ends in an error",
    arguments: ["(a+)+$", "(a|aa)+$", #"(?:a|a)+\z"#])
  func catastrophe(_ source: String) throws {
    let steps: [PreTokenizer.Step] = [.expression(try SplitExpression(source))]
    let text = String(repeating: "a", count: 4000) + "!"
    let error = thrownError(TextError.self) { try Self.words(steps, text) }
    #expect(error?.problem == .steps)
    #expect(error?.description.contains(source) == true)
  }

  @Test("bytes that are no text are an error, not a crash")
  func invalid() throws {
    let steps: [PreTokenizer.Step] = [.expression(try SplitExpression(#"\p{L}+"#))]
    var matcher: ExpressionMatcher?
    let error = thrownError(TextError.self) {
      try PreTokenizer(steps: steps).forEachWord([0x61, 0xe2, 0x82], &matcher) { _ in }
    }
    #expect(error?.problem == .value(found: "bytes that are no UTF-8", expected: "text"))
  }

  @Test("a long text of one kind is cut without trouble")
  func long() throws {
    let steps: [PreTokenizer.Step] = [
      .expression(try SplitExpression(#"(?:[a-z]|[A-Z])+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+"#))
    ]
    for atom in ["a", "7", "!", " "] {
      let words = try Self.words(steps, String(repeating: atom, count: 300_000))
      #expect(words.joined().count == 300_000)
    }
  }
}

extension String {
  /// What follows from the first `mark` on.
  fileprivate func dropped(to mark: Character) -> String { String(drop { $0 != mark }) }
}
