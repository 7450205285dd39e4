import VLMFoundation

extension ToolUse {
  /// An answer, read.
  struct Reply: Sendable, Equatable {
    /// What is said beside the calls.
    var content: String
    /// In the order of the answer.
    var calls: [Call] = []
    /// Whether the last call ends before its end, as the answer did.
    var isCut = false

    /// Why the answer ended, as the API tells it; `reason` is why the engine ended it.
    func reason(_ reason: String) -> String { calls.isEmpty || isCut ? reason : "tool_calls" }
  }

  private static let opening = "<tool_call>"
  private static let closing = "</tool_call>"

  /// The calls in an answer's text. What cannot be read as a call of a known function stays text.
  func reply(_ text: String) -> Reply {
    // Under a schema, and of models whose marks are special tokens, it is the call alone.
    if let call = call(text) { return Reply(content: "", calls: [call]) }
    if isRequired {
      return Reply(content: "", calls: beginning(text).map { [$0] } ?? [], isCut: true)
    }
    var reply = Reply(content: "")
    var rest = text[...]
    while let start = rest.firstRange(of: Self.opening) {
      let inside = rest[start.upperBound...]
      let end = inside.firstRange(of: Self.closing)
      guard let call = call(String(inside[..<(end?.lowerBound ?? inside.endIndex)])) else {
        reply.content += rest[..<start.upperBound]
        rest = inside
        continue
      }
      reply.content += rest[..<start.lowerBound]
      reply.calls.append(call)
      rest = end.map { inside[$0.upperBound...] } ?? ""
    }
    reply.content += rest
    if !isParallel { reply.calls = Array(reply.calls.prefix(1)) }
    if !reply.calls.isEmpty { reply.content = reply.content.withoutOuterSpace }
    return reply
  }

  /// The call that `text` is the beginning of, with its arguments as far as they came; nil where it may
  /// be one of several functions. The schema of `format` puts the name first.
  private func beginning(_ text: String) -> Call? {
    var rest = text[...]
    func take(_ part: String) -> Bool {
      rest = rest.drop(while: \.isWhitespace)
      guard rest.hasPrefix(part) else { return false }
      rest = rest.dropFirst(part.count)
      return true
    }
    guard take("{"), take("\"name\""), take(":"), take("\""),
      let end = rest.firstIndex(of: "\"")
    else { return functions.count == 1 ? Call(name: functions[0].name, arguments: "") : nil }
    let name = String(rest[..<end])
    guard functions.contains(where: { $0.name == name }) else { return nil }
    rest = rest[end...].dropFirst()
    guard take(","), take("\"arguments\""), take(":") else {
      return Call(name: name, arguments: "")
    }
    return Call(name: name, arguments: String(rest.drop(while: \.isWhitespace)))
  }

  /// `{"name": …, "arguments": {…}}`; Llama's models write `parameters`.
  private func call(_ text: String) -> Call? {
    let text = text.withoutOuterSpace
    guard text.hasPrefix("{"), let object = (try? JSONValue.parse(text))?.objectValue,
      let name = object["name"]?.stringValue, functions.contains(where: { $0.name == name })
    else { return nil }
    switch object["arguments"] ?? object["parameters"] {
    case .string(let arguments)?: return Call(name: name, arguments: arguments)
    case .object(let arguments)?:
      return Call(name: name, arguments: JSONValue.object(arguments).serialized())
    case nil: return Call(name: name, arguments: "{}")
    default: return nil
    }
  }
}

extension StringProtocol {
  fileprivate var withoutOuterSpace: String {
    let front = drop(while: \.isWhitespace)
    let end = front.lastIndex { !$0.isWhitespace }
    return end.map { String(front[...$0]) } ?? ""
  }

  /// The first place of a text, byte by byte.
  fileprivate func firstRange(of part: String) -> Range<Index>? {
    var start = startIndex
    while let found = self[start...].firstIndex(where: { $0 == part.first }) {
      if self[found...].hasPrefix(part) {
        return found..<index(found, offsetBy: part.count)
      }
      start = index(after: found)
    }
    return nil
  }
}
