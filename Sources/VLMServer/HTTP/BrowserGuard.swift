import VLMFoundation

/// Keeps web pages of others away from a server on this machine: a browser would carry their requests
/// here for them.
package struct BrowserGuard: Sendable {
  /// Names, beside addresses and localhost, by which the server is called; lower case.
  private let names: Set<String>
  /// Whether any name will do, as with keys: no page of others has one.
  private let trustsAllNames: Bool
  /// Origins of pages elsewhere that may ask, such as "http://localhost:3000"; lower case.
  private let origins: Set<String>
  /// What the end of a refusal says of a remedy; empty for nothing.
  private let remedies: Remedies

  /// How whoever runs the server lets names and pages in, in the words of its options.
  package struct Remedies: Sendable {
    let name: String
    let origin: String

    /// Ends of messages, from their punctuation on.
    package init(name: String = "", origin: String = "") {
      self.name = name
      self.origin = origin
    }
  }

  /// What a request is that is let in.
  package enum Kind: Sendable {
    /// One to be answered.
    case request
    /// A browser's question whether a page may ask (CORS).
    case preflight
  }

  /// - Parameter origins: of pages that may ask; "*" for all.
  package init(
    names: [String], trustsAllNames: Bool, origins: [String] = [], remedies: Remedies = Remedies()
  ) {
    self.names = Set(names.map { $0.lowercased() })
    self.trustsAllNames = trustsAllNames
    self.origins = Set(origins.map { $0.lowercased() })
    self.remedies = remedies
  }

  /// - Throws: `APIError` for a name that an attacker may have bound to this address (DNS rebinding),
  ///   and for a request that a page from elsewhere makes.
  @discardableResult
  package func check(_ head: RequestHead) throws(APIError) -> Kind {
    let host = head.host ?? ""
    if !trustsAllNames, !host.isEmpty {
      let name = Self.name(of: host)
      guard Self.isAddress(name) || name == "localhost" || names.contains(name) else {
        throw APIError(
          status: 403,
          "Host: found '\(name.escapedForDisplay(limit: 80))', expected an address, localhost or "
            + "one of the server's names" + remedies.name, code: "unknown_host")
      }
    }
    guard let origin = head.origin else { return .request }
    if isAllowed(origin) { return head.method == "OPTIONS" ? .preflight : .request }
    guard let mark = origin.firstRange(of: "://"),
      origin[mark.upperBound...].lowercased() == host.lowercased()
    else {
      throw APIError(
        status: 403,
        "Origin: found '\(origin.escapedForDisplay(limit: 80))', expected this server's own page"
          + remedies.origin, code: "foreign_origin")
    }
    return .request
  }

  // MARK: - Pages elsewhere (CORS)

  private func isAllowed(_ origin: String) -> Bool {
    origins.contains("*") || origins.contains(origin.lowercased())
  }

  /// The response with what lets a page elsewhere read it, if it may.
  package func marked(_ response: Response, for head: RequestHead) -> Response {
    guard let origin = head.origin, isAllowed(origin) else { return response }
    var response = response
    response.headers += [
      ("Access-Control-Allow-Origin", origin), ("Vary", "Origin"),
      ("Access-Control-Expose-Headers", "Retry-After, X-Vlmz-Note"),
    ]
    return response
  }

  /// The answer to a preflight.
  package func consent(to head: RequestHead) -> Response {
    var response = marked(
      Response(status: 204, type: "text/plain", body: .bytes([])), for: head)
    // A star stands for all headers but this one.
    response.headers += [
      ("Access-Control-Allow-Methods", "GET, POST"),
      ("Access-Control-Allow-Headers", "Authorization, *"), ("Access-Control-Max-Age", "600"),
    ]
    return response
  }

  /// The name without its port; addresses of version 6 keep their brackets.
  static func name(of host: String) -> String {
    let host = host.lowercased()
    if host.hasPrefix("["), let end = host.firstIndex(of: "]") { return String(host[...end]) }
    return String(host.prefix { $0 != ":" })
  }

  private static func isAddress(_ name: String) -> Bool {
    if name.hasPrefix("[") { return name.hasSuffix("]") }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4
      && parts.allSatisfy { part in
        !part.isEmpty && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
      }
  }
}

extension String {
  fileprivate func firstRange(of part: String) -> Range<Index>? {
    for start in indices where self[start...].hasPrefix(part) {
      return start..<index(start, offsetBy: part.count)
    }
    return nil
  }
}
