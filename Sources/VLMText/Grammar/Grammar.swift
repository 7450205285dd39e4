/// The texts that an answer may be, as rules, ready to be followed byte by byte.
package struct Grammar: Sendable {
  let automaton: GrammarAutomaton

  /// Reads a grammar in GBNF, llama.cpp's notation.
  ///
  /// - Parameter file: its name, for messages.
  /// - Throws: `TextError` with line and column, or naming a rule that begins with itself.
  package init(gbnf source: String, file: String = "grammar") throws(TextError) {
    let (rules, root) = try GrammarParser.parse(source, file: file)
    try self.init(rules, root: root, file: file)
  }

  /// - Throws: `TextError` for rules that are too large, match nothing, or begin with themselves.
  init(_ rules: [GrammarRule], root: Int, file: String) throws(TextError) {
    automaton = try GrammarGraph.compile(rules, root: root, file: file)
  }

  /// Whether the grammar has this text, for tests of a grammar.
  package func matches(_ text: [UInt8]) -> Bool {
    var states = GrammarStates(automaton)
    var set = states.start()
    for byte in text where set != StackSets.none { set = states.step(set, byte) }
    return states.stacks[set].hasEmpty
  }
}
