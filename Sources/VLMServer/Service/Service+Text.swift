import VLMFoundation
import VLMZ

/// Chats and completions.
extension Service {
  func chat(_ body: JSONValue, _ record: RequestRecord) async throws -> Response {
    let served = try model(of: body, record)
    let engine = try writer(served)
    let request = try ChatRequest(body, limits: limits)
    if !engine.seesPictures, request.messages.contains(where: { !$0.pictures.isEmpty }) {
      throw APIError(
        status: 400, "model: '\(served.name)' sees no pictures", parameter: "messages",
        code: "not_capable")
    }
    let json = AnswerJSON(
      .chat, created: Self.now, model: served.name, tellsUsage: request.parameters.tellsUsage)
    return try await answer(
      [.messages(request.messages)], request.parameters, engine, json, record)
  }

  func complete(_ body: JSONValue, _ record: RequestRecord) async throws -> Response {
    let served = try model(of: body, record)
    let engine = try writer(served)
    let request = try CompletionRequest(body, limits: limits)
    let json = AnswerJSON(
      .completion, created: Self.now, model: served.name,
      tellsUsage: request.parameters.tellsUsage)
    return try await answer(request.prompts, request.parameters, engine, json, record)
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
    _ prompts: [GenerationRequest.Prompt], _ parameters: AnswerParameters, _ engine: BatchEngine,
    _ json: AnswerJSON, _ record: RequestRecord
  ) async throws -> Response {
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
    let streams = try await submit(requests, engine, client)
    let writing = AnswerWriting(
      json: json, parameters: parameters, promptCount: prompts.count,
      feed: AnswerFeed(streams), record: record)
    guard parameters.isStreamed else { return Response(try await writing.whole()) }
    // The first event is awaited here, so that a prompt that is refused has a status of its own.
    let begun = try await writing.begin()
    return Response(type: ServerSentEvents.type, body: .stream { await begun.write(to: $0) })
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
