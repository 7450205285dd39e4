import Testing
import VLMFoundation
import VLMZ

@testable import VLMServer

@Suite struct AnswerTests {
  private func answer(
    _ method: String, _ path: String, _ text: String = ""
  ) async -> (Response, RequestRecord) {
    let service = Service(
      models: [], limits: small, keys: nil,
      browsers: BrowserGuard(names: [], trustsAllNames: true))
    let record = RequestRecord()
    let head = RequestHead(method: method, path: path)
    return (await service.respond(to: head, body: Array(text.utf8), record: record), record)
  }

  private func text(_ response: Response) -> String {
    guard case .bytes(let bytes) = response.body else { return "" }
    return String(decoding: bytes, as: UTF8.self)
  }

  private func header(_ response: Response, _ name: String) -> String? {
    response.headers.first { $0.name == name }?.value
  }

  @Test func errorsHaveTheShapeThatClientsRead() async throws {
    let (response, record) = await answer("POST", "/v1/chat/completions", "{")
    #expect(response.status == 400)
    let error = try #require(try body(text(response))["error"]?.objectValue)
    #expect(error.keys == ["message", "type", "param", "code"])
    #expect(error["code"] == "invalid_json")
    #expect(record.content.error != nil)
  }

  @Test func unknownModelsAreNotFound() async throws {
    let (response, _) = await answer("POST", "/v1/embeddings", #"{"model": "a", "input": "b"}"#)
    #expect(response.status == 404)
    #expect(try body(text(response))["error"]?["param"] == "model")
  }

  @Test func fullQueuesSayWhenToComeBack() {
    let response = Response(APIError(EngineError.busy(retryAfter: .seconds(7))))
    #expect(response.status == 429)
    #expect(header(response, "Retry-After") == "7")
    #expect(Response(APIError(EngineError.stopped)).status == 503)
  }

  @Test func errorsOfModelsKeepTheirKinds() {
    func status(_ code: VLMZError.Code) -> Int {
      APIError(EngineError.failed(VLMZError(code, "a"))).status
    }
    #expect(status(.invalidArgument) == 400)
    #expect(status(.badData) == 400)
    #expect(status(.notCapable) == 400)
    #expect(status(.noMemory) == 503)
    #expect(status(.internal) == 500)
  }

  @Test func noClientSeesWhereAModelsFileLies() {
    let error = APIError(
      EngineError.failed(VLMZError(.io, "/srv/models/a.vlmz: changed while it was in use")))
    let shown = error.replacing("/srv/models/a.vlmz", with: "model 'a'")
    #expect(shown.message == "model 'a': changed while it was in use")
    #expect(shown.status == error.status && shown.type == error.type)
    #expect(error.replacing("", with: "x") == error)
  }

  @Test func pageAllowsNothingFromElsewhere() async throws {
    let (response, _) = await answer("GET", "/")
    let policy = try #require(header(response, "Content-Security-Policy"))
    #expect(policy.contains("default-src 'none'; script-src 'sha256-"))
    #expect(policy.contains("style-src 'sha256-"))
    #expect(!policy.contains("unsafe"))
    #expect(text(response).hasPrefix("<!doctype html>"))
  }

  @Test func eventsAreLinesOfJSON() {
    #expect(ServerSentEvents.event(["a": "b\nc"]) == "data: {\"a\":\"b\\nc\"}\n\n")
  }

  @Test func metricsAreInTheFormOfPrometheus() async {
    let service = Service(
      models: [], limits: small, keys: nil,
      browsers: BrowserGuard(names: [], trustsAllNames: true))
    service.metrics.begin()
    service.metrics.end(route: .chat, status: 200, seconds: 0.02, isGone: false, isSlow: false)
    service.metrics.begin()
    service.metrics.end(route: nil, status: 404, seconds: 0.001, isGone: true, isSlow: false)
    let head = RequestHead(method: "GET", path: "/metrics")
    let response = await service.respond(to: head, body: [], record: RequestRecord())
    let lines = Set(text(response).split(separator: "\n").map(String.init))
    #expect(
      lines.contains("vlmz_requests_total{endpoint=\"/v1/chat/completions\",status=\"200\"} 1"))
    #expect(lines.contains("vlmz_requests_total{endpoint=\"other\",status=\"404\"} 1"))
    #expect(lines.contains("vlmz_requests_active 0"))
    #expect(lines.contains("vlmz_clients_gone_total 1"))
    let bucket = "vlmz_request_duration_seconds_bucket{endpoint=\"/v1/chat/completions\",le="
    #expect(lines.contains(bucket + "\"0.01\"} 0"))
    #expect(lines.contains(bucket + "\"0.025\"} 1"))
    #expect(lines.contains(bucket + "\"+Inf\"} 1"))
  }

  @Test("tokens that are parts of characters have their bytes in text completions")
  func partsOfCharacters() {
    let texts: [([UInt8], String)] = [
      (Array(" \u{2581}a".utf8), " \u{2581}a"), ([0xe2, 0x96], "bytes:\\xe2\\x96"),
      ([0x20, 0xf0, 0x9f], "bytes: \\xf0\\x9f"), ([0x0a, 0x81, 0x5c], "bytes:\\x0a\\x81\\x5c"),
      ([], ""),
    ]
    for (bytes, text) in texts { #expect(TokenJSON.plainText(bytes) == text) }
  }

  @Test func logLinesCannotBeForged() throws {
    var line = LogLine(
      time: "t", peer: "p", method: "GET", path: "/a\n200 OK", status: 404, outcome: "answered",
      sentBytes: 5, seconds: 0.0123, content: RequestRecord.Content())
    #expect(line.text == "t p GET /a\\u{a}200 OK 404 5 B 12 ms")
    line.content.model = "m"
    line.content.promptTokens = 9
    line.content.cachedTokens = 4
    line.content.answerTokens = 2
    line.outcome = "client gone"
    #expect(line.text.hasSuffix("12 ms, client gone, m, prompt 9 (4 cached), answer 2"))
    #expect(try body(line.json.serialized())["answer_tokens"] == 2)
  }
}
