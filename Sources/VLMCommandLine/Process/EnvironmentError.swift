import VLMFoundation
import VLMTensor

/// An environment variable whose value cannot be used.
package struct EnvironmentError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    /// `VLM_FORCE_ISA`, and the names that it may have on this machine.
    case kernels(String, available: [String])
    /// `VLM_THREADS`.
    case threadCount(String)
    /// `VLM_CACHE_GB`.
    case cacheLimit(String)
    /// The same is 0, and this file is packed.
    case noCache(String)
  }

  package let problem: Problem

  package init(_ problem: Problem) { self.problem = problem }

  package func description(in words: Wording) -> String {
    switch problem {
    case .kernels(let name, let available):
      "VLM_FORCE_ISA: '\(name.escapedForDisplay())' cannot run here, "
        + "expected one of \(available.joined(separator: ", "))"
    case .threadCount(let text):
      "VLM_THREADS: '\(text.escapedForDisplay())' is not a number of threads, "
        + "expected 1 to \(ThreadCount.maximum)"
    case .cacheLimit(let text):
      "VLM_CACHE_GB: '\(text.escapedForDisplay())' is no size, expected a number of GB, or one "
        + "with its unit, such as 500MB or 16G"
    case .noCache(let path):
      "\(path.escapedForDisplay()): is packed, and VLM_CACHE_GB is 0, so that nothing is unpacked"
        + words.end(.unpack(path))
    }
  }

  package var exitStatus: ExitStatus {
    switch problem {
    case .kernels: .unsupported
    case .threadCount, .cacheLimit: .usage
    case .noCache: .cannotCreate
    }
  }
}
