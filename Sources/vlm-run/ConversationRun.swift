import ArgumentParser
import VLMCommandLine
import VLMContainer
import VLMInput
import VLMModels
import VLMNN
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
  let decodesFast: Bool
  let format: ImageRun.Format
  let outputs: OutputFiles
  /// What it took to bring the weights into memory.
  var loadSeconds = 0.0
  let quiet: Bool

  /// Seconds and tokens of the pictures encoded since the last answer.
  struct Encoded {
    var count = 0
    var tokens = 0
    var seconds = 0.0

    var tokensPerSecond: Double { seconds > 0 ? Double(tokens) / seconds : 0 }
  }

  /// - Parameter images: files; `-` reads standard input.
  func run(images: [String]) throws {
    if options.prompt == nil, !options.chat, !outputs.isEmpty, !images.isEmpty {
      return try look(at: images)
    }
    let conversation = try Dialogue(
      model, template: try PromptChoice(model, options, quiet: quiet).template(),
      system: options.system, parsesSpecial: options.special,
      options: options.generation(model.defaults))
    try conversation.options.sampling.validate()
    guard options.chat || options.prompt != nil else {
      throw ValidationError("this model answers questions: expected --prompt or --chat")
    }
    // Before the pictures, which may take long.
    let question = try question()
    var encoded = Encoded()
    let recording = Recording(outputs, model.pictureSteps)
    var pictures: [VisualTokens] = []
    for name in images {
      pictures.append(try add(name, to: conversation, &encoded, observe: recording.observer))
    }
    try outputs.write(embeddings: pictures.flatMap { Self.rows($0) })
    try outputs.write(recording.explanation)
    guard let question else {
      return try ChatLoop(run: self, conversation: conversation).run(&encoded)
    }
    var steps: [GenerationStep] = []
    if outputs.dump != nil {
      try model.inspect(try conversation.promptIDs(question), images: pictures) {
        recording.add($0, $1, $2)
      }
      model.generator.observeStep = { steps.append($0) }
    }
    try ask(question, conversation, encoded, cancelled: nil)
    recording.add(steps: steps)
    try outputs.write(dumped: recording.tensors)
  }

  /// Writes the files that are about pictures alone, where nothing is asked.
  private func look(at images: [String]) throws {
    var embeddings: [[Float]] = []
    var objects: [JSONValue] = []
    let recording = Recording(outputs, model.pictureSteps)
    for name in images {
      let start = Progress.now()
      let pixels = try pixels(name)
      let picture = try model.encode(pixels, observe: recording.observer)
      let milliseconds = (Progress.now() - start) * 1000
      if outputs.embed != nil { embeddings += Self.rows(picture) }
      if format == .text {
        Report.line(
          "\(name.escapedForDisplay())  (\(pixels.width)×\(pixels.height) input, "
            + "\(picture.count) visual tokens of \(picture.columns) values, "
            + "\(decimal(milliseconds, 1)) ms)")
        continue
      }
      let object: JSONValue = [
        "schema": 1,
        "image": .string(name),
        "visual_tokens": .int(picture.count),
        "grid": [.int(picture.gridHeight), .int(picture.gridWidth)],
        "milliseconds": .double((milliseconds * 1000).rounded() / 1000),
      ]
      if format == .jsonLines { Report.line(object.serialized()) }
      objects.append(object)
    }
    if format == .json { Report.line(JSONValue.array(objects).serialized(pretty: true)) }
    try outputs.write(embeddings: embeddings)
    try outputs.write(dumped: recording.tensors)
    try outputs.write(recording.explanation)
  }

  private static func rows(_ picture: VisualTokens) -> [[Float]] {
    withExtendedLifetime(picture) {
      (0..<picture.count).map { picture.rows[$0..<$0 + 1].array() }
    }
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

  /// The tower's input for a picture file.
  func pixels(_ name: String) throws -> PixelTensor {
    let image = try ImageDecoder.open(
      path: name, policy: policy, limits: limits, isFast: decodesFast,
      report: Report.reporter(of: name))
    return try model.pixels(of: image, name: name, geometry: geometry, limits: limits)
  }

  /// Encodes a picture for the next question.
  @discardableResult
  func add(
    _ name: String, to conversation: Dialogue, _ encoded: inout Encoded,
    observe: ConversationObserver? = nil
  ) throws -> VisualTokens {
    let start = Progress.now()
    let picture = try model.encode(try pixels(name), observe: observe)
    conversation.add(picture)
    encoded.count += 1
    encoded.tokens += picture.count
    encoded.seconds += Progress.now() - start
    return picture
  }

  /// Asks, and prints the answer as it comes.
  ///
  /// - Returns: whether there is one: not when it was cancelled before it began.
  @discardableResult
  func ask(
    _ question: String, _ conversation: Dialogue, _ encoded: Encoded,
    cancelled: CancellationFlag?
  ) throws -> Bool {
    let isTerminal = isatty(STDOUT_FILENO) == 1
    let answer: Dialogue.Answer
    var isBegun = false
    do {
      answer = try conversation.ask(question, cancelled: cancelled) { piece in
        if !isBegun { warnOfLength(conversation) }
        isBegun = true
        if format == .text { Report.text(isTerminal ? Self.harmless(piece) : piece) }
      }
    } catch let error as GenerationError {
      throw namingOption(error)
    }
    switch format {
    case .text: Report.text("\n")
    case .json: Report.line(object(answer, encoded).serialized(pretty: true))
    case .jsonLines: Report.line(object(answer, encoded).serialized())
    }
    if answer.generation.ending == .context {
      Report.warning(
        "the answer ends because the context of \(model.capacity) positions is full; "
          + "--ctx \(2 * model.capacity) allows more"
          + (options.chat ? ", /clear begins anew" : ""), program: "vlm-run")
    }
    if !isBegun { warnOfLength(conversation) }
    if !quiet {
      Report.note(
        answer.isUnbegun ? "[ended before the answer began]" : timings(answer, encoded))
    }
    return !answer.isUnbegun
  }

  /// What is too long for the context is so because of an option.
  private func namingOption(_ error: GenerationError) -> GenerationError {
    guard case .tooLong(let text, _, let visual, _) = error.problem else { return error }
    // With room for the answer.
    let wanted = (text + visual + options.maxTokens + 1023) / 1024 * 1024
    let length = (try? model.container.modelDescription().language?.contextLength) ?? wanted
    return GenerationError(
      file: model.container.path, error.problem,
      advice: "--ctx \(wanted) allows more"
        + (wanted > length ? ", of a model made for \(length)" : "")
        + (options.chat ? "; /clear begins anew" : ""))
  }

  /// What a person should know before reading the answer to a prompt of a length that the model never
  /// learned from.
  private func warnOfLength(_ conversation: Dialogue) {
    guard let length = model.trainedLength, conversation.promptLength > length else { return }
    Report.warning(
      "the prompt has \(conversation.promptLength) positions, and the model was trained with "
        + "\(length) at most: the answer may be the worse for it", program: "vlm-run")
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

  private func object(_ answer: Dialogue.Answer, _ encoded: Encoded) -> JSONValue {
    let timings = answer.generation.timings
    func rounded(_ value: Double) -> JSONValue { .double((value * 1e6).rounded() / 1e6) }
    return [
      "schema": 1,
      "text": .string(answer.generation.text),
      "token_ids": .array(answer.generation.tokens.map { .int($0) }),
      "ending": .string(answer.generation.ending.rawValue),
      "prompt_tokens": .int(answer.promptTokens),
      "visual_tokens": .int(answer.visualTokens),
      "truncated_tokens": 0,
      "timings": [
        "load_seconds": rounded(loadSeconds),
        "encode_seconds": rounded(encoded.seconds),
        "encode_tokens": .int(encoded.tokens),
        "encode_tokens_per_second": rounded(encoded.tokensPerSecond),
        "prefill_seconds": rounded(timings.promptSeconds),
        "prefill_tokens": .int(timings.promptTokens),
        "prefill_tokens_per_second": rounded(timings.promptTokensPerSecond),
        "reused_tokens": .int(timings.reusedTokens),
        "decode_seconds": rounded(timings.stepSeconds),
        "decode_tokens": .int(timings.steps),
        "decode_tokens_per_second": rounded(timings.tokensPerSecond),
      ],
      "peak_memory_bytes": .int(Self.peakMemory()),
    ]
  }

  private func timings(_ answer: Dialogue.Answer, _ encoded: Encoded) -> String {
    let timings = answer.generation.timings
    var parts: [String] = []
    if loadSeconds > 0 { parts.append("weights loaded in \(decimal(loadSeconds, 1)) s") }
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
    parts.append("peak memory \(byteText(Self.peakMemory()))")
    return "[" + parts.joined(separator: "; ") + "]"
  }

  /// Bytes that the process had in memory at most.
  private static func peakMemory() -> Int {
    var usage = rusage()
    getrusage(0, &usage)  // RUSAGE_SELF, whose type differs between C libraries
    return Int(usage.ru_maxrss) * 1024
  }
}
