import VLMFoundation
import VLMZ

/// Chats, completions and responses.
extension Service {
  func chat(_ body: JSONValue, _ record: RequestRecord) async throws -> Response {
    let served = try model(of: body, record)
    let engine = try writer(served)
    let request = try ChatRequest(body, limits: limits)
    try require(engine, served, sees: request.messages, "messages")
    let json = AnswerJSON(
      .chat, created: Self.now, model: served.name, tellsUsage: request.parameters.tellsUsage)
    return try await answer(
      [.messages(request.messages)], "messages", request.parameters, served, engine, json, record
    ).telling(request.notes)
  }

  func complete(_ body: JSONValue, _ record: RequestRecord) async throws -> Response {
    let served = try model(of: body, record)
    let engine = try writer(served)
    let request = try CompletionRequest(body, limits: limits)
    let json = AnswerJSON(
      .completion, created: Self.now, model: served.name,
      tellsUsage: request.parameters.tellsUsage)
    return try await answer(
      request.prompts, "prompt", request.parameters, served, engine, json, record)
  }

  func createResponse(_ body: JSONValue, _ record: RequestRecord) async throws -> Response {
    let served = try model(of: body, record)
    let engine = try writer(served)
    let request = try ResponsesRequest(body, limits: limits)
    try require(engine, served, sees: request.messages, "input")
    let feed = try await feed(
      [.messages(request.messages)], "input", request.parameters, served, engine, record)
    let writing = ResponseWriting(
      json: ResponseJSON(created: Self.now, model: served.name, request: request.repeated),
      parameters: request.parameters, feed: feed, record: record)
    guard request.parameters.isStreamed else {
      return Response(try await writing.whole()).telling(request.notes)
    }
    let begun = try await feed.begin()
    return Response(
      type: ServerSentEvents.type, body: .stream { await writing.write(begun, to: $0) }
    ).telling(request.notes)
  }

  /// - Parameter list: the request's name for its messages.
  /// - Throws: `APIError` for pictures or films that the model cannot see.
  private func require(
    _ engine: BatchEngine, _ served: ServedModel, sees messages: [GenerationRequest.Message],
    _ list: String
  ) throws(APIError) {
    guard engine.seesPictures || messages.allSatisfy({ $0.pictures.isEmpty }) else {
      throw APIError(
        status: 400, "model: '\(served.name)' sees no pictures", parameter: list,
        code: "not_capable")
    }
    let hasFilm = messages.contains { message in
      message.pictures.contains { if case .film = $0 { true } else { false } }
    }
    guard engine.seesFilms || !hasFilm else {
      throw APIError(
        status: 400,
        "model: '\(served.name)' was trained on no films; it sees pictures, as 'image_url'",
        parameter: list, code: "not_capable")
    }
  }

  private func writer(_ served: ServedModel) throws(APIError) -> BatchEngine {
    guard let engine = served.engine else {
      let capabilities = served.model.capabilities
      let others = [
        capabilities.isDisjoint(with: [.classifiesImages, .classifiesByText])
          ? nil : Route.classify.rawValue,
        capabilities.isDisjoint(with: [.embedsImages, .embedsTexts])
          ? nil : Route.embeddings.rawValue,
      ].compactMap { $0 }
      throw APIError(
        status: 400,
        "model: '\(served.name)' writes no text; it answers " + others.joined(separator: " and "),
        parameter: "model", code: "not_capable")
    }
    return engine
  }

  // MARK: - Answers

  private func answer(
    _ prompts: [GenerationRequest.Prompt], _ name: String, _ parameters: AnswerParameters,
    _ served: ServedModel, _ engine: BatchEngine, _ json: AnswerJSON, _ record: RequestRecord
  ) async throws -> Response {
    let writing = AnswerWriting(
      json: json, parameters: parameters, promptCount: prompts.count,
      feed: try await feed(prompts, name, parameters, served, engine, record), record: record)
    guard parameters.isStreamed else { return Response(try await writing.whole()) }
    // The first event is awaited here, so that a prompt that is refused has a status of its own.
    let begun = try await writing.feed.begin()
    return Response(
      type: ServerSentEvents.type, body: .stream { await writing.write(begun, to: $0) })
  }

  /// Hands the answers that a request asks for to the engine.
  ///
  /// - Parameter name: the request's name for its prompts.
  private func feed(
    _ prompts: [GenerationRequest.Prompt], _ name: String, _ parameters: AnswerParameters,
    _ served: ServedModel, _ engine: BatchEngine, _ record: RequestRecord
  ) async throws -> AnswerFeed {
    let answers = prompts.count * parameters.count
    // Not a matter of time: there will never be room for so many.
    guard answers <= engine.capacity else {
      throw APIError.invalid(
        "n", found: "\(answers) answers",
        expected: "at most \(engine.capacity), which this server computes or lets wait")
    }
    try parameters.checkBiases(vocabulary: engine.vocabularyCount)
    let client = record.content.client
    let requests = prompts.flatMap { prompt in
      (0..<parameters.count).map { choice in
        GenerationRequest(
          prompt, options: parameters.options, choice: choice,
          alternatives: parameters.alternatives, client: client,
          templateArguments: parameters.templateArguments, deadline: limits.deadline)
      }
    }
    do {
      return AnswerFeed(try await submit(requests, engine, client)) {
        served.shown($0, parameter: name)
      }
    } catch {
      throw APIError(error, ofForm: parameters.formatName, else: name)
    }
  }

  /// Hands requests to the engine; none where one is refused.
  private func submit(
    _ requests: [GenerationRequest], _ engine: BatchEngine, _ client: String
  ) async throws -> [GenerationStream] {
    @Sendable func all() throws -> [GenerationStream] {
      var streams: [GenerationStream] = []
      do {
        for request in requests { streams.append(try engine.submit(request)) }
      } catch {
        for stream in streams { stream.cancel() }
        throw error
      }
      return streams
    }
    guard let format = requests.first?.options.format, format != .text else { return try all() }
    // A form is read on a thread of its own: the tasks' few threads are for those who wait for less.
    return try await formReaders.withResource(for: client) { _ in
      let result = try await Background.result { Result { try all() } }
      return try result.get()
    }
  }
}
