import VLMFoundation
import VLMZ

/// The messages of a chat, as the engine takes them.
struct ChatMessages {
  private let limits: ServerLimits
  private var messages: [GenerationRequest.Message] = []
  private var budget: PictureBudget
  /// Whether the last message is the result of a call, which the next result joins.
  private var isResult = false

  init(limits: ServerLimits) {
    self.limits = limits
    budget = PictureBudget(limits)
  }

  mutating func add(_ fields: Fields) throws(APIError) {
    if try fields.string("role") == "tool" { return try addResult(fields) }
    isResult = false
    try fields.refuseOthers(
      known: ["role", "content", "tool_calls"],
      ignored: ["name", "refusal", "annotations", "audio"])
    let role = try role(fields)
    var (text, pictures): (String, [GenerationRequest.Picture]) = ("", [])
    switch fields["content"] {
    case nil:
      guard role == .assistant else {
        throw .invalid(fields.name("content"), found: "none", expected: "a string or an array")
      }
    case .string(let content)?: text = content
    case .array(let parts)?: (text, pictures) = try content(parts, fields)
    case let other?:
      throw fields.invalid("content", other, expected: "a string or an array of parts")
    }
    guard pictures.isEmpty || role == .user else {
      throw .invalid(
        fields.name("content"), found: "a picture of the role '\(role.rawValue)'",
        expected: "pictures of the role 'user'")
    }
    for call in try calls(fields) {
      guard role == .assistant else {
        throw .invalid(
          fields.name("tool_calls"), found: "calls of the role '\(role.rawValue)'",
          expected: "calls of the role 'assistant'")
      }
      text += (text.isEmpty ? "" : "\n") + ToolUse.text(of: call)
    }
    messages.append(GenerationRequest.Message(role, text, pictures: pictures))
  }

  /// The calls that an earlier answer asked for.
  private func calls(_ message: Fields) throws(APIError) -> [ToolUse.Call] {
    var calls: [ToolUse.Call] = []
    for (index, value) in (try message.array("tool_calls", atMost: 128) ?? []).enumerated() {
      let fields = try Fields(value, at: "\(message.name("tool_calls"))[\(index)]")
      guard let function = fields["function"] else {
        throw .invalid(fields.name("function"), found: "none", expected: "an object")
      }
      let inner = try Fields(function, at: fields.name("function"))
      guard let name = try inner.string("name") else {
        throw .invalid(inner.name("name"), found: "none", expected: "a string")
      }
      calls.append(
        ToolUse.Call(name: name, arguments: try inner.string("arguments") ?? "{}"))
    }
    return calls
  }

  /// What a call gave. Results of one answer's calls are one message, as templates have it.
  private mutating func addResult(_ fields: Fields) throws(APIError) {
    try fields.refuseOthers(known: ["role", "content"], ignored: ["name", "tool_call_id"])
    guard let last = messages.last, isResult || last.role == .assistant else {
      throw .invalid(
        fields.name("role"), found: "'tool' without a call before it",
        expected: "the role 'assistant' before it")
    }
    var text = ""
    switch fields["content"] {
    case .string(let content)?: text = content
    case .array(let parts)?:
      let (said, pictures) = try content(parts, fields)
      guard pictures.isEmpty else {
        throw .invalid(
          fields.name("content"), found: "a picture of the role 'tool'",
          expected: "pictures of the role 'user'")
      }
      text = said
    case nil: break
    case let other?:
      throw fields.invalid("content", other, expected: "a string or an array of parts")
    }
    let result = ToolUse.text(ofResult: text)
    if isResult {
      messages[messages.count - 1].text += "\n" + result
    } else {
      messages.append(GenerationRequest.Message(.user, result))
    }
    isResult = true
  }

  /// - Parameter tools: what the model is told of behind the first system message.
  /// - Throws: `APIError` where the last message is no user's.
  func finish(tools: ToolUse?) throws(APIError) -> [GenerationRequest.Message] {
    guard let last = messages.last, last.role == .user else {
      throw .invalid(
        "messages", found: "the role '\(messages.last?.role.rawValue ?? "")' last",
        expected: "the role 'user' last: an answer that is begun is not gone on with here, and "
          + "completions do so with a text")
    }
    guard let tools else { return messages }
    var messages = messages
    if messages.first?.role == .system {
      messages[0].text += "\n\n" + tools.instructions
    } else {
      messages.insert(GenerationRequest.Message(.system, tools.instructions), at: 0)
    }
    return messages
  }

  private func role(_ fields: Fields) throws(APIError) -> GenerationRequest.Role {
    switch try fields.string("role") {
    case "system", "developer": return .system
    case "user": return .user
    case "assistant": return .assistant
    case "function":
      throw .unsupported(fields.name("role"), "found 'function', expected the newer 'tool'")
    case let other:
      throw .invalid(
        fields.name("role"), found: other.map { "'\($0)'" } ?? "none",
        expected: "system, developer, user, assistant or tool")
    }
  }

  // MARK: - Parts

  /// Texts and pictures in one message.
  ///
  /// Pictures that stand all in front or all behind come before the text, as models are trained;
  /// between texts each stays where it is.
  private mutating func content(
    _ parts: [JSONValue], _ message: Fields
  ) throws(APIError) -> (String, [GenerationRequest.Picture]) {
    var pieces: [String?] = []
    var pictures: [GenerationRequest.Picture] = []
    for (index, part) in parts.enumerated() {
      let fields = try Fields(part, at: "\(message.name("content"))[\(index)]")
      switch try fields.string("type") {
      case "text":
        try fields.refuseOthers(known: ["type", "text"], ignored: ["cache_control"])
        guard let text = try fields.string("text") else {
          throw .invalid(fields.name("text"), found: "none", expected: "a string")
        }
        pieces.append(text)
      case "image_url":
        pictures.append(.image(try picture(fields)))
        pieces.append(nil)
      case let other:
        throw .invalid(
          fields.name("type"), found: other.map { "'\($0)'" } ?? "none",
          expected: "text or image_url")
      }
    }
    return (Self.joined(pieces), pictures)
  }

  private mutating func picture(_ fields: Fields) throws(APIError) -> Image {
    try fields.refuseOthers(known: ["type", "image_url"], ignored: ["cache_control"])
    let place = fields.name("image_url")
    let uri: String
    switch fields["image_url"] {
    case .string(let text)?: uri = text
    case let value?:
      let inner = try Fields(value, at: place)
      // What detail means is the provider's; a model here has one size.
      try inner.refuseOthers(known: ["url"], ignored: ["detail"])
      guard let text = try inner.string("url") else {
        throw .invalid("\(place).url", found: "none", expected: "a data URI")
      }
      uri = text
    case nil: throw .invalid(place, found: "none", expected: "an object with 'url'")
    }
    let image = try DataURI.image(uri, parameter: place, limits: limits)
    try budget.take(image, at: place)
    return image
  }

  /// - Parameter pieces: texts, and nil for pictures.
  static func joined(_ pieces: [String?]) -> String {
    let texts = pieces.compactMap { $0 }
    let first = pieces.firstIndex { $0 != nil } ?? 0
    let last = pieces.lastIndex { $0 != nil } ?? 0
    let isBetween = pieces.indices.contains { first < $0 && $0 < last && pieces[$0] == nil }
    guard isBetween else { return texts.joined(separator: "\n") }
    return pieces.map { $0 ?? "<image>" }.joined(separator: "\n")
  }
}
