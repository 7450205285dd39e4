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
      Report.note(help)
    }
    while true {
      if isTerminal { Report.prompt("> ") }
      guard let line = readLine() else { break }
      let words = line.split(separator: " ", maxSplits: 1)
      switch words.first {
      case nil: continue
      case "/quit", "/exit": return
      case "/help": Report.note(help)
      case "/clear":
        conversation.clear()
        encoded = .init()
      case "/image":
        let name = words.count > 1 ? String(words[1]).trimmingSpaces() : ""
        _ = try attempt {
          guard !name.isEmpty else { throw Self.misunderstood("/image", expected: "/image FILE") }
          guard run.model.seesPictures else {
            throw Self.misunderstood("/image", expected: "a question: this model sees no pictures")
          }
          let picture = try run.add(name, to: conversation, &encoded)
          if isTerminal, !run.quiet {
            Report.note("[\(picture.count) tokens, for the next question]")
          }
          return true
        }
      case .some(let word) where Self.isCommand(word):
        _ = try attempt {
          throw Self.misunderstood(String(word), expected: "/image FILE, /clear, /help or /quit")
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

  private var help: String {
    (run.model.seesPictures ? "/image FILE shows a picture, " : "")
      + "/clear begins anew, /quit or Ctrl-D ends; Ctrl-C ends an answer"
  }

  /// A slash and letters: nothing that a question begins with.
  private static func isCommand(_ word: Substring) -> Bool {
    word.count > 1 && word.first == "/" && word.dropFirst().allSatisfy { $0.isASCII && $0.isLetter }
  }

  private static func misunderstood(_ found: String, expected: String) -> GenerationError {
    GenerationError(.option("command", found: "'\(found)'", expected: expected))
  }

  /// The first Ctrl-C asks for the end of the answer; the second does not wait for it.
  private static let interrupt: @convention(c) () -> Void = {
    if ChatLoop.cancelled.isCancelled { PendingOutputs.removeAllAndExit(.interrupted) }
    ChatLoop.cancelled.cancel()
  }

  /// What `body` says: whether the question was answered. A question or picture that is no good does
  /// not end a conversation at a terminal; elsewhere the error is the program's.
  private func attempt(_ body: () throws -> Bool) throws -> Bool {
    do {
      return try body()
    } catch let error as any ReportableError where isatty(STDIN_FILENO) == 1 {
      Report.note("vlm-run: \(error)")
      return false
    }
  }
}
