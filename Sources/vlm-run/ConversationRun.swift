import ArgumentParser
import VLMCommandLine
import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

#if canImport(Glibc)
  import Glibc
#endif

/// One call of `vlm-run` on a model that answers: a question, or a conversation.
struct ConversationRun {
  let model: AnsweringModel
  let options: ConversationOptions
  let geometry: PictureGeometry
  let limits: ImageLimits
  let policy: DecodePolicy
  let decodesFast: Bool
  let records: Records
  let outputs: OutputFiles
  /// What answers must be.
  var answerFormat = AnswerFormat.text
  /// What it took to bring the weights into memory.
  var loadSeconds = 0.0
  let quiet: Bool

  /// The pictures of a conversation, and what those encoded since the last answer took.
  struct Encoded {
    /// What results call the pictures that were asked about, and those that wait for a question.
    private var asked: [JSONValue] = []
    private var waiting: [JSONValue] = []
    var count = 0
    var tokens = 0
    var seconds = 0.0

    var tokensPerSecond: Double { seconds > 0 ? Double(tokens) / seconds : 0 }
    var list: JSONValue { .array(asked + waiting) }

    mutating func add(_ picture: PictureInput, tokens: Int, seconds: Double) {
      waiting.append(picture.members["image"] ?? .null)
      count += 1
      self.tokens += tokens
      self.seconds += seconds
    }

    /// The answer is there; what follows is the next turn's.
    mutating func begin() {
      let all = asked + waiting
      self = Encoded()
      asked = all
    }

    /// Forgets the pictures that wait for a question.
    mutating func dropWaiting() {
      let all = asked
      self = Encoded()
      asked = all
    }
  }

  private var format: Records.Format { records.format }

  /// - Parameter hasPictures: whether `source` was given any.
  func run(_ source: PictureSource, hasPictures: Bool) throws {
    if options.prompt == nil, !options.chat, !outputs.isEmpty, hasPictures {
      return try look(at: source)
    }
    var generation = options.generation(model.language.defaults)
    generation.grammar = try model.language.grammar(of: answerFormat)
    let conversation = try Conversation(
      with: model.model, model.generator,
      template: try PromptChoice(model, options, quiet: quiet).template(),
      system: options.system, parsesSpecial: options.special,
      options: generation)
    do throws(GenerationError) { try conversation.options.sampling.validate() } catch {
      throw Self.namingSampling(error)
    }
    guard options.answerBegins == nil || conversation.template != nil else {
      throw ValidationError(
        "--answer-begins: expected a template, which says where an answer begins; without one it begins "
          + "where --prompt ends")
    }
    guard options.chat || options.prompt != nil else {
      throw ValidationError("this model answers questions: expected --prompt or --chat")
    }
    // Before the pictures, which may take long.
    let question = try question()
    if let question, options.each { return try ask(question, ofEach: source, conversation) }
    if let question, let rate = options.fps {
      return try ask(question, ofFilm: source, rate: rate, conversation)
    }
    var encoded = Encoded()
    let recording = Recording(outputs, model.language.preprocessing)
    var pictures: [VisualTokens] = []
    var table = EmbeddingTable()
    var next = try source.next()
    while let picture = next {
      next = try source.next()
      // A stream may have no end, and a context has.
      if let frame = next?.frame, frame > 1 {
        throw InputError(
          "standard input", .several(advice: "--each asks the question of every one"))
      }
      let tokens = try add(
        picture, to: conversation, &encoded,
        isOneOfSeveral: !pictures.isEmpty || next != nil, observe: recording.observer)
      pictures.append(tokens)
      if outputs.embed != nil { Self.add(tokens, of: picture, to: &table) }
    }
    try write(table)
    try outputs.write(recording.explanation)
    guard let question else {
      var loop = ChatLoop(run: self, conversation: conversation)
      return try loop.run(encoded)
    }
    var steps: [GenerationStep] = []
    if outputs.dump != nil {
      let ids = try conversation.promptIDs(question, beginning: options.answerBegins ?? "")
      try model.generator.inspect(ids, images: pictures) {
        recording.add($0, $1, $2)
      }
      model.generator.observeStep = { steps.append($0) }
    }
    try ask(question, conversation, encoded, cancelled: nil)
    recording.add(steps: steps)
    try outputs.write(dumped: recording.tensors)
  }

  static func add(
    _ tokens: VisualTokens, of picture: PictureInput, to table: inout EmbeddingTable
  ) {
    withExtendedLifetime(tokens) {
      for index in 0..<tokens.count {
        table.add(tokens.rows[index..<index + 1].array(), of: picture, token: index)
      }
    }
  }

  func write(_ table: EmbeddingTable) throws {
    try outputs.write(
      table, texts: .init(labels: [], rows: []), width: model.generator.model.config.hidden)
  }

  /// Text of a prompt or of a line at most: more than any context holds.
  static let maximumPromptBytes = 64 << 20

