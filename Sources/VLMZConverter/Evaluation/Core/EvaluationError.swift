import VLMFoundation

/// A model could not be judged.
package struct EvaluationError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    /// The disk has no room for what the reference makes.
    case noRoom(folder: String, needed: Int, free: Int)
    /// None of the data could be used; why the first could not.
    case nothingLeft(String?)
    /// The reference is another model.
    case otherOutputs
  }

  package let file: String?
  package let problem: Problem

  package init(file: String? = nil, _ problem: Problem) {
    self.file = file
    self.problem = problem
  }

  package func description(in words: Wording) -> String {
    let text =
      switch problem {
      case .noRoom(let folder, let needed, let free):
        "\(folder.escapedForDisplay()): found \(Self.megabytes(free)) free, expected "
          + "\(Self.megabytes(needed)) for what the reference makes of the data"
      case .nothingLeft(let reason):
        "evaluation: none of the data can be used" + (reason.map { ": " + $0 } ?? "")
      case .otherOutputs:
        "outputs: found other sizes than the reference's, expected the same model"
      }
    return (file.map { $0.escapedForDisplay() + ": " } ?? "") + text
  }

  private static func megabytes(_ bytes: Int) -> String { "\((bytes + 999_999) / 1_000_000) MB" }

  package var exitStatus: ExitStatus {
    switch problem {
    case .noRoom: .osError
    case .nothingLeft, .otherOutputs: .badData
    }
  }
}
