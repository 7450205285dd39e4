import ArgumentParser
import VLMCommandLine
import VLMFoundation
import VLMSignature

/// What every command that works through whole files has.
struct WorkOptions: ParsableArguments {
  @Option(help: "Threads; default: the processors this process may use.")
  var threads: Int?

  /// - Throws: `EnvironmentError`, `ValidationError` for a number that cannot be.
  func threadCount() throws -> Int { try VLMCommandLine.threadCount(option: threads) }
}

/// What every command that writes one file has.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Replace an existing output.")
  var force = false

  @Flag(name: .shortAndLong, help: "No progress, no report.")
  var quiet = false

  /// Refuses a pipe: it cannot be renamed.
  static func requireFile(_ output: String?) throws {
    guard output != "-" else {
      throw ValidationError(
        "an output is written beside its place and renamed, so it cannot go to a pipe; ./- is a file"
      )
    }
  }
}

/// A signature that lay beside a file before that was replaced, and is of no file there since.
struct OldSignature {
  private let path: String
  private let output: String

  /// To be made before `output` is written; nil where none is left behind.
  init?(beside output: String) {
    path = Signature.path(of: output)
    self.output = output
    guard FileSystem.exists(output), FileSystem.exists(path) else { return nil }
  }

  /// Who put the new one there before need not be told that it is the old one.
  func tell() {
    Report.note(
      "vlm-convert: note: \(path.escapedForDisplay()) lay there before, and is not the new file's "
        + "unless it verifies: vlm-convert verify-signature \(output.quotedForShell) --key KEY")
  }
}
