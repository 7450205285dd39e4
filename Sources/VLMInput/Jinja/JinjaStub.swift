protocol JinjaStatement: Sendable {}
struct JinjaSymbols: Sendable {}
enum JinjaLexer {
  static func tokens(of source: String) throws(JinjaError) -> [Int] { [] }
}
struct JinjaParser {
  let symbols = JinjaSymbols()
  let freeNames: Set<String> = []
  let words: Set<String> = []
  init(_ tokens: [Int], maximumDepth: Int) {}
  mutating func parse() throws(JinjaError) -> [any JinjaStatement] { [] }
}
final class JinjaInterpreter {
  init(symbols: JinjaSymbols, limits: JinjaLimits, now: JinjaTime?) {}
  func define(_ variables: [(name: String, value: JinjaValue)]) throws(JinjaError) {}
  func run(_ body: [any JinjaStatement]) throws(JinjaError) -> [UInt32] {
    throw JinjaError(line: 1, .unsupported("rendering"))
  }
}
