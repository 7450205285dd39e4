import ArgumentParser

/// `--speculate`: how many tokens one pass may decide beside the next one. It never changes an answer.
package struct SpeculationOption: ExpressibleByArgument, Sendable, Equatable {
  package static var help: ArgumentHelp {
    ArgumentHelp(
      "Tokens that one pass over the weights may decide beside the next one, 1 to 7, where an answer "
        + "repeats its prompt or itself; 'off' for none. The text is the same; default: 7.",
      valueName: "n|off")
  }

  package let tokens: Int

  package init?(argument: String) {
    guard argument != "off" else {
      tokens = 0
      return
    }
    guard let count = Int(argument), (1...7).contains(count) else { return nil }
    tokens = count
  }

  package static var allValueStrings: [String] { ["off"] + (1...7).map { "\($0)" } }

  package var defaultValueDescription: String { tokens == 0 ? "off" : "\(tokens)" }
}
