import VLMFoundation
import VLMServer

enum RequestHeadTarget {
  private static let names = ["models.example"]
  private static let origin = "http://localhost:3000"
  private static let guarded = Service(
    models: [], limits: ServerLimits(), keys: APIKeys(["one", "two"]),
    browsers: BrowserGuard(names: names, trustsAllNames: false, origins: [origin]))
  private static let open = Service(
    models: [], limits: ServerLimits(), keys: nil,
    browsers: BrowserGuard(names: names, trustsAllNames: true, origins: ["*"]))

  /// Lines of an input are a head's method, target, `Host`, `Origin` and `Authorization`; what is not
  /// there was not sent. Whoever is let in has a name, a key and an origin that are the server's.
  static func run(_ bytes: UnsafeRawBufferPointer) {
    let lines = bytes.split(separator: 0x0a, maxSplits: 4, omittingEmptySubsequences: false).map {
      String(decoding: $0, as: UTF8.self)
    }
    func line(_ index: Int) -> String? { index < lines.count ? lines[index] : nil }
    let target = VLMServer.RequestTarget(line(1) ?? "/")
    let head = RequestHead(
      method: line(0) ?? "GET", path: target.path, authorization: line(4),
      host: target.host ?? line(2), origin: line(3))
    if let route = admitted(by: guarded, head) {
      precondition(isKnown(head.host ?? ""), "a name of the server's")
      let isPreflight = head.method == "OPTIONS"
      let hasKey = ["one", "two"].contains { head.authorization?.hasSuffix($0) ?? false }
      precondition(route.isOpen || isPreflight || hasKey, "a key")
    }
    _ = admitted(by: open, head)
    let response = open.refusal(APIError.malformed("a line"), of: head)
    for header in response.headers where header.name == "Access-Control-Allow-Origin" {
      precondition(header.value == head.origin, "the origin that asked")
    }
    let line = LogLine(
      time: "t", peer: "p", method: head.method, path: head.path, status: 200, outcome: "answered",
      sentBytes: 0, seconds: 0, content: RequestRecord.Content())
    precondition(!line.text.utf8.contains(0x0a), "one line of a log")
    _ = APIKeys.keys(in: lines.joined(separator: "\n"))
  }

  private static func admitted(by service: Service, _ head: RequestHead) -> Route? {
    do throws(APIError) { return try service.admit(head) } catch {
      precondition((400..<500).contains(error.status), "the client's fault")
      precondition((try? JSONValue.parse(error.json.serialized())) == error.json, "JSON")
      return nil
    }
  }

  /// An address, by what it is made of, or a name that the server has.
  private static func isKnown(_ host: String) -> Bool {
    let lower = host.lowercased()
    if host.isEmpty || lower.hasPrefix("[") { return true }
    let name = lower.prefix { $0 != ":" }
    return name == "localhost" || names.contains(String(name))
      || name.allSatisfy { $0.isASCII && ($0.isNumber || $0 == ".") }
  }
}
