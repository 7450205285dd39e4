import VLMFoundation
import VLMServer

enum RequestTarget {
  private static let limits = ServerLimits(
    bodyBytes: 1 << 16, pictures: 4, picturePixels: 1 << 16, inputs: 8)

  /// A body as that of each endpoint: a request within its limits, or an error with a status of the
  /// client's that is a line of JSON.
  static func run(_ bytes: UnsafeRawBufferPointer) {
    guard
      let body = try? JSONValue.parse(
        bytes, limits: JSONLimits(maximumBytes: limits.bodyBytes, maximumNodes: 100_000))
    else { return }
    attempt {
      let request = try ChatRequest(body, limits: limits, randomSeed: { 0 })
      precondition(request.messages.contains { $0.role == .user }, "a question")
      let pictures = request.messages.reduce(0) { $0 + $1.pictures.count }
      precondition(pictures <= limits.pictures, "within the limits")
      check(request.parameters)
    }
    attempt {
      let request = try ResponsesRequest(body, limits: limits, randomSeed: { 0 })
      precondition(request.messages.contains { $0.role == .user }, "a question")
      precondition(request.parameters.count == 1, "a single answer")
      check(request.parameters)
    }
    attempt {
      let request = try CompletionRequest(body, limits: limits, randomSeed: { 0 })
      precondition(
        (1...limits.choices).contains(request.prompts.count * request.parameters.count), "few")
      check(request.parameters)
    }
    attempt {
      let request = try EmbeddingRequest(body, limits: limits)
      precondition((1...limits.inputs).contains(request.inputs.count), "within the limits")
    }
    attempt {
      let request = try ClassifyRequest(body, limits: limits)
      precondition(request.top >= 1 && !request.images.isEmpty, "something to look at")
    }
    attempt { _ = try ExplainRequest(body, limits: limits) }
  }

  private static func check(_ parameters: AnswerParameters) {
    precondition((1...limits.answerTokens).contains(parameters.options.maximumTokens), "bounded")
    precondition((1...limits.choices).contains(parameters.count), "bounded")
  }

  private static func attempt(_ body: () throws -> Void) {
    do { try body() } catch {
      let error = APIError(error)
      precondition((400..<500).contains(error.status), "the client's fault")
      let line = error.json.serialized()
      precondition(!line.utf8.contains(0x0a), "one line")
      precondition((try? JSONValue.parse(line)) == error.json, "JSON")
    }
  }
}
