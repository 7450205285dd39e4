import ArgumentParser
import VLMCommandLine
import VLMFoundation
import VLMImages
import VLMTensor
import VLMText
import VLMZ

#if canImport(Glibc)
  import Glibc
#endif

/// Questions line by line, each about everything before it.
///
/// Without a terminal, a question that fails has a record, and the next one is asked. A question about
/// a picture that could not be read has one too; it is not asked without the picture.
struct ChatLoop {
  let run: ConversationRun
  let conversation: Conversation

  /// Ends the answer that is being written. One for the process: a signal knows no object.
  private static let cancelled = CancellationFlag()

  private let isTerminal = isatty(STDIN_FILENO) == 1
  private var encoded = ConversationRun.Encoded()
  /// Why a picture is missing that the questions are about.
  private var missing: Missing?

  private struct Missing {
    let picture: PictureInput
    let error: any ReportableError
    /// Whether a question had its record.
    var isTold = false
  }

  init(run: ConversationRun, conversation: Conversation) {
    self.run = run
    self.conversation = conversation
  }

  /// - Parameter encoded: the pictures that were shown before.
  /// - Throws: the first failure of a question, after the last one, without a terminal.
  mutating func run(_ encoded: ConversationRun.Encoded) throws {
    self.encoded = encoded
    if isTerminal, !run.quiet {
      Report.note(help)
    }
    let limit = ConversationRun.maximumPromptBytes
    var lines = LineReader(try ByteStream(path: "-"), limit: limit)
    while true {
      if isTerminal { Report.prompt("> ") }
      switch try lines.next() {
      case nil:
        if isTerminal { Report.note("") }
        return try end()
      case .tooLong?:
        var members = JSONObject()
        members.set("schema", 1)
        fail(InputError("standard input", .lineTooLong(limit: limit)), members)
      case .line(let bytes)?:
        guard try take(bytes) else { return try end() }
      }
    }
  }

  /// - Returns: false at the end of the conversation.
  private mutating func take(_ line: [UInt8]) throws -> Bool {
    guard let first = line.first(where: { $0 != 0x20 }) else { return true }
    // A name's bytes are kept; most lines are questions, and may be long.
    let command = first == UInt8(ascii: "/") ? String(fileName: line) : "?"
    let words = command.split(separator: " ", maxSplits: 1)
    switch words[0] {
    case "/quit", "/exit": return false
    case "/help": Report.note(help)
    case "/clear":
      tellMissing()
      conversation.forget()
      encoded = .init()
    case "/image":
      try show(words.count > 1 ? String(words[1]).trimmingSpaces() : "")
    case let word where Self.isCommand(word):
      try attempt {
        throw Self.misunderstood(String(word), expected: "/image FILE, /clear, /help or /quit")
      }
    default: try ask(String(decoding: line, as: UTF8.self))
    }
    return true
  }

  private mutating func show(_ name: String) throws {
    try attempt {
      guard !name.isEmpty else { throw Self.misunderstood("/image", expected: "/image FILE") }
      guard run.model.seesPictures else {
        throw Self.misunderstood("/image", expected: "a question: this model sees no pictures")
      }
    }
    guard !name.isEmpty, run.model.seesPictures else { return }
    if missing?.isTold ?? false {
      // The question that the pictures before it were for is over.
      conversation.dropWaiting()
      encoded.dropWaiting()
      missing = nil
    }
    let picture = PictureInput(name: name, content: .file)
    do {
      let tokens = try run.add(
        picture, to: conversation, &encoded, isOneOfSeveral: conversation.pictureCount > 0)
      if isTerminal, !run.quiet {
        Report.note("[\(counted(tokens.positionCount, "token")), for the next question]")
      }
    } catch let error as any ReportableError where !run.isFatal(error) {
      if isTerminal || run.records.format == .text { Report.error(error, program: "vlm-run") }
      guard !isTerminal else { return }
      run.records.note(error)
      // Of several the first.
      missing = missing ?? Missing(picture: picture, error: error)
    }
  }

  private mutating func ask(_ line: String) throws {
    if let missing {
      self.missing?.isTold = true
      let error = InputError(
        missing.picture.name,
        .notAsked(missing.error.shown, missing.error.exitStatus))
      return fail(error, missing.picture.members)
    }
    // The next question may do better, whoever asks it.
    do {
      Self.cancelled.reset()
      TerminationSignals.onInterrupt(Self.interrupt)
      defer { TerminationSignals.onInterrupt(nil) }
      if try run.ask(line, conversation, encoded, cancelled: Self.cancelled) { encoded.begin() }
    } catch let error as any ReportableError where Self.isOfQuestion(error) || isTerminal {
      var members = JSONObject()
      members.set("schema", 1)
      if run.model.seesPictures { members.set("images", encoded.list) }
      fail(error, members)
    }
  }

  /// An error in the place of an answer.
  private func fail(_ error: any ReportableError, _ members: JSONObject) {
    if isTerminal {
      Report.error(error, program: "vlm-run")
    } else {
      run.records.fail(error, members: members)
    }
  }

  /// The record of a picture that no question was about.
  private mutating func tellMissing() {
    if let missing, !missing.isTold, run.records.format != .text {
      run.records.fail(missing.error, members: missing.picture.members)
    }
    missing = nil
  }

  private mutating func end() throws {
    tellMissing()
    try run.records.end()
  }

  /// Whether an error is about what was asked, and not about the model.
  private static func isOfQuestion(_ error: any ReportableError) -> Bool {
    if error is TextError { return true }
    guard let problem = (error as? GenerationError)?.problem else { return false }
    switch problem {
    case .pictures, .places, .tooLong, .surelyTooLong, .emptyPrompt, .text: return true
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
    if ChatLoop.cancelled.isCancelled { TerminationSignals.exit(.interrupted) }
    ChatLoop.cancelled.cancel()
  }

  /// A command that fails does not end a conversation at a terminal. Elsewhere it ends the program: the
  /// questions that follow may depend on it.
  private func attempt(_ body: () throws -> Void) throws {
    do {
      try body()
    } catch let error as any ReportableError where isatty(STDIN_FILENO) == 1 {
      Report.error(error, program: "vlm-run")
    }
  }
}