  private func question() throws -> String? {
    guard options.prompt == "-" else { return options.prompt }
    guard var bytes = try ByteStream(path: "-").takeAll(limit: Self.maximumPromptBytes) else {
      throw ValidationError("--prompt: found more than 64 MiB on standard input")
    }
    // What a file begins and ends with is not part of the question.
    ForeignEncoding.dropMark(of: &bytes)
    if bytes.last == 0x0a { bytes.removeLast(bytes.suffix(2).first == 0x0d ? 2 : 1) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// What the tower sees of a picture.
  ///
  /// - Parameters:
  ///   - decoded: the picture, where it is not what its file has first.
  ///   - isFrame: whether it is one of a film.
  func prepare(
    _ picture: PictureInput, decoded: VLMImages.Image? = nil, isOneOfSeveral: Bool = false,
    isFrame: Bool = false
  ) throws -> PreparedPicture {
    var geometry = geometry
    geometry.isOneOfSeveral = isOneOfSeveral
    geometry.isFrame = isFrame
    if let decoded {
      return try model.language.prepare(
        decoded, name: picture.place, geometry: geometry, limits: limits)
    }
    let image: LazyImage
    switch picture.content {
    case .failure(let error): throw error
    case .file where picture.name.hasSuffix(".safetensors"):
      guard model.language.preprocessing?.tiling == nil else {
        throw ModelError(
          file: picture.place,
          .image(
            found: "a .safetensors file",
            expected: "a picture, as the model sees it in tiles of its own choice"))
      }
      return PreparedPicture(
        try ImageLoader.tensor(picture.name, channels: 3, limits: limits))
    case .file:
      image = try ImageLoader.open(
        picture.name, as: picture.place, policy: policy, limits: limits, isFast: decodesFast)
    case .bytes(let bytes):
      image = try ImageDecoder.open(
        bytes: bytes, name: picture.place, policy: policy, limits: limits, isFast: decodesFast,
        report: Report.reporter(of: picture.place))
    }
    return try model.language.prepare(
      image, name: picture.place, geometry: geometry, limits: limits)
  }

  /// Whether an error leaves nothing to be done with other pictures or questions.
  func isFatal(_ error: any Error) -> Bool {
    guard error is any ReportableError else { return true }
    // The command line is as wrong for the next.
    if let error = error as? GenerationError, error.exitStatus == .usage { return true }
    return error.isAbout(model: model.container.path)
  }

  /// Encodes a picture for the next question.
  ///
  /// - Parameter isOneOfSeveral: whether the prompt has others.
  @discardableResult
  func add(
    _ picture: PictureInput, to conversation: Conversation, _ encoded: inout Encoded,
    isOneOfSeveral: Bool = false, observe: TowerObserver? = nil
  ) throws -> VisualTokens {
    let start = Progress.now()
    noteOfFilm(picture)
    let tokens = try encode(
      try prepare(picture, isOneOfSeveral: isOneOfSeveral), of: picture, observe: observe)
    conversation.add(tokens)
    encoded.add(picture, tokens: tokens.count, seconds: Progress.now() - start)
    return tokens
  }

  /// - Throws: errors that say which picture they are about.
  func encode(
    _ prepared: PreparedPicture, of picture: PictureInput, observe: TowerObserver?
  ) throws -> VisualTokens {
    do {
      return try model.language.encode(prepared, pool: model.model.pool, observe: observe)
    } catch let error as any ReportableError {
      throw ImageRun.error(error, about: picture.place)
    }
  }

  /// Asks, and prints the answer as it comes.
  ///
  /// - Parameter picture: what alone it is about.
  /// - Returns: whether there is one: not when it was cancelled before it began.
  @discardableResult
  func ask(
    _ question: String, _ conversation: Conversation, _ encoded: Encoded,
    cancelled: CancellationFlag?, about picture: PictureInput? = nil
  ) throws -> Bool {
    let title = picture.map { $0.title + ": " }
    let isTerminal = isatty(STDOUT_FILENO) == 1
    let answer: Answer
    var isBegun = false
    do {
      answer = try conversation.answer(
        question, beginning: options.answerBegins ?? "", cancelled: cancelled
      ) { piece in
        if !isBegun {
          warnOfLength(conversation)
          if format == .text { title.map { Report.text($0) } }
        }
        isBegun = true
        if format == .text { Report.text(isTerminal ? Self.harmless(piece) : piece) }
      }
    } catch let error as GenerationError {
      // What was written of the answer is a line by itself.
      if isBegun, format == .text { Report.text("\n") }
      throw namingOption(error)
    }
    switch format {
    case .text: Report.text((isBegun ? "" : title ?? "") + "\n")
    case .json where !options.each:
      Report.line(object(answer, encoded, picture).serialized(pretty: true))
    case .json, .jsonLines: records.add(object(answer, encoded, picture))
    }
    if answer.ending == .context {
      Report.warning(
        "the answer ends because the context of \(model.capacity) positions is full"
          + advice(ofContext: 2 * model.capacity, needed: model.capacity + 1)
          + (options.chat ? "; /clear begins anew" : ""), program: "vlm-run")
    }
    if !isBegun { warnOfLength(conversation) }
    if !quiet {
      Report.note(
        answer.endedBeforeStart ? "[ended before the answer began]" : timings(answer, encoded))
    }
    return !answer.endedBeforeStart
  }

  /// What the command calls the option that is out of range.
  private static func namingSampling(_ error: GenerationError) -> GenerationError {
    guard case .option(let name, let found, let expected) = error.problem else { return error }
    let word = name == "temperature" ? "temp" : String(name.map { $0 == " " ? "-" : $0 })
    return GenerationError(.option("--" + word, found: found, expected: expected))
  }

  /// What is too long for the context is so because of an option.
  private func namingOption(_ error: GenerationError) -> GenerationError {
    let needed: Int
    switch error.problem {
    case .tooLong(let text, _, let visual, _): needed = text + visual
    case .surelyTooLong(_, _, let positions, _): needed = positions
    default: return error
    }
    // With room for the answer.
    let wanted = (needed + options.answerLength + 1023) / 1024 * 1024
    let advice =
      advice(ofContext: wanted, needed: needed + 1)
      + (options.chat ? "; /clear begins anew" : "")
    return GenerationError(
      file: model.container.path, error.problem, advice: String(advice.dropFirst(2)))
  }

  /// "; --ctx 4096 allows more": a context that the model was made for, or that it was not made for a
  /// longer one, which would give nonsense.
  ///
  /// - Parameters:
  ///   - wanted: positions that would do.
  ///   - needed: the fewest that are of use.
  private func advice(ofContext wanted: Int, needed: Int) -> String {
    let length = (try? model.container.modelDescription().language?.contextLength) ?? wanted
    let most = max(length, model.capacity)
    return needed > most || most == model.capacity
      ? "; the model was made for \(length), and what it writes beyond is of no use"
      : "; --ctx \(min(wanted, most)) allows more"
  }

  /// What a person should know before reading the answer to a prompt of a length that the model never
  /// learned from.
  private func warnOfLength(_ conversation: Conversation) {
    guard let length = model.language.trainedLength, conversation.promptLength > length else {
      return
    }
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

  private func object(
    _ answer: Answer, _ encoded: Encoded, _ picture: PictureInput?
  ) -> JSONValue {
    let timings = answer.timings
    func rounded(_ value: Double) -> JSONValue { .double((value * 1e6).rounded() / 1e6) }
    var object = picture?.members ?? JSONObject()
    object.set("schema", 1)
    if picture == nil, model.seesPictures {
      object.set("images", encoded.list)
    }
    let values: JSONValue = [
      "text": .string(answer.text),
      "token_ids": .array(answer.tokens.map { .int($0) }),
      "ending": .string(answer.ending.rawValue),
      "prompt_tokens": .int(answer.promptTokenCount),
      "visual_tokens": .int(answer.visualTokenCount),
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
        "proposed_tokens": .int(timings.proposedTokens),
        "accepted_tokens": .int(timings.acceptedTokens),
      ],
      "peak_memory_bytes": .int(Self.peakMemory()),
    ]
    for member in values.objectValue?.members ?? [] { object.set(member.key, member.value) }
    return .object(object)
  }

  private func timings(_ answer: Answer, _ encoded: Encoded) -> String {
    let timings = answer.timings
    var parts: [String] = []
    if loadSeconds > 0 { parts.append("weights loaded in \(decimal(loadSeconds, 1)) s") }
    if encoded.count > 0 {
      parts.append(
        "\(counted(encoded.count, "picture")), \(counted(encoded.tokens, "token")): "
          + "\(decimal(encoded.seconds, 2)) s")
    }
    let reused = timings.reusedTokens > 0 ? " (\(timings.reusedTokens) kept)" : ""
    parts.append(
      "prompt \(counted(timings.promptTokens, "token"))\(reused): "
        + "\(decimal(timings.promptSeconds, 2)) s, "
        + "\(decimal(timings.promptTokensPerSecond, 1)) per second")
    parts.append(
      "answer \(counted(answer.tokens.count, "token")): "
        + "\(decimal(timings.tokensPerSecond, 1)) per second"
        + (timings.proposedTokens > 0
          ? ", \(timings.acceptedTokens) of \(timings.proposedTokens) proposals accepted" : ""))
    parts.append("peak memory \(byteText(Self.peakMemory()))")
    return "[" + parts.joined(separator: "; ") + "]"
  }

  /// Bytes that the process had in memory at most.
  private static func peakMemory() -> Int {
    if let peak = Machine.peakMemory { return peak }
    // Not below what the process that started this one had.
    var usage = rusage()
    getrusage(0, &usage)  // RUSAGE_SELF, whose type differs between C libraries
    return Int(usage.ru_maxrss) * 1024
  }
}
