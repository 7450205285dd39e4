import VLMFoundation
import VLMTensor

/// A benchmark cannot be run as asked.
package struct BenchError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    case caseName(String, part: String, found: String, expected: String)
    case unknownModel(String)
    case unavailableKernels(String, available: [String])
    case noCases(filter: String)
    case temporaryFolder(String, errno: Int32)
  }

  package let problem: Problem

  package init(_ problem: Problem) { self.problem = problem }

  package func description(in words: Wording) -> String {
    switch problem {
    case .caseName(let name, let part, let found, let expected):
      "case '\(name.escapedForDisplay())': \(part): found '\(found.escapedForDisplay())', "
        + "expected \(expected)"
    case .unknownModel(let name):
      "model '\(name.escapedForDisplay())': unknown, expected one of "
        + RandomModel.allNames.joined(separator: ", ")
    case .unavailableKernels(let name, let available):
      "kernels '\(name.escapedForDisplay())': cannot run here, expected one of "
        + available.joined(separator: ", ")
    case .noCases(let filter): "no case matches '\(filter.escapedForDisplay())'"
    case .temporaryFolder(let path, let errno):
      "\(path.escapedForDisplay()): create failed, error \(errno)"
    }
  }

  package var exitStatus: ExitStatus {
    switch problem {
    case .caseName, .unknownModel, .noCases: .usage
    case .unavailableKernels: .unsupported
    case .temporaryFolder: .cannotCreate
    }
  }
}
