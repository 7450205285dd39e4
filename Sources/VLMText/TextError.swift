import VLMFoundation

/// Why a tokenizer or a conversation template cannot be used.
package struct TextError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    /// The bytes end before what they announce.
    case truncated(needed: Int, available: Int)
    /// A value is not what it has to be; `found` is how it reads.
    case value(found: String, expected: String)
    case missing
    case json(String)
    /// Well-formed, and something that this build cannot do.
    case unsupported(String)
    /// A chat template that cannot be read, or that stopped.
    case template(JinjaError)
    /// An expression that takes more steps on a text than are allowed.
    case steps
  }

  /// The file's path, or what stands for it.
  package let file: String
  /// Where in the file: a field, a piece.
  package let place: String
  package let problem: Problem

  package init(file: String, place: String, _ problem: Problem) {
    self.file = file
    self.place = place
    self.problem = problem
  }

  package var description: String {
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
