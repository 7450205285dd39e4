import ArgumentParser
import VLMCommandLine

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
