import VLMFoundation
import VLMZ

/// Chats and completions.
extension Service {
  /// - Parameter client: whose request it is; clients take turns.
  func chat(
    _ body: JSONValue, client: String, _ record: RequestRecord
  ) async throws -> Response {
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
      [.messages(request.messages)], request.parameters, client, engine, json, record)
  }

  /// See `chat`.
  func complete(
    _ body: JSONValue, client: String, _ record: RequestRecord
  ) async throws -> Response {
    let served = try model(of: body, record)
    let engine = try writer(served)
    let request = try CompletionRequest(body, limits: limits)
    let json = AnswerJSON(
      .completion, created: Self.now, model: served.name,
      tellsUsage: request.parameters.tellsUsage)
    return try await answer(request.prompts, request.parameters, client, engine, json, record)
  }

  private func writer(_ served: ServedModel) throws(APIError) -> BatchEngine {
    guard let engine = served.engine else {
      throw APIError(
        status: 400,
        "model: '\(served.name)' writes no text; it answers \(Route.classify.rawValue) and "
          + Route.embeddings.rawValue, parameter: "model", code: "not_capable")
    }
    return engine
  }

  // MARK: - Answers

  private func answer(
    _ prompts: [GenerationRequest.Prompt], _ parameters: AnswerParameters, _ client: String,
    _ engine: BatchEngine, _ json: AnswerJSON, _ record: RequestRecord
  ) async throws -> Response {
    let answers = prompts.count * parameters.count
    // Not a matter of time: there will never be room for so many.
    guard answers <= engine.capacity else {
      throw APIError.invalid(
        "n", found: "\(answers) answers",
        expected: "at most \(engine.capacity), which this server computes or lets wait")
    }
    var streams: [GenerationStream] = []
    do {
      for prompt in prompts {
        for choice in 0..<parameters.count {
          let request = GenerationRequest(
            prompt, options: parameters.options, choice: choice,
            alternatives: parameters.alternatives, client: client,
            templateArguments: parameters.templateArguments, deadline: limits.deadline)
          streams.append(try engine.submit(request))
        }
      }
    } catch {
      for stream in streams { stream.cancel() }
      throw error
    }
    let writing = AnswerWriting(
      json: json, parameters: parameters, promptCount: prompts.count,
      feed: AnswerFeed(streams), record: record)
    guard parameters.isStreamed else { return Response(try await writing.whole()) }
    // The first event is awaited here, so that a prompt that is refused has a status of its own.
    let begun = try await writing.begin()
    return Response(type: ServerSentEvents.type, body: .stream { await begun.write(to: $0) })
  }
}
