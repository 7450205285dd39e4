/// What a request is for: a path, or a whole URI as proxies are sent (RFC 9112, 3.2.2).
package struct RequestTarget: Sendable, Equatable {
  package let path: String
  /// The server's name that the URI has, which counts instead of that of the `Host` header.
  package let host: String?

  package init(_ text: String) {
    let scheme = ["http://", "https://"].first { text.lowercased().hasPrefix($0) }
    guard let scheme else {
      (path, host) = (text, nil)
      return
    }
    let rest = text.utf8.dropFirst(scheme.utf8.count)
    let end = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
    host = String(Substring(rest[..<end]))
    path = end == rest.endIndex ? "/" : String(Substring(rest[end...]))
  }
}
