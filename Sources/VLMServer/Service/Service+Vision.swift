import VLMFoundation
import VLMZ

/// Embeddings, classes and drawings of pictures.
extension Service {
  func embed(_ body: JSONValue, _ record: RequestRecord) async throws -> Response {
    let served = try model(of: body, record)
    let request = try EmbeddingRequest(body, limits: limits)
    let hasTexts = request.inputs.contains { if case .text = $0 { true } else { false } }
    let sessions = try sessions(
      served, hasTexts ? .embedsTexts : .embedsImages,
      hasTexts ? Self.lackOfTokenizer(served) ?? "embeds no texts" : "embeds no pictures")
    let client = record.content.client
    let (embeddings, tokens) = try await withinDeadline {
      do { return try await Self.embeddings(request.inputs, sessions, client) } catch {
        throw served.shown(error, parameter: "input")
      }
    }
    metrics.count { content in
      for input in request.inputs {
        if case .text = input { content.textsLooked += 1 } else { content.picturesLooked += 1 }
      }
    }
    if let wanted = request.dimensions, let width = embeddings.first?.values.count, wanted != width
    {
      throw APIError.invalid("dimensions", found: "\(wanted)", expected: "\(width), the model's")
    }
    record.set { $0.promptTokens = tokens }
    let data = embeddings.enumerated().map { index, embedding -> JSONValue in
      [
        "object": "embedding", "index": .int(index),
        "embedding": request.isBase64
          ? .string(Base64.encode(Self.littleEndian(embedding.values)))
          : .array(embedding.values.map { .double(Double($0)) }),
      ]
    }
    return Response([
      "object": "list", "data": .array(data), "model": .string(served.name),
      "usage": ["prompt_tokens": .int(tokens), "total_tokens": .int(tokens)],
    ]).telling(request.notes)
  }

  /// Embeddings in the order of the inputs; neighbours of one kind are computed together.
  private static func embeddings(
    _ inputs: [EmbeddingInput], _ sessions: FairPool<Session>, _ client: String
  ) async throws -> ([Embedding], tokens: Int) {
    let images = inputs.compactMap { if case .image(let image) = $0 { image } else { nil } }
    let texts = inputs.compactMap { if case .text(let text) = $0 { text } else { nil } }
    var ofImages = try await inTurns(images, sessions, client) { try await $1.embed($0) }[...]
    var (ofTexts, tokens): (ArraySlice<Embedding>, Int) = ([], 0)
    if !texts.isEmpty {
      (ofTexts, tokens) = try await sessions.withResource(for: client) { session in
        let made = try await session.embed(texts)
        return (made[...], try texts.reduce(0) { try $0 + session.tokenCount(of: $1) })
      }
    }
    let all = inputs.compactMap { input -> Embedding? in
      switch input {
      case .image: ofImages.popFirst()
      case .text: ofTexts.popFirst()
      }
    }
    return (all, tokens)
  }

  /// What `body` makes of pictures, in their order, a few at a time: large ones of one client do not keep
  /// those of others waiting until all are done.
  private static func inTurns<R: Sendable>(
    _ images: [Image], _ sessions: FairPool<Session>, _ client: String,
    _ body: @Sendable ([Image], Session) async throws -> [R]
  ) async throws -> [R] {
    var results: [R] = []
    for turn in PictureTurns.split(images.map { $0.width * $0.height }) {
      results += try await sessions.withResource(for: client) { session in
        try await body(Array(images[turn]), session)
      }
    }
    return results
  }

  private static func littleEndian(_ values: [Float]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(values.count * 4)
    for value in values {
      withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    }
    return bytes
  }

  func classify(_ body: JSONValue, _ record: RequestRecord) async throws -> Response {
    let served = try model(of: body, record)
    let request = try ClassifyRequest(body, limits: limits)
    let sessions: FairPool<Session>
    if request.labels != nil {
      sessions = try self.sessions(
        served, .classifiesByText,
        served.model.capabilities.contains(.classifiesImages)
          ? "has classes of its own and compares no pictures with texts: leave 'labels' out"
          : Self.lackOfTokenizer(served) ?? Self.lackOfClasses(served))
    } else {
      sessions = try self.sessions(
        served, .classifiesImages,
        served.model.capabilities.contains(.classifiesByText)
          ? "has no classes of its own; 'labels' gives some to choose from"
          : Self.lackOfClasses(served))
    }
    let client = record.content.client
    let results = try await withinDeadline { () -> [Classification] in
      guard let labels = request.labels else {
        return try await Self.inTurns(request.images, sessions, client) {
          try await $1.classify($0, top: request.top)
        }
      }
      let classes = try await sessions.withResource(for: client) { session in
        do throws(VLMZError) {
          return try await served.textClasses(
            labels, templates: request.templates, session: session)
        } catch {
          throw served.shown(error, parameter: "labels")
        }
      }
      return try await Self.inTurns(request.images, sessions, client) { images, session in
        var results: [Classification] = []
        for image in images {
          results.append(try await session.classify(image, as: classes, top: request.top))
        }
        return results
      }
    }
    metrics.count { $0.picturesLooked += request.images.count }
    let data = results.enumerated().map { index, result -> JSONValue in
      [
        "object": "classification", "index": .int(index), "scores": .string(result.scores.rawValue),
        "classes": .array(
          result.candidates.map { candidate in
            [
              "index": .int(candidate.index),
              "label": candidate.label.map { .string($0) } ?? .null,
              "score": .double(candidate.score),
            ]
          }),
      ]
    }
    return Response(["object": "list", "model": .string(served.name), "data": .array(data)])
      .telling(request.notes)
  }

  /// What is said of a model that would read texts if it had a tokenizer; nil of others.
  private static func lackOfTokenizer(_ served: ServedModel) -> String? {
    guard served.engine == nil, served.model.description.tokenRows != nil,
      !served.model.capabilities.contains(.embedsTexts)
    else { return nil }
    return "reads no texts, as it has no tokenizer: copy tokenizer.json, or spiece.model, beside "
      + "the weights and convert it again"
  }

  /// What is said of a model that classifies in no way.
  private static func lackOfClasses(_ served: ServedModel) -> String {
    let others = [
      served.engine == nil ? nil : Route.chat.rawValue,
      served.model.capabilities.contains(.embedsImages) ? Route.embeddings.rawValue : nil,
    ].compactMap { $0 }
    return "classifies no pictures"
      + (others.isEmpty ? "" : "; it answers " + others.joined(separator: " and "))
  }

  func explain(_ body: JSONValue, _ record: RequestRecord) async throws -> Response {
    let served = try model(of: body, record)
    let request = try ExplainRequest(body, limits: limits)
    let model = served.model
    guard !model.capabilities.isDisjoint(with: [.embedsImages, .seesPictures]) else {
      throw APIError(
        status: 400, "model: '\(served.name)' sees no pictures", parameter: "model",
        code: "not_capable")
    }
    let client = record.content.client
    let bytes = try await withinDeadline {
      if let sessions = served.sessions {
        return try await sessions.withResource(for: client) {
          try await $0.explain(request.image)
        }
      }
      return try await model.explain(request.image)
    }
    return Response(type: "image/png", body: .bytes(bytes)).telling(request.notes)
  }

  private func sessions(
    _ served: ServedModel, _ needed: Capabilities, _ lack: String
  ) throws(APIError) -> FairPool<Session> {
    guard served.model.capabilities.isSuperset(of: needed), let sessions = served.sessions else {
      throw APIError(
        status: 400, "model: '\(served.name)' \(lack)", parameter: "model", code: "not_capable")
    }
    return sessions
  }
}
