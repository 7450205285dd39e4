import VLMFoundation

/// Why OpenBLAS cannot be had.
package struct OpenBLASError: ReportableError, Equatable {
  /// The loader's words, or that address space is limited.
  package let reason: String

  package func description(in words: Wording) -> String {
    "OpenBLAS cannot be loaded: \(reason.escapedForDisplay()); install libopenblas0"
  }

  package var exitStatus: ExitStatus { .unsupported }
}
