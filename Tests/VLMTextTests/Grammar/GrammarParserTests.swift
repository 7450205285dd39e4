import Testing

@testable import VLMText

struct GrammarParserTests {
  static let errors: [(String, String)] = [
    ("", "grammar: rules: found no rule 'root', expected one"),
    ("# nothing", "grammar: rules: found no rule 'root', expected one"),
    ("a ::= \"x\"", "grammar: rules: found no rule 'root', expected one"),
    ("root ::= a", "grammar: line 1, column 10: found 'a', expected a rule that is defined"),
    (
      "root ::= \"x\"\nroot ::= \"y\"",
      "grammar: line 2, column 1: found 'root' again, expected each rule once"
    ),
    ("root = \"x\"", "grammar: line 1, column 6: found '=', expected '::='"),
    (
      "_root ::= \"x\"",
      "grammar: line 1, column 1: found '_', expected the name of a rule: letters, digits and '-'"
    ),
    ("root ::= \"x", "grammar: line 1, column 10: found a text without an end, expected '\"'"),
    ("root ::= [a-", "grammar: line 1, column 10: found '[' without an end, expected ']'"),
    (
      "root ::= [z-a]",
      "grammar: line 1, column 11: found a range that descends, expected the lower end first"
    ),
    (
      "root ::= []",
      "grammar: line 1, column 10: found no characters, expected at least one between '[' and ']'"
    ),
    ("root ::= (\"x\"", "grammar: line 1, column 10: found '(' without an end, expected ')'"),
    ("root ::= \"x\")", "grammar: line 1, column 13: found ')', expected the end of the line"),
    (
      "root ::= \"x\" *\n  *",
      "grammar: line 2, column 3: found '*', expected the name of a rule: letters, digits and '-'"
    ),
    (
      "root ::= \"\\q\"",
      "grammar: line 1, column 11: found '\\q', expected one of \\n \\r \\t \\\\ \\\" \\[ \\] \\xNN \\uNNNN \\UNNNNNNNN"
    ),
    ("root ::= \"\\x4\"", "grammar: line 1, column 14: found '\"', expected 2 hexadecimal digits"),
    ("root ::= \"\\ud800\"", "grammar: line 1, column 11: found U+d800, expected a character"),
    ("root ::= \"x\"{}", "grammar: line 1, column 14: found '}', expected a number of repetitions"),
    ("root ::= \"x\"{3", "grammar: line 1, column 15: found the end, expected '}'"),
    (
      "root ::= \"x\"{3,2}",
      "grammar: line 1, column 13: found {3,2}, expected a maximum that is not below"
    ),
    (
      "root ::= \"x\"{2001}",
      "grammar: line 1, column 14: found 2001, expected at most 2000 repetitions"
    ),
    ("root ::= <think>", "grammar: line 1, column 10: a token in a grammar is not supported"),
    (
      "root ::= root \"x\" | \"y\"",
      "grammar: rule 'root': found a rule that begins with itself, expected something that is read "
        + "before it comes again, such as 'a ::= b (\",\" b)*'"
    ),
    (
      "root ::= \"x\" root",
      "grammar: 'root': found no text that it matches, expected at least one of limited length"
    ),
  ]

  @Test("a grammar that cannot be read is refused with line and column")
  func refusals() {
    #expect(Self.errors.count == 24)
    for (source, message) in Self.errors {
      do {
        _ = try Grammar(gbnf: source)
        Issue.record("'\(source)' was read")
      } catch {
        #expect(error.description == message, "\(source)")
        #expect(error.exitStatus == .badData)
      }
    }
  }

  @Test("left recursion is found through other rules, and behind what may be empty")
  func leftRecursion() {
    for source in [
      "root ::= a\na ::= b \"x\"\nb ::= a | \"y\"",
      "root ::= empty? root \"x\" | \"y\"\nempty ::= \"z\"",
      "root ::= e root | \"y\"\ne ::= \"\"",
      "root ::= (\"a\"? | b)* \"y\"\nb ::= root",
      "root ::= root",
    ] {
      #expect(throws: TextError.self, "\(source)") { try Grammar(gbnf: source) }
    }
  }

  @Test("hostile grammars are bounded: nesting, repetitions of repetitions, rules, size")
  func limits() {
    func many(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }
    let rules: [String] = (0..<5000).map { "r\($0) ::= \"x\"" }
    let sources: [String] = [
      "root ::= \(many("(", 100_000))", #"root ::= (((("x"{2000}){2000}){2000}){2000})"#,
      "root ::= \"x\"\(many("?", 100_000))", rules.joined(separator: "\n"),
      "root ::= \"\(many("x", 1 << 20))\"", "root ::= \(many("\"x\"? ", 5000))",
    ]
    for source in sources {
      #expect(throws: TextError.self) { try Grammar(gbnf: source) }
    }
  }

  @Test("rules that double with each other are not copied without an end")
  func doubling() throws {
    var source = "root ::= r0\n"
    for index in 0..<60 { source += "r\(index) ::= r\(index + 1) r\(index + 1)?\n" }
    let grammar = try Grammar(gbnf: source + "r60 ::= \"x\"")
    #expect(grammar.matches(Array("x".utf8)))
    #expect(grammar.matches(Array(repeating: 0x78, count: 200)))
    #expect(!grammar.matches([]))
  }
}
