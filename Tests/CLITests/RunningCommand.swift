import Foundation
import VLMTestSupport

/// A command that is still running, to be stopped, killed and watched.
final class RunningCommand {
  let process = Process()
  private let scratch: TemporaryFolder

  /// - Parameter prelude: shell commands to run first, in the same process.
  init(_ program: String, _ arguments: [String], prelude: String? = nil) throws {
    scratch = try TemporaryFolder()
    let executable = CommandRunner.folder.appendingPathComponent(program)
    if let prelude {
      process.executableURL = URL(fileURLWithPath: "/bin/sh")
      process.arguments = ["-c", prelude + "; exec \"$0\" \"$@\"", executable.path] + arguments
    } else {
      process.executableURL = executable
      process.arguments = arguments
    }
    for name in ["out", "err"] { try scratch.write(name, []) }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(
      forWritingTo: scratch.url.appendingPathComponent("out"))
    process.standardError = try FileHandle(
      forWritingTo: scratch.url.appendingPathComponent("err"))
    try process.run()
  }

  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

  func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  /// Watches a file until it has `byteCount` bytes; false when the command ended first.
  func waits(until path: String, has byteCount: Int) -> Bool {
    var status = stat()
    while process.isRunning {
      if stat(path, &status) == 0, Int(status.st_size) >= byteCount { return true }
    }
    return false
  }

  func finish() throws -> CommandRunner.Outcome {
    process.waitUntilExit()
    return CommandRunner.Outcome(
      status: process.terminationReason == .exit ? process.terminationStatus : -1,
      output: String(decoding: try scratch.read("out"), as: UTF8.self),
      errors: String(decoding: try scratch.read("err"), as: UTF8.self))
  }
}
