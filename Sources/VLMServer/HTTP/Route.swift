/// What the server answers.
package enum Route: String, Sendable, Hashable, CaseIterable {
  case chat = "/v1/chat/completions"
  case completions = "/v1/completions"
  case responses = "/v1/responses"
  case embeddings = "/v1/embeddings"
  case classify = "/v1/classify"
  case explain = "/v1/explain"
  case models = "/v1/models"
  /// One of them: its name follows.
  case model = "/v1/models/"
  case health = "/health"
  case ready = "/ready"
  case metrics = "/metrics"
  case page = "/"

  /// The route of a path, and what follows it; nil where there is none.
  package static func find(_ path: String) -> (route: Route, rest: String)? {
    if path != model.rawValue, path.hasPrefix(model.rawValue) {
      return (.model, String(path.dropFirst(model.rawValue.count)))
    }
    // Some clients end a base URL with a slash.
    let trimmed = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    return Route(rawValue: trimmed).map { ($0, "") }
  }

  /// Whether it takes a body, by POST.
  package var takesBody: Bool {
    switch self {
    case .chat, .completions, .responses, .embeddings, .classify, .explain: true
    case .models, .model, .health, .ready, .metrics, .page: false
    }
  }

  /// Whether it answers without a key: it tells nothing that is worth one.
  package var isOpen: Bool {
    switch self {
    case .health, .ready, .page: true
    default: false
    }
  }

  func allows(_ method: String) -> Bool {
    takesBody ? method == "POST" : method == "GET" || method == "HEAD"
  }
}
