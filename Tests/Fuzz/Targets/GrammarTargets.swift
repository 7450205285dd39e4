import VLMFoundation
import VLMText

enum GrammarTargets {
  private static let pieces = [
    "{\"", "\": ", "\", \"", "\"}", "}", "]", "[", ",", " ", "\n", "true", "null", "1", "0.5", "ab",
    "the ", "é",
  ]
  private static let end = 256 + pieces.count
  private static let texts =
    (0..<256).map { [UInt8($0)] } + pieces.map { Array($0.utf8) } + [[]]

  static func gbnf(_ bytes: UnsafeRawBufferPointer) {
    let source = String(decoding: bytes, as: UTF8.self)
    follow(isJSON: false) { () throws(TextError) in try Grammar(gbnf: source, file: "f") }
  }

  static func schema(_ bytes: UnsafeRawBufferPointer) {
    let source = Array(bytes)
    follow(isJSON: true) { () throws(TextError) in try Grammar(jsonSchema: source, file: "f") }
  }

  /// Writes a few texts, each with tokens that are allowed: what is written is a text of the grammar as
  /// soon as it may end, and JSON if it is to be.
  private static func follow(isJSON: Bool, _ make: () throws(TextError) -> Grammar) {
    let grammar: Grammar
    do throws(TextError) { grammar = try make() } catch { return report(error) }
    let matcher = GrammarMatcher(grammar, TokenVocabulary(texts: texts))
    var random = SplitMix64(seed: 1)
    for _ in 0..<2 {
      var constraint = matcher.constraint(endTokens: [end])
      var mask = TokenMask(count: texts.count)
      var text: [UInt8] = []
      for _ in 0..<32 {
        if constraint.canEnd {
          precondition(grammar.matches(text), "what may end is a text of the grammar")
          if isJSON { check(text) }
        }
        if constraint.isComplete { break }
        constraint.allowed(into: &mask)
        precondition(
          mask.contains(end) == (constraint.canEnd && !mask.isEmpty), "ends where it may")
        let allowed = texts.indices.filter { mask.contains($0) && $0 != end }
        guard !allowed.isEmpty else { break }
        let token = allowed[Int(random.next() % UInt64(allowed.count))]
        constraint.accept(token)
        text += texts[token]
      }
    }
  }

  private static func check(_ text: [UInt8]) {
    do throws(JSONError) { _ = try JSONValue.parse(text) } catch {
      // Names may come twice where any are allowed.
      if case .duplicateKey = error.problem { return }
      preconditionFailure("what was written is no JSON: \(error)")
    }
  }
}
