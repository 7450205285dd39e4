import VLMFoundation
import VLMZ

/// The messages of a chat, as the engine takes them.
struct ChatMessages {
  private let limits: ServerLimits
  private var messages: [GenerationRequest.Message] = []
  private var budget: PictureBudget

  init(limits: ServerLimits) {
    self.limits = limits
    budget = PictureBudget(limits)
  }

  mutating func add(_ fields: Fields) throws(APIError) {
    try fields.refuseOthers(
      known: ["role", "content"], ignored: ["name", "refusal", "annotations", "audio"],
      neutral: ["tool_calls": [[]]])
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
    messages.append(GenerationRequest.Message(role, text, pictures: pictures))
  }

  /// - Throws: `APIError` where the last message is no user's.
  func finish() throws(APIError) -> [GenerationRequest.Message] {
    guard let last = messages.last, last.role == .user else {
      throw .invalid(
        "messages", found: "the role '\(messages.last?.role.rawValue ?? "")' last",
        expected: "the role 'user' last")
    }
    return messages
  }

  private func role(_ fields: Fields) throws(APIError) -> GenerationRequest.Role {
    switch try fields.string("role") {
    case "system", "developer": return .system
    case "user": return .user
    case "assistant": return .assistant
    case "tool", "function":
      throw .unsupported(fields.name("role"), "this server calls no tools")
    case let other:
      throw .invalid(
        fields.name("role"), found: other.map { "'\($0)'" } ?? "none",
        expected: "system, developer, user or assistant")
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
