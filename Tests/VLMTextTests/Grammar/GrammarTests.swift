import Testing

@testable import VLMText

struct GrammarTests {
  private struct Case {
    let grammar: String
    let matching: [String]
    let others: [String]
  }

  private static let cases: [Case] = [
    Case(
      grammar: "root ::= \"yes\" | \"no\"", matching: ["yes", "no"], others: ["", "ye", "yesno"]),
    Case(
      grammar: "root ::= \"a\"? \"b\"* \"c\"+", matching: ["c", "ac", "bbbc", "abccc"],
      others: ["", "a", "ab", "aac", "cb"]),
    Case(
      grammar: "root ::= [0-9]{2} \"-\" [^0-9x]{2,} \".\"{1,2}",
      matching: ["12-ab.", "12-é🦙...", "00-abc.."], others: ["1-ab.", "12-a.", "12-ax.", "12-ab"]),
    Case(
      grammar:
        "# what people say\nroot ::= greeting \", \" name # twice\ngreeting ::= (\n  \"hi\" |\n  \"ho\"\n)\n"
        + "name ::= [A-Z]\n  [a-z]*\n",
      matching: [], others: []),
    Case(
      grammar: "root ::= a |\n  b\na ::= \"x\"\nb ::= \"y\"\n  | \"z\"", matching: ["x", "y", "z"],
      others: ["", "xy"]),
    Case(
      grammar: "root ::= \"\\x41\\u00e9\\U0001F999\\n\\t\\\\\\\"\" [\\]\\[\\x2d-]",
      matching: ["Aé🦙\n\t\\\"]", "Aé🦙\n\t\\\"-"], others: ["Aé🦙\n\t\\\"x"]),
    Case(grammar: "root ::= . . .", matching: ["abc", "é\n🦙"], others: ["ab", "abcd"]),
    Case(
      grammar: "root ::= (\"abc\" | \"a\" | \"\" | \"abd\" | \"ab\" | \"a\" | [x-z]) \".\"",
      matching: ["abc.", "a.", ".", "abd.", "ab.", "y."], others: ["abcd.", "b.", "a", "aa."]),
    Case(grammar: "root ::= \"\"", matching: [""], others: ["x"]),
    Case(
      grammar: "root ::= \"(\" root \")\" | \"x\" root?", matching: ["x", "((x))", "xx(x)"],
      others: ["", "()", "((x)"]),
    // Two ways at each step, which end differently.
    Case(
      grammar: "root ::= s\ns ::= \"a\" s \"b\" | \"a\" s \"c\" | \"d\"",
      matching: ["d", "adb", "aaadbcb"], others: ["ad", "adbb"]),
    Case(
      grammar: "root ::= list\nlist ::= item (\",\" list)?\nitem ::= [a-z]+ | \"[\" list \"]\"",
      matching: ["a", "a,b,[c,[d]],e"], others: ["", "a,", "[a", "a]"]),
  ]

  @Test("thousands of texts that begin alike cost no more than one")
  func manyTexts() throws {
    let texts = (0..<5000).map { "\"item number \($0) of the catalogue\"" }
    let grammar = try Grammar(gbnf: "root ::= " + texts.joined(separator: " | "))
    var states = GrammarStates(grammar.automaton)
    var set = states.start()
    for byte in "item number 4711 of the catalogue".utf8 { set = states.step(set, byte) }
    #expect(states.stacks[set].hasEmpty)
    #expect(states.effort < 1000)
    #expect(!grammar.matches(Array("item number 5000 of the catalogue".utf8)))
  }

  @Test("grammars have the texts that they say, and no others")
  func texts() throws {
    var count = 0
    for item in Self.cases where !(item.matching.isEmpty && item.others.isEmpty) {
      let grammar = try Grammar(gbnf: item.grammar)
      for text in item.matching {
        #expect(grammar.matches(Array(text.utf8)), "\(item.grammar) and '\(text)'")
      }
      for text in item.others {
        #expect(!grammar.matches(Array(text.utf8)), "\(item.grammar) and '\(text)'")
      }
      count += item.matching.count + item.others.count
    }
    #expect(count > 40)
  }

  @Test(
    "a rule goes on over lines inside parentheses and behind a bar, and else ends with its line")
  func lines() throws {
    let source =
      "root ::= greeting \", \" name # twice\ngreeting ::= (\n  \"hi\" |\n  \"ho\"\n)\nname ::= [A-Z]"
    #expect(try Grammar(gbnf: source + " [a-z]*\r\n").matches(Array("hi, Bo".utf8)))
    #expect(throws: TextError.self) { try Grammar(gbnf: source + "\n[a-z]*\n") }
  }

  @Test("an ambiguous grammar is followed in time that does not explode")
  func ambiguity() throws {
    let grammar = try Grammar(
      gbnf: "root ::= s\ns ::= \"a\" s \"b\" | \"a\" s \"c\" | \"a\" s? s? | \"d\"")
    let text = [UInt8](repeating: 0x61, count: 200) + [0x64]
    #expect(grammar.matches(text + [UInt8](repeating: 0x62, count: 200)))
    #expect(!grammar.matches(text + [UInt8](repeating: 0x62, count: 201)))
  }

  @Test("a text nests as deep as the limit allows, and no deeper")
  func depth() throws {
    let grammar = try Grammar(gbnf: "root ::= s\ns ::= \"(\" s \")\" | \"x\"")
    func nested(_ depth: Int) -> [UInt8] {
      [UInt8](repeating: 0x28, count: depth) + [0x78] + [UInt8](repeating: 0x29, count: depth)
    }
    #expect(grammar.matches(nested(500)))
    #expect(!grammar.matches(nested(600)))
  }

  @Test("only whole UTF-8 of the characters that a class has is matched")
  func bytes() throws {
    let any = try Grammar(gbnf: "root ::= .")
    let some = try Grammar(gbnf: "root ::= [\\u0370-\\u03ff\\U0001F980-\\U0001F9FF]")
    var count = 0
    for value in [
      UInt32(0), 0x7f, 0x80, 0x36f, 0x370, 0x3ff, 0x400, 0x7ff, 0x800, 0xd7ff, 0xe000,
      0xffff, 0x10000, 0x1f97f, 0x1f980, 0x1f9ff, 0x1fa00, 0x10ffff,
    ] {
      let scalar = try #require(Unicode.Scalar(value))
      let text = Array(String(scalar).utf8)
      #expect(any.matches(text))
      #expect(!any.matches(Array(text.dropLast())))
      let isMember = (0x370...0x3ff).contains(value) || (0x1f980...0x1f9ff).contains(value)
      #expect(some.matches(text) == isMember)
      count += 1
    }
    #expect(count == 18)
    for text: [UInt8] in [
      [0x80], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xff],
    ] {
      #expect(!any.matches(text))
    }
  }
}
