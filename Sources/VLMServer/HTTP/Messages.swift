import VLMFoundation

/// The head of a request, as far as the service looks at it.
package struct RequestHead: Sendable {
  package var method: String
  /// Without the query, percent escapes decoded.
  package var path: String
  package var authorization: String?
  package var host: String?
  package var origin: String?
  /// The caller's address; "unix:1000" for a user of this machine.
  package var peer: String
  /// Bytes that the body has; nil where the head does not say.
  package var statedLength: Int?

  package init(
    method: String, path: String, authorization: String? = nil, host: String? = nil,
    origin: String? = nil, peer: String = "", statedLength: Int? = nil
  ) {
    self.method = method
    self.path = path
    self.authorization = authorization
    self.host = host
    self.origin = origin
    self.peer = peer
    self.statedLength = statedLength
  }
}

/// An answer, before it is sent.
package struct Response: Sendable {
  package enum Body: Sendable {
    case bytes([UInt8])
    /// Pieces as they are made. The closure returns whether the answer is complete; otherwise the
    /// connection is broken off, so that the client does not take what it has for all.
    case stream(@Sendable (any PieceWriter) async -> Bool)
  }

  package var status: Int
  package var headers: [(name: String, value: String)]
  package var body: Body

  package init(status: Int = 200, type: String, body: Body) {
    self.status = status
    self.body = body
    headers = [
      ("Content-Type", type), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
    ]
  }

  package init(_ value: JSONValue, status: Int = 200) {
    self.init(
      status: status, type: "application/json",
      body: .bytes(Array((value.serialized() + "\n").utf8)))
  }

  package init(_ error: APIError) {
    self.init(error.json, status: error.status)
    if let seconds = error.retryAfter { headers.append(("Retry-After", "\(seconds)")) }
    if error.status == 401 { headers.append(("WWW-Authenticate", "Bearer")) }
    if error.status == 405 { headers.append(("Allow", "GET, HEAD, POST")) }
  }
}

extension Response {
  /// The same with notes for a person, a header each: clients show no members that they do not know.
  func telling(_ notes: [String]) -> Response {
    var response = self
    response.headers += notes.map { ("X-Vlmz-Note", $0.escapedForDisplay(limit: 400)) }
    return response
  }
}

/// Where the pieces of an answer go.
package protocol PieceWriter: Sendable {
  /// Sends a piece without waiting for the client.
  ///
  /// - Returns: false once nobody reads any more.
  func write(_ piece: String) -> Bool
}
