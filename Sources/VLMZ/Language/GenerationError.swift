import VLMFoundation

/// Text could not be generated as it was asked for.
package struct GenerationError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    case option(String, found: String, expected: String)
    case setting(Setting, found: String, expected: String)
    /// Some of the logits are NaN or infinite: damaged weights, or an overflow.
    case notNumbers(position: Int)
    /// No token of the vocabulary goes on with what the format asks for, or finding one takes too much
    /// work.
    case noAllowedToken(after: Int)
    case noTokenizer
    case emptyPrompt
    /// The file's model does not generate text.
    case notLanguage(architecture: String)
    case text(found: String, expected: String)
    /// A prompt with another number of places for pictures than there are pictures.
    case places(found: Int, expected: Int)
    /// A question that says `<image>` more or less often than there are pictures for it.
    case pictures(named: Int, given: Int)
    /// A conversation that the context has no room for: positions of its text, and pictures with all
    /// their positions.
    case tooLong(text: Int, pictures: Int, visual: Int, capacity: Int)
    /// A question so long that its length alone says that the context has no room for it: bytes, those
    /// of white space at its ends where they count, and positions at the least.
    case surelyTooLong(bytes: Int, spaces: Int, positions: Int, capacity: Int)
  }

  package let file: String?
  package let problem: Problem
  /// What can be done about it, where a program knows.
  package let advice: String?

  package init(file: String? = nil, _ problem: Problem, advice: String? = nil) {
    self.file = file
    self.problem = problem
    self.advice = advice
  }

  package func description(in words: Wording) -> String {
    let text =
      switch problem {
      case .option(let name, let found, let expected):
        "\(name): found \(found.escapedForDisplay()), expected \(expected)"
      case .setting(let setting, let found, let expected):
        "\(words.name(of: setting)): found \(found.escapedForDisplay()), expected \(expected)"
      case .notNumbers(let position):
        "logits behind position \(position): found NaN or infinity, expected finite numbers: the "
          + "weights are damaged, or a layer overflows"
      case .noAllowedToken(let count):
        "format: found no token that may follow \(count) of the answer, expected one: the grammar asks "
          + "for what the vocabulary cannot write, or is too ambiguous"
      case .noTokenizer:
        "tokenizer: found none in the file, expected one; copy tokenizer.json beside the weights and "
          + "convert again"
      case .emptyPrompt: "prompt: found no tokens, expected at least one"
      case .notLanguage(let architecture):
        "architecture: found '\(architecture.escapedForDisplay())', expected a language model"
      case .text(let found, let expected): "text: found \(found), expected \(expected)"
      case .places(let found, let expected):
        "text: found \(counted(found, "place")) for pictures in the template's prompt, expected \(expected), "
          + "one per picture" + words.end(.anotherTemplate)
      case .pictures(let named, let given):
        "prompt: found <image> \(named == 1 ? "once" : "\(named) times") and "
          + "\(counted(given, "picture")), expected one <image> per picture, or none at all"
      case .tooLong(let text, let pictures, let visual, let capacity):
        "prompt: found "
          + (pictures == 0
            ? "\(text) positions"
            : "\(counted(pictures, "picture")) of \(counted(visual, "token")) and "
              + "\(counted(text, "token")) of text, "
              + "\(text + visual) positions")
          + ", expected at most \(capacity), the context's"
      case .surelyTooLong(let bytes, let spaces, let positions, let capacity):
        "prompt: found a question of \(bytes) bytes, "
          + (spaces > 0 ? "\(spaces) of them white space at its ends, " : "")
          + "\(positions) positions at the least, expected at most \(capacity), the context's"
      }
    return (file.map { $0.escapedForDisplay() + ": " } ?? "") + text
      + (advice.map { "; " + $0 } ?? "")
  }

  package var exitStatus: ExitStatus {
    switch problem {
    case .option, .setting, .pictures: .usage
    default: .badData
    }
  }
}
