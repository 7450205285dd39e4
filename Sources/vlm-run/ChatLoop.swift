import VLMCommandLine
import VLMInput
import VLMRuntime
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// Questions line by line, each about everything before it.
struct ChatLoop {
  let run: ConversationRun
  let conversation: Dialogue

  /// Ends the answer that is being written. One for the process: a signal knows no object.
  private static let cancelled = CancellationFlag()

  func run(_ encoded: inout ConversationRun.Encoded) throws {
    let isTerminal = isatty(STDIN_FILENO) == 1
    if isTerminal, !run.quiet {
      Report.note(
        "/image FILE shows a picture, /clear begins anew, /quit or Ctrl-D ends; Ctrl-C ends an "
          + "answer")
    }
    while true {
      if isTerminal { Report.prompt("> ") }
      guard let line = readLine() else { break }
      let words = line.split(separator: " ", maxSplits: 1)
      switch words.first {
      case nil: continue
      case "/quit", "/exit": return
      case "/clear":
        conversation.clear()
        encoded = .init()
      case "/image":
        let name = words.count > 1 ? String(words[1]).trimmingSpaces() : ""
        _ = try attempt {
          try run.add(name, to: conversation, &encoded)
          return true
        }
      default:
        let taken = encoded
        let answered = try attempt {
          Self.cancelled.reset()
          TerminationSignals.onInterrupt(Self.interrupt)
          defer { TerminationSignals.onInterrupt(nil) }
          return try run.ask(line, conversation, taken, cancelled: Self.cancelled)
        }
        if answered { encoded = .init() }
      }
    }
    if isTerminal { Report.note("") }
  }

  /// The first Ctrl-C asks for the end of the answer; the second does not wait for it.
  private static let interrupt: @convention(c) () -> Void = {
    if ChatLoop.cancelled.isCancelled { PendingOutputs.removeAllAndExit(.interrupted) }
    ChatLoop.cancelled.cancel()
  }

  /// What `body` says: whether the question was answered. A question or picture that is no good does not end a conversation at a terminal; elsewhere the
  /// error is the program's.
  private func attempt(_ body: () throws -> Bool) throws -> Bool {
    do {
      return try body()
    } catch let error as any ReportableError where isatty(STDIN_FILENO) == 1 {
      Report.note("vlm-run: \(error)")
      return false
    }
  }
}
