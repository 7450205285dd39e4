import VLMFoundation

/// Why a tokenizer or a conversation template cannot be used.
package struct TextError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    /// The data is truncated.
    case truncated(needed: Int, available: Int)
    /// An invalid value; `found` is its text.
    case value(found: String, expected: String)
    case missing
    case json(String)
    /// Well-formed, but not supported by this build.
    case unsupported(String)
    /// A chat template that cannot be parsed, or that failed.
    case template(JinjaError)
    /// An expression exceeds the step limit on a text.
    case steps
  }

  /// The file's path, or a substitute for it.
  package let file: String
  /// The location in the file, such as a field or a piece.
  package let place: String
  package let problem: Problem

  package init(file: String, place: String, _ problem: Problem) {
    self.file = file
    self.place = place
    self.problem = problem
  }

  /// What a chat template says of a conversation that it refuses; nil for other errors.
  package var refusal: String? {
    guard case .template(let error) = problem, case .raised(let message) = error.problem
    else { return nil }
    return message
  }

  package func description(in words: Wording) -> String {
    let head = "\(file.escapedForDisplay()): \(place.escapedForDisplay(limit: 120)): "
    switch problem {
    case .truncated(let needed, let available):
      return head + "cut off, found \(available) bytes, expected \(needed)"
    case .value(let found, let expected):
      return head + "found \(found.escapedForDisplay(limit: 80)), expected \(expected)"
    case .missing: return head + "missing"
    case .json(let text): return head + text
    case .unsupported(let what): return head + "\(what.escapedForDisplay()) is not supported"
    case .template(let error): return head + "\(error)"
    case .steps: return head + "more steps on this text than are allowed"
    }
  }

  package var exitStatus: ExitStatus {
    if case .template(let error) = problem, error.problem == .noThread { return .osError }
    return .badData
  }
}
