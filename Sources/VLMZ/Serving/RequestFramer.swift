import VLMFoundation
import VLMModels
import VLMText

/// Makes what the engine computes of what a request says, by the same steps as a conversation.
struct RequestFramer: Sendable {
  let model: Model
  let frames: PromptFrames
  let options: BatchEngineOptions

  /// The frame of requests without variables of their own.
  var frame: PromptFrame { frames.own }

  /// - Throws: `VLMZError`, or an error of the modules below, for a request that cannot be answered.
  func content(of request: GenerationRequest) throws -> EngineTicket.Content {
    try VLMZError.require(
      (0...100).contains(request.alternatives ?? 0), "alternatives",
      found: "\(request.alternatives ?? 0)", expected: "0 to 100")
    let frame = try frames.with(request.templateArguments)
    var generation = try request.options.validated(frame.language.defaults)
    generation.grammar = try frame.language.grammar(of: request.options.format)
    generation.sampling.seed &+= UInt64(bitPattern: Int64(request.choice))
    if let most = options.maximumTokens {
      generation.maximumTokens = min(generation.maximumTokens, most)
    }
    var content = EngineTicket.Content(
      ids: [], pictures: [], options: generation, alternatives: request.alternatives,
      client: request.client,
      deadline: [request.deadline, options.deadline].compactMap { $0 }.min())
    switch request.prompt {
    case .messages(let messages): try add(messages, frame, to: &content)
    case .text(let text):
      let bare = frame.withoutTemplate
      try bare.refuseTooLong(text)
      content.ids = try bare.ids([.init(.user, text)], system: nil, pictures: 0)
      content.options = bare.complete(generation)
    case .tokens(let ids):
      let vocabulary = frame.language.layers.config.vocabulary
      if let wrong = ids.first(where: { $0 < 0 || $0 >= vocabulary }) {
        throw VLMZError(
          .invalidArgument,
          "token id: found \(wrong), expected 0 to \(vocabulary - 1)")
      }
      content.ids = ids
      content.options = frame.withoutTemplate.complete(generation)
    }
    guard !content.ids.isEmpty else { throw GenerationError(.emptyPrompt) }
    try frame.requireRoom(content.ids, visual: content.pictures.count)
    return content
  }

  private func add(
    _ messages: [GenerationRequest.Message], _ frame: PromptFrame,
    to content: inout EngineTicket.Content
  ) throws {
    var system: String?
    var turns: [PromptFrame.Turn] = []
    for (index, message) in messages.enumerated() {
      try frame.refuseTooLong(message.text)
      try VLMZError.require(
        message.role == .user || message.pictures.isEmpty, "pictures",
        found: "one of the \(message.role.rawValue)'s", expected: "the user's only")
      switch message.role {
      case .system:
        try VLMZError.require(
          turns.isEmpty, "messages", found: "a system message behind others",
          expected: "system messages first")
        system = system.map { $0 + "\n" + message.text } ?? message.text
      case .user:
        let (text, pictures) = try placed(message, frame)
        turns.append(.init(.user, text))
        content.pictures += pictures
      case .assistant:
        let isBegun = index == messages.count - 1
        // An empty beginning is none.
        if isBegun, message.text.isEmpty { break }
        let text = isBegun ? message.text : frame.historyText(of: message.text)
        turns.append(.init(.assistant, text))
      }
    }
    try VLMZError.require(
      turns.contains { $0.role == .user }, "messages", found: "none of a user",
      expected: "one or more")
    if frame.template == nil {
      try VLMZError.require(
        turns.count == 1 && system == nil, "messages",
        found: turns.count == 1
          ? "a system's too, as tools make one" : "\(messages.count) messages",
        expected: "a single user's message for a model without a template")
    }
    content.ids = try frame.ids(turns, system: system, pictures: content.pictures.count)
    content.options = frame.complete(content.options)
    if turns.last?.role == .assistant {
      content.options.continuesPrompt = true
      content.begunEnd = content.ids.last
    }
  }

  /// A user's text with a place for each of its pictures, and for each frame that is seen of its films;
  /// and what goes there.
  private func placed(
    _ message: GenerationRequest.Message, _ frame: PromptFrame
  ) throws -> (String, [PromptPicture]) {
    let given = message.pictures
    if !given.isEmpty, !frame.seesPictures {
      throw VLMZError(.notCapable, "\(model.path.escapedForDisplay()): sees no pictures")
    }
    var places: [String] = []
    var pictures: [PromptPicture] = []
    var hasFilm = false
    for picture in given {
      switch picture {
      case .image(let image): pictures.append(.image(image))
      case .encoded(let image):
        try model.require(isOwn: image.model, "picture")
        pictures.append(.encoded(image))
      case .film(let film):
        guard let sampling = frame.language.filmSampling else {
          throw VLMZError(
            .notCapable, "\(model.path.escapedForDisplay()): was trained on no films")
        }
        let numbers = film.frames(sampling)
        pictures += numbers.map { .frame(film, $0) }
        places.append(film.series(numbers))
        hasFilm = true
        continue
      }
      places.append(ImagePrompt.marker)
    }
    guard hasFilm else {
      return (try frame.placed(message.text, pictures: given.count), pictures)
    }
    let chunks = ImagePrompt.chunks(message.text)
    guard chunks.count == 1 || chunks.count == given.count + 1 else {
      throw GenerationError(.pictures(named: chunks.count - 1, given: given.count))
    }
    if chunks.count == 1 {
      let separator = ConversationTemplate.imageSeparator
      let front = places.map { $0 == ImagePrompt.marker ? $0 + separator : $0 }
      return (front.joined() + message.text, pictures)
    }
    return (chunks[0] + zip(places, chunks.dropFirst()).map { $0 + $1 }.joined(), pictures)
  }
}
