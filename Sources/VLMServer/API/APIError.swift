import VLMFoundation
import VLMZ

/// Why a request is not answered, in the form that OpenAI's clients read: they raise by the status and
/// show the message.
package struct APIError: Error, Sendable, Equatable {
  /// The status line's number.
  package let status: Int
  /// One line for people.
  package let message: String
  /// "invalid_request_error", "authentication_error" …
  package let type: String
  /// The parameter that is at fault, such as "messages[0].content"; nil where there is none.
  package let parameter: String?
  /// A word for programs, such as "model_not_found"; nil where there is none.
  package let code: String?
  /// Seconds until it may be tried again.
  package let retryAfter: Int?

  package init(
    status: Int, _ message: String, type: String = "invalid_request_error",
    parameter: String? = nil, code: String? = nil, retryAfter: Int? = nil
  ) {
    self.status = status
    self.message = message
    self.type = type
    self.parameter = parameter
    self.code = code
    self.retryAfter = retryAfter
  }

  /// A parameter with a value that it cannot have.
  static func invalid(
    _ parameter: String, found: String, expected: String
  ) -> APIError {
    APIError(
      status: 400,
      "\(parameter): found \(found.escapedForDisplay(limit: 80)), expected \(expected)",
      parameter: parameter, code: "invalid_value")
  }

  /// A parameter that would change the answer, and that this server cannot follow.
  static func unsupported(_ parameter: String, _ message: String) -> APIError {
    APIError(
      status: 400, "\(parameter): \(message)", parameter: parameter, code: "unsupported_parameter")
  }

  /// The same with another text in its message for one that it has.
  func replacing(_ text: String, with other: String) -> APIError {
    guard !text.isEmpty, message.contains(text) else { return self }
    return APIError(
      status: status, message.parts(between: text).joined(separator: other), type: type,
      parameter: parameter, code: code, retryAfter: retryAfter)
  }

  /// `{"error": {"message", "type", "param", "code"}}`.
  package var json: JSONValue {
    [
      "error": [
        "message": .string(message), "type": .string(type),
        "param": parameter.map { .string($0) } ?? .null, "code": code.map { .string($0) } ?? .null,
      ]
    ]
  }
}

extension APIError {
  /// The form of whatever a model or an engine throws.
  ///
  /// - Parameter parameter: what of the request was worked on, where that is known.
  package init(_ error: any Error, parameter: String? = nil) {
    switch error {
    case let error as APIError: self = error
    case EngineError.busy(let duration):
      self = .overloaded(retryAfter: Int(duration.components.seconds))
    case EngineError.stopped: self = .stopping
    case EngineError.failed(let error): self.init(model: error, parameter: parameter)
    case is CancellationError: self = .cancelled
    default: self.init(model: VLMZError(error), parameter: parameter)
    }
  }

  /// The same of what refuses a request whose answer must have a form.
  ///
  /// - Parameters:
  ///   - name: the parameter with the form, to which errors in a schema or a grammar belong.
  ///   - other: the one with the prompt, to which all others belong.
  package init(_ error: any Error, ofForm name: String?, else other: String? = nil) {
    var parameter = other
    if case EngineError.failed(let fault) = error, fault.code == .invalidArgument,
      ["schema: ", "grammar: "].contains(where: { fault.message.hasPrefix($0) })
    {
      parameter = name
    }
    self.init(error, parameter: parameter)
  }

  private init(model error: VLMZError, parameter: String?) {
    switch error.code {
    case .invalidArgument, .badData:
      // A message that names a place in the request says more than the name of all prompts.
      let place = parameter.flatMap { $0.contains("[") ? $0 : nil }
      let parameter = place ?? Self.parameter(in: error.message) ?? parameter
      // The context's length has a code that frameworks look for.
      let isLong = error.message.contains("the context's")
      self.init(
        status: 400, error.message, parameter: parameter,
        code: isLong ? "context_length_exceeded" : "invalid_value")
    case .notCapable:
      self.init(status: 400, error.message, parameter: parameter, code: "not_capable")
    case .unsupported:
      self.init(status: 400, error.message, parameter: parameter, code: "unsupported_value")
    case .busy: self = .overloaded(retryAfter: 1)
    case .cancelled: self = .cancelled
    case .noMemory:
      self.init(
        status: 503, error.message, type: "server_error", code: "no_memory", retryAfter: 5)
    default: self.init(status: 500, error.message, type: "server_error")
    }
  }

  /// What requests call what messages of the library begin with.
  private static let namesInRequests = [
    "labels": "labels", "template": "templates", "template arguments": "chat_template_kwargs",
  ]

  /// The name of a parameter that a message begins with: pictures are called by where they stand in the
  /// request.
  private static func parameter(in message: String) -> String? {
    guard let colon = message.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
    let name = message[..<colon]
    if let named = namesInRequests[String(name)] { return named }
    let isPlace = name.hasPrefix("messages[") || name == "input" || name.hasPrefix("input[")
    return isPlace && !name.contains(" ") ? String(name) : nil
  }

  /// As many requests wait as may.
  static func overloaded(retryAfter: Int) -> APIError {
    APIError(
      status: 429, "as many requests wait as may; try again later", type: "rate_limit_error",
      code: "queue_full", retryAfter: max(1, retryAfter))
  }

  /// A request whose end others may see elsewhere.
  package static func malformed(_ fault: String) -> APIError {
    APIError(status: 400, "head: found \(fault)", code: "malformed_request")
  }

  /// The server is about to end.
  package static let stopping = APIError(
    status: 503, "the server is shutting down", type: "server_error", code: "shutting_down",
    retryAfter: 5)

  /// Nobody waits for the answer any more.
  static let cancelled = APIError(
    status: 499, "the request was cancelled", type: "server_error", code: "cancelled")

  /// It took longer than it may.
  static let deadline = APIError(
    status: 504, "the answer took longer than it may", type: "server_error",
    code: "deadline_exceeded")

  static func notFound(_ method: String, _ path: String) -> APIError {
    APIError(
      status: 404,
      "no such endpoint: \(method.escapedForDisplay(limit: 20)) "
        + path.escapedForDisplay(limit: 100), code: "unknown_url")
  }

  static func methodNotAllowed(_ method: String, allowed: String) -> APIError {
    APIError(
      status: 405, "method: found \(method.escapedForDisplay(limit: 20)), expected \(allowed)",
      code: "method_not_allowed")
  }
}
