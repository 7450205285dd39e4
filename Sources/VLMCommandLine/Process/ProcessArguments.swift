import CVLMCommandLine
import VLMFoundation

/// The arguments of this process, as bytes that a `String` holds as it holds names of files.
package enum ProcessArguments {
  /// The program's name first, where there is one.
  package static let all: [String] = (0..<vlm_argument_count()).compactMap { index in
    vlm_argument(index).map { String(fileName: $0) }
  }
}
