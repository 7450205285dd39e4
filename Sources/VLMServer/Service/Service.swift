import VLMContainer
import VLMFoundation
import VLMZ

#if canImport(Glibc)
  import Glibc
#endif

/// What the server does with requests, without their transport.
package final class Service: Sendable {
  package let models: [ServedModel]
  package let limits: ServerLimits
  package let metrics = Metrics()
  private let keys: APIKeys?
  private let browsers: BrowserGuard
  /// Lets one form of an answer at a time be read: a large schema takes a processor for a while.
  let formReaders: FairPool<Void>

  /// - Parameters:
  ///   - models: one or more, each of another name.
  ///   - keys: who may ask; nil for everybody.
  package init(
    models: [ServedModel], limits: ServerLimits, keys: APIKeys?, browsers: BrowserGuard
  ) {
    self.models = models
    self.limits = limits
    self.keys = keys
    self.browsers = browsers
    formReaders = FairPool([()], waiting: limits.waiting)
  }

  // MARK: - Heads

  /// Looks at a request's head, before its body is read.
  ///
  /// - Throws: `APIError` for a request that is not answered whatever its body says.
  package func admit(_ head: RequestHead) throws(APIError) -> Route {
    let isPreflight = try browsers.check(head) == .preflight
    guard let (route, _) = Route.find(head.path) else {
      throw .notFound(head.method, head.path)
    }
    // A browser asks whether it may ask, without a key.
    if isPreflight { return route }
    guard route.allows(head.method) else {
      throw .methodNotAllowed(head.method, allowed: route.takesBody ? "POST" : "GET")
    }
    if let keys, !route.isOpen, !keys.accept(authorization: head.authorization) {
      throw APIError(
        status: 401,
        head.authorization == nil
          ? "found no API key, expected one in 'Authorization: Bearer KEY'"
          : "the API key is not one of this server's",
        type: "authentication_error", code: "invalid_api_key")
    }
    if !route.takesBody, let length = head.statedLength, length > 0 {
      throw APIError(
        status: 400, "body: found \(length) bytes, expected none with \(head.method)",
        code: "unexpected_body")
    }
    return route
  }

  /// Who takes turns with others: the caller's key, or else its address.
  func client(of head: RequestHead) -> String {
    keys?.number(authorization: head.authorization).map { "key \($0)" } ?? head.peer
  }

  /// The answer to a request that needs no work, and must not wait for others': whether the process lives.
  package func answerAtOnce(_ route: Route) -> Response? {
    route == .health ? Response(["status": "ok"]) : nil
  }

  /// Bytes that the body of a request may have.
  package func bodyLimit(_ route: Route) -> Int { route.takesBody ? limits.bodyBytes : 0 }

  /// What a body is refused with that has more.
  package var tooLarge: APIError {
    APIError(
      status: 413, "body: found more than \(limits.bodyBytes) bytes, expected at most that",
      code: "body_too_large")
  }

  /// What a body is refused with while those of others take as much memory as they may.
  package var shortOfMemory: APIError {
    APIError(
      status: 503, "body: found no memory for it beside those of other requests; try again later",
      type: "server_error", code: "no_memory", retryAfter: 1)
  }

  // MARK: - Answers

  /// Answers a request. Cancelling the task cancels the work.
  ///
  /// - Parameter record: gets what the log tells.
  package func respond(
    to head: RequestHead, body: [UInt8], record: RequestRecord
  ) async -> Response {
    record.set { $0.client = client(of: head) }
    do {
      if try browsers.check(head) == .preflight { return browsers.consent(to: head) }
      return browsers.marked(try await answer(head, body, record), for: head)
    } catch {
      let error = models.reduce(APIError(error)) { $1.shown($0) }
      record.set { $0.error = error.message }
      return refusal(error, of: head)
    }
  }

  /// What a request is refused with, in a form that a page which may ask can read.
  package func refusal(_ error: APIError, of head: RequestHead) -> Response {
    browsers.marked(Response(error), for: head)
  }

  private func answer(
    _ head: RequestHead, _ body: [UInt8], _ record: RequestRecord
  ) async throws -> Response {
    guard let (route, rest) = Route.find(head.path) else {
      throw APIError.notFound(head.method, head.path)
    }
    switch route {
    case .page: return Page.response
    case .health: return Response(["status": "ok"])
    case .ready:
      return Response(["status": "ready", "models": .array(models.map { .string($0.name) })])
    case .metrics:
      let text = MetricsText(metrics, models: models, memory: limits.memoryBytes).text
      return Response(type: MetricsText.type, body: .bytes(Array(text.utf8)))
    case .models: return Response(["object": "list", "data": .array(models.map(\.json))])
    case .model: return Response(try model(named: rest).json)
    case .chat: return try await chat(try json(body), record)
    case .completions: return try await complete(try json(body), record)
    case .responses: return try await createResponse(try json(body), record)
    case .embeddings: return try await embed(try json(body), record)
    case .classify: return try await classify(try json(body), record)
    case .explain: return try await explain(try json(body), record)
    }
  }

  private func json(_ body: [UInt8]) throws(APIError) -> JSONValue {
    do {
      return try JSONValue.parse(
        body, limits: JSONLimits(maximumBytes: limits.bodyBytes, maximumNodes: 500_000))
    } catch {
      throw APIError(status: 400, "body: \(error)", code: "invalid_json")
    }
  }

  // MARK: - Models

  /// The model that a request names; the only one where it names none.
  func model(
    of body: JSONValue, _ record: RequestRecord
  ) throws(APIError) -> ServedModel {
    let fields = try Fields(body, at: "")
    guard let name = try fields.string("model") else {
      guard models.count == 1, let only = models.first else {
        throw .invalid("model", found: "none", expected: names)
      }
      record.set { $0.model = only.name }
      return only
    }
    let found = try model(named: name)
    record.set { $0.model = found.name }
    return found
  }

  private func model(named name: String) throws(APIError) -> ServedModel {
    guard let found = models.first(where: { $0.name.hasSameBytes(as: name) }) else {
      throw APIError(
        status: 404, "model: found '\(name.escapedForDisplay(limit: 80))', expected \(names)",
        parameter: "model", code: "model_not_found")
    }
    return found
  }

  private var names: String {
    let names = models.map { "'\($0.name)'" }
    return names.count == 1 ? names[0] : "one of " + names.joined(separator: ", ")
  }

  /// Seconds since 1970.
  static var now: Int { Int(time(nil)) }

  /// Runs `body` until the deadline.
  ///
  /// - Throws: `.deadline`; what `body` throws.
  func withinDeadline<R: Sendable>(
    _ body: @escaping @Sendable () async throws -> R
  ) async throws -> R {
    try await withThrowingTaskGroup(of: R?.self) { group in
      group.addTask { try await body() }
      group.addTask { [limits] in
        // A sleep that is cancelled keeps a kilobyte until it would have ended, so there are short ones.
        let clock = ContinuousClock()
        let end = clock.now + limits.deadline
        while clock.now < end { try await Task.sleep(for: min(.seconds(1), end - clock.now)) }
        return nil
      }
      defer { group.cancelAll() }
      guard let first = try await group.next(), let result = first else { throw APIError.deadline }
      return result
    }
  }

  // MARK: - The end

  /// Finishes the answers that were begun; no other begins.
  package func drain() async {
    for model in models { await model.drain() }
  }

  /// Breaks off what is left.
  package func stop() {
    for model in models { model.stop() }
  }
}
