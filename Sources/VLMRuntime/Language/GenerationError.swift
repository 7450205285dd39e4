import VLMTensor

/// Text could not be generated as it was asked for.
package struct GenerationError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    case option(String, found: String, expected: String)
    /// The logits are not numbers: damaged weights, or an overflow.
    case notNumbers(position: Int)
    case noTokenizer
    case emptyPrompt
    /// The file's model does not generate text.
    case notLanguage(architecture: String)
    case text(found: String, expected: String)
  }

  package let file: String?
  package let problem: Problem

  package init(file: String? = nil, _ problem: Problem) {
    self.file = file
    self.problem = problem
  }

  package var description: String {
    let text =
      switch problem {
      case .option(let name, let found, let expected):
        "\(name): found \(found.escapedForDisplay()), expected \(expected)"
      case .notNumbers(let position):
        "logits behind position \(position): found none that is a number, expected finite ones"
      case .noTokenizer: "tokenizer: found none in the file, expected one"
      case .emptyPrompt: "prompt: found no tokens, expected at least one"
      case .notLanguage(let architecture):
        "architecture: found '\(architecture.escapedForDisplay())', expected a language model"
      case .text(let found, let expected): "text: found \(found), expected \(expected)"
      }
    return (file.map { $0.escapedForDisplay() + ": " } ?? "") + text
  }

  package var exitStatus: ExitStatus {
    switch problem {
    case .option: .usage
    default: .badData
    }
  }
}
