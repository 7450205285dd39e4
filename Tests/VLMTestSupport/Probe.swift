import Foundation

/// Runs `SystemProbe`, which SwiftPM builds beside the tests, and tells how it ended.
package enum Probe {
  package struct Outcome {
    /// Exit status, or the signal that ended it.
    package let status: Int32?
    package let signal: Int32?
    package let output: String
    package let errors: String
  }

  /// The folder of the test binary, or of the runner that loaded it.
  private static var executable: URL {
    let folders = [CommandLine.arguments[0], Bundle.main.executablePath ?? ""]
      .map { URL(fileURLWithPath: $0).deletingLastPathComponent() }
    let candidates = folders.map { $0.appendingPathComponent("SystemProbe") }
    return candidates.first { FileManager.default.isExecutableFile(atPath: $0.path) }
      ?? candidates[0]
  }

  package static func run(_ arguments: String...) throws -> Outcome {
    let process = Process()
    process.executableURL = executable
    process.arguments = arguments
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    // A crash of the probe is the expected outcome of a test, not one to trace.
    process.environment = ["SWIFT_BACKTRACE": "enable=no"]
    try process.run()
    let text = output.fileHandleForReading.readDataToEndOfFile()
    let errorText = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let exited = process.terminationReason == .exit
    return Outcome(
      status: exited ? process.terminationStatus : nil,
      signal: exited ? nil : process.terminationStatus,
      output: String(decoding: text, as: UTF8.self),
      errors: String(decoding: errorText, as: UTF8.self))
  }
}
