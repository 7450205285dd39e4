import Foundation
import Testing
import VLMTestSupport

/// Runs the programs that this build made.
struct CommandRunner {
  struct Outcome {
    let status: Int32
    let output: String
    let errors: String

    /// The one line of standard error.
    var errorLine: String { errors.trimmingCharacters(in: .newlines) }
  }

  /// Beside the test bundle.
  static let folder = URL(fileURLWithPath: CommandLine.arguments[0])
    .deletingLastPathComponent()

  static func run(
    _ program: String, _ arguments: [String], input: Data? = nil,
    environment: [String: String] = [:]
  ) throws -> Outcome {
    let process = Process()
    process.executableURL =
      program.hasPrefix("/")
      ? URL(fileURLWithPath: program) : folder.appendingPathComponent(program)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let scratch = try TemporaryFolder()
    // Files, not pipes: no output is too long for them.
    let paths = ["out", "err", "in"].map { scratch.url.appendingPathComponent($0) }
    for path in paths { try Data().write(to: path) }
    try (input ?? Data()).write(to: paths[2])
    process.standardOutput = try FileHandle(forWritingTo: paths[0])
    process.standardError = try FileHandle(forWritingTo: paths[1])
    process.standardInput = try FileHandle(forReadingFrom: paths[2])
    try process.run()
    process.waitUntilExit()
    return Outcome(
      status: process.terminationReason == .exit ? process.terminationStatus : -1,
      output: String(decoding: try Data(contentsOf: paths[0]), as: UTF8.self),
      errors: String(decoding: try Data(contentsOf: paths[1]), as: UTF8.self))
  }

  /// Runs a script of the shell, in which `$BIN` is the folder of the programs.
  static func shell(_ script: String, _ arguments: String...) throws -> Outcome {
    try run("/bin/sh", ["-c", script, "sh"] + arguments, environment: ["BIN": folder.path])
  }

  static func convert(_ arguments: String...) throws -> Outcome {
    try run("vlm-convert", arguments)
  }

  static func vlmRun(_ arguments: String...) throws -> Outcome { try run("vlm-run", arguments) }
}
