import VLMFoundation

/// A model could not be judged.
package struct EvaluationError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    /// The data have nothing of a kind that says something of the model.
    case lacks(String, given: String)
    /// A model of so many channels, which no picture has.
    case channels(Int)
    /// What the data are good for is a comparison.
    case needsReference
    /// The model and the reference cannot be compared: in what, with what each has.
    case unlike(String, found: String, expected: String, reference: String)
    /// Their outputs are of other sizes.
    case otherOutputs
    /// The disk has no room for what the reference makes.
    case noRoom(folder: String, needed: Int, free: Int)
    /// None of the data could be used; why the first could not.
    case nothingLeft(String?)
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
      case .lacks(let kind, let given): "data: found \(given), expected \(kind)"
      case .channels(let count):
        "data: found a model of \(count) channels, expected one that sees pictures"
      case .needsReference:
        "data: found nothing with a right answer, expected a reference to compare with"
      case .unlike(let what, let found, let expected, let reference):
        "\(what): found \(found.escapedForDisplay()), expected \(expected.escapedForDisplay()), as in "
          + "'\(reference.escapedForDisplay())'"
      case .otherOutputs:
        "outputs: found other sizes than the reference's, expected the same model"
      case .noRoom(let folder, let needed, let free):
        "\(folder.escapedForDisplay()): found \(Self.megabytes(free)) free, expected "
          + "\(Self.megabytes(needed)) for what the reference makes of the data"
      case .nothingLeft(let reason):
        "data: none can be used" + (reason.map { ": " + $0 } ?? "")
      }
    return (file.map { $0.escapedForDisplay() + ": " } ?? "") + text
  }

  private static func megabytes(_ bytes: Int) -> String { "\((bytes + 999_999) / 1_000_000) MB" }

  package var exitStatus: ExitStatus {
    switch problem {
    case .lacks, .channels, .needsReference: .usage
    case .noRoom: .osError
    case .unlike, .otherOutputs, .nothingLeft: .badData
    }
  }
}
