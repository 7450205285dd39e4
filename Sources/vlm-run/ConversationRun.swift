import ArgumentParser
import VLMCommandLine
import VLMContainer
import VLMInput
import VLMModels
import VLMRuntime
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// One call of `vlm-run` on a model that answers: a question, or a conversation.
struct ConversationRun {
  let model: any ConversationSession
  let options: ConversationOptions
  let geometry: PictureGeometry
  let limits: ImageLimits
  let policy: DecodePolicy
  let format: ImageRun.Format
  let quiet: Bool

  /// Seconds and tokens of the pictures encoded since the last answer.
  struct Encoded {
    var count = 0
    var tokens = 0
    var seconds = 0.0
  }

  /// - Parameter images: files; `-` reads standard input.
  func run(images: [String]) throws {
    let conversation = try Dialogue(
      model, template: try template(), system: options.system,
      options: options.generation(model.defaults))
    try conversation.options.sampling.validate()
    var encoded = Encoded()
    for name in images { try add(name, to: conversation, &encoded) }
    if options.chat {
      try ChatLoop(run: self, conversation: conversation).run(&encoded)
    } else {
      guard let question = try question() else {
        throw ValidationError("this model answers questions: expected --prompt or --chat")
      }
      try ask(question, conversation, encoded, cancelled: nil)
    }
  }

  /// The user's template, or the file's; nil to continue text as it stands.
  private func template() throws -> ConversationTemplate? {
    if let name = options.template { return ConversationTemplate.named(name) }
    if let known = try model.container.conversationTemplate() { return known }
    if try model.container.json(.chatTemplate) != nil {
      Report.warning(
        "the model's chat template is none that this program knows: text is continued as it "
          + "stands; --template names one", program: "vlm-run")
      return nil
    }
    return model.templateName.flatMap { ConversationTemplate.named($0) }
  }

  /// Text of a prompt at most: more than any context holds.
  private static let maximumPromptBytes = 64 << 20

  private func question() throws -> String? {
    guard options.prompt == "-" else { return options.prompt }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = chunk.withUnsafeMutableBytes { read(STDIN_FILENO, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      if count < 0 {
        throw FileError(path: "standard input", problem: .call("read", errno: errno))
      }
      if count == 0 { break }
      bytes += chunk[..<count]
      guard bytes.count <= Self.maximumPromptBytes else {
        throw ValidationError("--prompt: found more than 64 MiB on standard input")
      }
    }
    // The line break that ends a file is not part of the question.
    if bytes.last == 0x0a { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Encodes a picture for the next question.
  func add(_ name: String, to conversation: Dialogue, _ encoded: inout Encoded) throws {
    let start = Progress.now()
    let image = try ImageDecoder.decode(path: name, policy: policy, limits: limits)
    let pixels = try model.pixels(of: image, name: name, geometry: geometry, limits: limits)
    let picture = try model.encode(pixels, observe: nil)
    conversation.add(picture)
    encoded.count += 1
    encoded.tokens += picture.count
    encoded.seconds += Progress.now() - start
  }

  /// Asks, and prints the answer as it comes.
  func ask(
    _ question: String, _ conversation: Dialogue, _ encoded: Encoded,
    cancelled: CancellationFlag?
  ) throws {
    let isTerminal = isatty(STDOUT_FILENO) == 1
    let answer = try conversation.ask(question, cancelled: cancelled) { piece in
      if format == .text { Report.text(isTerminal ? Self.harmless(piece) : piece) }
    }
    switch format {
    case .text: Report.text("\n")
    case .json: Report.line(Self.object(answer, encoded).serialized(pretty: true))
    case .jsonLines: Report.line(Self.object(answer, encoded).serialized())
    }
    if answer.generation.ending == .context {
      Report.warning(
        "the answer ends because the context of \(model.capacity) positions is full; "
          + "--ctx \(2 * model.capacity) allows more", program: "vlm-run")
    }
    if !quiet { Report.note(Self.timings(answer, encoded)) }
  }

  /// Control characters of a model's text must not reach a terminal.
  private static func harmless(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { isControl($0) }) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      result.unicodeScalars.append(isControl(scalar) ? "\u{fffd}" : scalar)
    }
    return result
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.generalCategory == .control && scalar != "\n" && scalar != "\t"
  }

  private static func object(_ answer: Dialogue.Answer, _ encoded: Encoded) -> JSONValue {
    let timings = answer.generation.timings
    func rounded(_ value: Double) -> JSONValue { .double((value * 1e6).rounded() / 1e6) }
    return [
      "schema": 1,
      "text": .string(answer.generation.text),
      "token_ids": .array(answer.generation.tokens.map { .int($0) }),
      "ending": .string(answer.generation.ending.rawValue),
      "prompt_tokens": .int(answer.promptTokens),
      "visual_tokens": .int(answer.visualTokens),
      "timings": [
        "encode_seconds": rounded(encoded.seconds),
        "prompt_seconds": rounded(timings.promptSeconds),
        "prompt_positions": .int(timings.promptTokens),
        "reused_positions": .int(timings.reusedTokens),
        "prompt_positions_per_second": rounded(timings.promptTokensPerSecond),
        "decode_seconds": rounded(timings.stepSeconds),
        "decode_tokens_per_second": rounded(timings.tokensPerSecond),
      ],
      "peak_memory_bytes": .int(peakMemory()),
    ]
  }

  private static func timings(_ answer: Dialogue.Answer, _ encoded: Encoded) -> String {
    let timings = answer.generation.timings
    var parts: [String] = []
    if encoded.count > 0 {
      let pictures = encoded.count == 1 ? "1 picture" : "\(encoded.count) pictures"
      parts.append("\(pictures), \(encoded.tokens) tokens: \(decimal(encoded.seconds, 2)) s")
    }
    let reused = timings.reusedTokens > 0 ? " (\(timings.reusedTokens) kept)" : ""
    parts.append(
      "prompt \(timings.promptTokens) tokens\(reused): \(decimal(timings.promptSeconds, 2)) s, "
        + "\(decimal(timings.promptTokensPerSecond, 1)) per second")
    parts.append(
      "answer \(answer.generation.tokens.count) tokens: "
        + "\(decimal(timings.tokensPerSecond, 1)) per second")
    parts.append("peak memory \(byteText(peakMemory()))")
    return "[" + parts.joined(separator: "; ") + "]"
  }

  /// Bytes that the process had in memory at most.
  private static func peakMemory() -> Int {
    var usage = rusage()
    getrusage(0, &usage)  // RUSAGE_SELF, whose type differs between C libraries
    return Int(usage.ru_maxrss) * 1024
  }
}
