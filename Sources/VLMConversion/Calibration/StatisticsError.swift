import VLMCheckpoint
import VLMFoundation

/// A file of statistics cannot be used.
package struct StatisticsError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    /// It is no safetensors file, or a damaged one.
    case file(CheckpointError)
    /// It lacks the metadata that a file of statistics has.
    case notStatistics
    case version(Int, expected: Int)
    /// A part of the metadata, what it should be.
    case metadata(String, expected: String)
    /// An array of a group: what is wrong, what is expected.
    case array(String, found: String, expected: String)
    /// A matrix of another width than the statistics are of.
    case inputs(tensor: String, found: Int, expected: Int)
    /// The scheme's encoder wants Σ x xᵀ, and only moments are there.
    case noHessian(tensor: String, scheme: String)
    /// It would be written where the conversion writes.
    case isOutput(String)
    /// They are of a model of other shapes.
    case otherModel
    /// What the statistics were gathered with, and what was asked for.
    case otherData(found: String, expected: String)
  }

  package let path: String
  package let problem: Problem

  package init(path: String, _ problem: Problem) {
    self.path = path
    self.problem = problem
  }

  package func description(in words: Wording) -> String {
    let name = path.escapedForDisplay()
    switch problem {
    case .file(let error): return error.description(in: words)
    case .notStatistics:
      return "\(name): no metadata '\(StatisticsFile.key)', expected a file of statistics"
    case .version(let found, let expected):
      return "\(name): version \(found) of statistics, expected \(expected)"
    case .metadata(let place, let expected):
      return "\(name): metadata: \(place): cannot be read, expected \(expected)"
    case .array(let array, let found, let expected):
      return "\(name): array '\(array.escapedForDisplay())': found \(found), expected "
        + expected
    case .inputs(let tensor, let found, let expected):
      return "\(name): tensor '\(tensor.escapedForDisplay())': statistics of \(found) inputs, "
        + "expected \(expected): they are of another model"
    case .noHessian(let tensor, let scheme):
      return "\(name): tensor '\(tensor.escapedForDisplay())': no Hessian, which \(scheme) makes "
        + "use of" + words.end(.calibrateAgain)
    case .isOutput(let output):
      return "\(name): the conversion to \(output.escapedForDisplay()) writes there, expected "
        + "another file for statistics"
    case .otherModel:
      return "\(name): statistics of another model, expected this one's"
    case .otherData(let found, let expected):
      return "\(name): statistics of \(found), expected \(expected)"
        + words.end(.keepStatistics)
    }
  }

  package var exitStatus: ExitStatus {
    switch problem {
    case .file(let error): error.exitStatus
    case .noHessian, .otherData: .usage
    case .isOutput: .cannotCreate
    default: .badData
    }
  }
}
