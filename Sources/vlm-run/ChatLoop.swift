import ArgumentParser
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

  /// - Throws: the first failure of a question, when all are asked, where nobody types them.
  func run(_ encoded: inout ConversationRun.Encoded) throws {
    let isTerminal = isatty(STDIN_FILENO) == 1
    var failure: ExitStatus?
    if isTerminal, !run.quiet {
      Report.note(help)
    }
    while true {
      if isTerminal { Report.prompt("> ") }
      guard let line = readLine() else { break }
      let words = line.split(separator: " ", maxSplits: 1)
      switch words.first {
      case nil: continue
      case "/quit", "/exit": return try end(failure)
      case "/help": Report.note(help)
      case "/clear":
        conversation.clear()
        encoded = .init()
      case "/image":
        let name = words.count > 1 ? String(words[1]).trimmingSpaces() : ""
        try attempt {
          guard !name.isEmpty else { throw Self.misunderstood("/image", expected: "/image FILE") }
          guard run.model.seesPictures else {
            throw Self.misunderstood("/image", expected: "a question: this model sees no pictures")
          }
          let picture = try run.add(name, to: conversation, &encoded)
          if isTerminal, !run.quiet {
            Report.note("[\(picture.count) tokens, for the next question]")
          }
        }
      case .some(let word) where Self.isCommand(word):
        try attempt {
          throw Self.misunderstood(String(word), expected: "/image FILE, /clear, /help or /quit")
        }
      default:
        let taken = encoded
        // The next question may do better, whoever asks it.
        do {
          Self.cancelled.reset()
          TerminationSignals.onInterrupt(Self.interrupt)
          defer { TerminationSignals.onInterrupt(nil) }
          if try run.ask(line, conversation, taken, cancelled: Self.cancelled) { encoded = .init() }
        } catch let error as any ReportableError where Self.isOfQuestion(error) || isTerminal {
          Report.error(error, program: "vlm-run")
          if !isTerminal, failure == nil { failure = error.exitStatus }
        }
      }
    }
    if isTerminal { Report.note("") }
    try end(failure)
  }

  private func end(_ failure: ExitStatus?) throws {
    if let failure { throw ExitCode(failure.rawValue) }
  }

  /// Whether an error is about what was asked, and not about the model.
  private static func isOfQuestion(_ error: any ReportableError) -> Bool {
    if error is TextError { return true }
    guard let problem = (error as? GenerationError)?.problem else { return false }
    switch problem {
    case .pictures, .tooLong, .surelyTooLong, .emptyPrompt, .text: return true
    default: return false
    }
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

  /// A picture or command that is no good does not end a conversation at a terminal; elsewhere the error
  /// is the program's: the questions that follow may be about it.
  private func attempt(_ body: () throws -> Void) throws {
    do {
      try body()
    } catch let error as any ReportableError where isatty(STDIN_FILENO) == 1 {
      Report.error(error, program: "vlm-run")
    }
  }
}
