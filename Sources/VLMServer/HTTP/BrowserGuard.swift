import VLMFoundation

/// Keeps web pages of others away from a server on this machine: a browser would carry their requests
/// here for them.
package struct BrowserGuard: Sendable {
  /// Names, beside addresses and localhost, by which the server is called; lower case.
  private let names: Set<String>
  /// Whether any name will do, as with keys: no page of others has one.
  private let trustsAllNames: Bool

  package init(names: [String], trustsAllNames: Bool) {
    self.names = Set(names.map { $0.lowercased() })
    self.trustsAllNames = trustsAllNames
  }

  /// - Throws: `APIError` for a name that an attacker may have bound to this address (DNS rebinding),
  ///   and for a request that a page from elsewhere makes.
  package func check(_ head: RequestHead) throws(APIError) {
    let host = head.host ?? ""
    if !trustsAllNames, !host.isEmpty {
      let name = Self.name(of: host)
      guard Self.isAddress(name) || name == "localhost" || names.contains(name) else {
        throw APIError(
          status: 403,
          "Host: found '\(name.escapedForDisplay(limit: 80))', expected an address, localhost or "
            + "one of the server's names", code: "unknown_host")
      }
    }
    guard let origin = head.origin else { return }
    guard let mark = origin.firstRange(of: "://"),
      origin[mark.upperBound...].lowercased() == host.lowercased()
    else {
      throw APIError(
        status: 403,
        "Origin: found '\(origin.escapedForDisplay(limit: 80))', expected this server's own page",
        code: "foreign_origin")
    }
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
