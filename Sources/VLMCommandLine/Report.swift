import Synchronization
import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// What a command prints and how it ends: results on stdout, everything else on stderr.
package enum Report {
  /// Whether there is work beside what is printed.
  private static let outlivesReader = Atomic<Bool>(false)
  /// Whether whoever read standard output went away.
  private static let isUnread = Atomic<Bool>(false)

  /// From now on a reader of standard output that goes away (`| head -1`) does not end the program:
  /// there are files to write, or requests to answer, for which nobody need read.
  package static func outliveReader() { outlivesReader.store(true, ordering: .relaxed) }

  /// A line of result. A closed pipe ends the program without a message and with the status of one that
  /// SIGPIPE ended, but see `outliveReader`.
  package static func line(_ text: String) {
    write(text + "\n", to: STDOUT_FILENO)
  }

  /// A part of a line of result, written at once.
  package static func text(_ text: String) {
    write(text, to: STDOUT_FILENO)
  }

  /// A line for the person, not part of the result.
  package static func note(_ text: String) {
    write(text + "\n", to: STDERR_FILENO)
  }

  /// A prompt: the user's input follows on the same line.
  package static func prompt(_ text: String) {
    write(text, to: STDERR_FILENO)
  }

  package static func warning(_ text: String, program: String) {
    note("\(program): warning: \(text)")
  }

  /// Prints the error as one line and ends with its status.
  package static func fail(_ error: any Error, program: String) -> Never {
    let status: ExitStatus
    let text: String
    if let error = error as? any ReportableError {
      status = error.exitStatus
      text = error.shown
    } else {
      status = .internalError
      text = "\(error)".escapedForDisplay(limit: 1000)
    }
    PendingOutputs.removeAll()
    fail(text, status: status.rawValue, program: program)
  }

  /// Prints the error as one line; the program goes on.
  package static func error(_ error: any ReportableError, program: String) {
    show(error.shown, status: error.exitStatus.rawValue, program: program)
  }

  /// The same with the error as text.
  static func fail(_ text: String, status: Int32, program: String) -> Never {
    show(text, status: status, program: program)
    exit(status)
  }

  private static func show(_ text: String, status: Int32, program: String) {
    if wantsJSON {
      let error: JSONValue = [
        "program": .string(program), "message": .string(text), "status": .int(Int(status)),
      ]
      let object: JSONValue = ["schema": 1, "error": error]
      note(object.serialized())
    } else {
      note("\(program): \(text)")
    }
  }

  /// Errors are JSON when results are.
  static var wantsJSON: Bool {
    TextOptions.joined(ProcessArguments.all).contains { $0 == "--json" || $0 == "--jsonl" }
  }

  private static func write(_ text: String, to descriptor: Int32) {
    if descriptor == STDOUT_FILENO, isUnread.load(ordering: .relaxed) { return }
    let bytes = Array(text.utf8)
    var done = 0
    while done < bytes.count {
      let written = bytes.withUnsafeBytes { buffer in
        Glibc.write(descriptor, buffer.baseAddress! + done, bytes.count - done)
      }
      if written < 0 {
        if errno == EINTR { continue }
        let code = errno
        // The work goes on when standard error is closed.
        if descriptor == STDERR_FILENO { return }
        if code == EPIPE, outlivesReader.load(ordering: .relaxed) {
          isUnread.store(true, ordering: .relaxed)
          return
        }
        PendingOutputs.removeAll()
        // No failure to tell of, but nor is the work done.
        if code == EPIPE { exit(ExitStatus.readerGone.rawValue) }
        let error = FileError(path: "standard output", problem: .call("write", errno: code))
        let program = ProcessArguments.all.first?.splitAtLastSlash.name ?? "vlm"
        fail(error.shown, status: ExitStatus.ioError.rawValue, program: program)
      }
      done += written
    }
  }
}
