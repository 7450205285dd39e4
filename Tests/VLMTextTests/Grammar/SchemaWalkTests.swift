import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMText

/// A vocabulary of single bytes, pieces of JSON and of words, and one token that ends a text.
enum WalkVocabulary {
  static let pieces = [
    "{\"", "\": ", "\":", "\", \"", "\",\"", "\"}", "\"]", "}, {", "],", "},", "[[", "]]", "}}",
    "{}", "[]", "true", "fal",
    "se", "null", " \"", "\n  ", "\n    ", "12", "3.", "0.5", "e+", "-1", "name", "age", "tags",
    "value", "children",
    "kind", "circle", "box", "abc", "ab", "\\n", "\\u00", "\\\"", "é", "🦙", "日本", "the ", " of",
    "20", "-0", "T1", ":0",
  ]
  static let end = 256 + pieces.count
  static let texts = (0..<256).map { [UInt8($0)] } + pieces.map { Array($0.utf8) } + [[]]

  static func vocabulary() -> TokenVocabulary { TokenVocabulary(texts: texts) }

  /// Tokens that close what is open, so that a walk comes to an end.
  static let closing: Set<Int> = Set(
    ["\"", "}", "]", "0", "e"].flatMap { close in
      texts.indices.filter { String(decoding: texts[$0], as: UTF8.self) == close }
    } + [end])

  /// A text of random tokens; nil where it does not end soon. Behind some tokens what ends it is
  /// preferred.
  static func walk(_ constraint: GrammarConstraint, _ random: inout SplitMix64) -> [Int]? {
    var constraint = constraint
    var mask = TokenMask(count: texts.count)
    var tokens: [Int] = []
    while tokens.count < 3000 {
      if constraint.isComplete { return tokens }
      constraint.allowed(into: &mask)
      let allowed = texts.indices.filter { mask.contains($0) }
      guard !allowed.isEmpty else {
        Issue.record(
          "no token behind \(String(decoding: tokens.flatMap { texts[$0] }, as: UTF8.self))")
        return nil
      }
      let closers = allowed.filter { closing.contains($0) }
      let isLate = tokens.count > 60 || random.next() % 4 == 0
      let choices = isLate && !closers.isEmpty ? closers : allowed
      let token = choices[Int(random.next() % UInt64(choices.count))]
      if token == end { return tokens }
      tokens.append(token)
      constraint.accept(token)
    }
    return nil
  }
}

struct SchemaWalkTests {
  /// With the file's name in VLM_GRAMMAR_WALKS the documents are written there, for
  /// `scripts/make-grammar-fixtures` to judge.
  @Test("random walks through a schema's automaton give JSON, and what the grammar has")
  func walks() throws {
    let fixtures = try SchemaFixtures()
    let vocabulary = WalkVocabulary.vocabulary()
    var random = SplitMix64(seed: 16)
    var (ended, all) = (0, 0)
    var lines = ""
    for (number, item) in fixtures.cases.enumerated() {
      let grammar = try item.grammar()
      let matcher = GrammarMatcher(grammar, vocabulary)
      for _ in 0..<8 {
        all += 1
        let start = matcher.constraint(endTokens: [WalkVocabulary.end])
        guard let tokens = WalkVocabulary.walk(start, &random) else { continue }
        ended += 1
        let bytes = tokens.flatMap { WalkVocabulary.texts[$0] }
        let text = try #require(String(validating: bytes, as: UTF8.self))
        #expect(grammar.matches(bytes), "\(text)")
        #expect(throws: Never.self, "\(text)") {
          try JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed])
        }
        let line: JSONValue = ["schema": .int(number), "text": .string(text)]
        lines += line.serialized() + "\n"
      }
    }
    #expect(all > 350)
    #expect(ended * 10 > all * 9, "\(ended) of \(all) came to an end")
    if let path = ProcessInfo.processInfo.environment["VLM_GRAMMAR_WALKS"] {
      try Data(lines.utf8).write(to: URL(fileURLWithPath: path))
    }
  }
}
