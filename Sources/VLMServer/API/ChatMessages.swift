import VLMFoundation
import VLMZ

/// The messages of a chat, as the engine takes them.
struct ChatMessages {
  private let limits: ServerLimits
  private var messages: [GenerationRequest.Message] = []
  private var budget: PictureBudget
  /// Frames a second of films whose parts do not say it; nil for what is usual.
  private let frameRate: Double?
  /// Whether the last message is the result of a call, which the next result joins.
  private var isResult = false
  /// Whether the last message ends with a call, behind which there is nothing to go on with.
  private var isCall = false

  init(limits: ServerLimits, frameRate: Double? = nil) {
    self.limits = limits
    self.frameRate = frameRate
    budget = PictureBudget(limits)
  }

  /// Adds a message of a chat, or an item of the type "message".
  ///
  /// - Parameter ignored: members of it that say nothing, beside a chat's.
  mutating func add(_ fields: Fields, ignored: Set<String> = []) throws(APIError) {
    if try fields.string("role") == "tool" { return try addResult(fields) }
    isResult = false
    try fields.refuseOthers(
      known: ["role", "content", "tool_calls"],
      ignored: ignored.union(["name", "refusal", "annotations", "audio"]))
    let role = try role(fields)
    var (text, pictures): (String, [GenerationRequest.Picture]) = ("", [])
    switch fields["content"] {
    case nil:
      guard role == .assistant else {
        throw .invalid(fields.name("content"), found: "none", expected: "a string or an array")
      }
    case .string(let content)?: text = content
    case .array(let parts)?: (text, pictures) = try content(parts, at: fields.name("content"))
    case let other?:
      throw fields.invalid("content", other, expected: "a string or an array of parts")
    }
    guard pictures.isEmpty || role == .user else {
      throw .invalid(
        fields.name("content"), found: "a picture of the role '\(role.rawValue)'",
        expected: "pictures of the role 'user'")
    }
    messages.append(GenerationRequest.Message(role, text, pictures: pictures))
    isCall = false
    for call in try calls(fields) {
      guard role == .assistant else {
        throw .invalid(
          fields.name("tool_calls"), found: "calls of the role '\(role.rawValue)'",
          expected: "calls of the role 'assistant'")
      }
      add(call)
    }
  }

  /// Adds what the model is told first.
  mutating func addSystem(_ text: String) {
    messages.append(GenerationRequest.Message(.system, text))
  }

  /// Adds a question.
  mutating func addUser(_ text: String) {
    messages.append(GenerationRequest.Message(.user, text))
    (isResult, isCall) = (false, false)
  }

  /// Adds a call to the answer that asked for it.
  mutating func add(_ call: ToolUse.Call) {
    if messages.last?.role != .assistant {
      messages.append(GenerationRequest.Message(.assistant, ""))
    }
    let place = messages.count - 1
    messages[place].text += (messages[place].text.isEmpty ? "" : "\n") + ToolUse.text(of: call)
    (isCall, isResult) = (true, false)
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

  private mutating func addResult(_ fields: Fields) throws(APIError) {
    try fields.refuseOthers(known: ["role", "content"], ignored: ["name", "tool_call_id"])
    try addResult(fields, "content", kind: "role")
  }

  /// Adds what a call gave. Results of one answer's calls are one message, as templates have it.
  ///
  /// - Parameters:
  ///   - key: the member with the result, a text or parts of one.
  ///   - kind: the member that says that this is a result.
  mutating func addResult(_ fields: Fields, _ key: String, kind: String) throws(APIError) {
    guard let last = messages.last, isResult || last.role == .assistant else {
      throw .invalid(
        fields.name(kind), found: "a result without a call before it",
        expected: "a message of the role 'assistant' before it")
    }
    var text = ""
    switch fields[key] {
    case .string(let content)?: text = content
    case .array(let parts)?:
      let (said, pictures) = try content(parts, at: fields.name(key))
      guard pictures.isEmpty else {
        throw .invalid(
          fields.name(key), found: "a picture in a call's result",
          expected: "pictures of the role 'user'")
      }
      text = said
    case nil: break
    case let other?:
      throw fields.invalid(key, other, expected: "a string or an array of parts")
    }
    let result = ToolUse.text(ofResult: text)
    if isResult {
      messages[messages.count - 1].text += "\n" + result
    } else {
      messages.append(GenerationRequest.Message(.user, result))
    }
    (isResult, isCall) = (true, false)
  }

  /// What a person should know of the pictures, one line each.
  var notes: [String] { budget.notes }

  /// Whether the last message is the beginning of the answer.
  var isBegun: Bool { messages.last?.role == .assistant }

  /// - Parameters:
  ///   - tools: what the model is told of behind the first system message.
  ///   - list: the request's name for the messages.
  /// - Throws: `APIError` where there is nothing to answer or to go on with.
  func finish(
    tools: ToolUse?, list: String = "messages"
  ) throws(APIError) -> [GenerationRequest.Message] {
    guard let last = messages.last, last.role != .system,
      messages.contains(where: { $0.role == .user })
    else {
      throw .invalid(
        list, found: messages.isEmpty ? "none" : "nothing that a user says last",
        expected: "the role 'user' last, or behind it 'assistant' with the beginning of the answer")
    }
    guard !isCall else {
      throw .invalid(list, found: "a call last", expected: "its result behind it")
    }
    guard let tools else { return messages }
    guard !isBegun || !tools.isRequired else {
      throw .invalid(
        "tool_choice", found: "a call that is required, and the beginning of an answer",
        expected: "one of them")
    }
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

  /// Texts and pictures in one message, by the names that either of OpenAI's APIs has for them.
  ///
  /// Pictures that stand all in front or all behind come before the text, as models are trained;
  /// between texts each stays where it is.
  private mutating func content(
    _ parts: [JSONValue], at place: String
  ) throws(APIError) -> (String, [GenerationRequest.Picture]) {
    var pieces: [String?] = []
    var pictures: [GenerationRequest.Picture] = []
    for (index, part) in parts.enumerated() {
      let fields = try Fields(part, at: "\(place)[\(index)]")
      switch try fields.string("type") {
      case "text", "input_text", "output_text":
        try fields.refuseOthers(
          known: ["type", "text"], ignored: ["cache_control", "annotations", "logprobs"])
        guard let text = try fields.string("text") else {
          throw .invalid(fields.name("text"), found: "none", expected: "a string")
        }
        pieces.append(text)
      case "refusal": pieces.append(try fields.string("refusal") ?? "")
      case "image_url", "input_image":
        pictures.append(.image(try picture(fields)))
        pieces.append(nil)
      case "video_url"?, "input_video"?, "video"?:
        pictures.append(.film(try film(fields)))
        pieces.append(nil)
      case let other:
        throw .invalid(
          fields.name("type"), found: other.map { "'\($0)'" } ?? "none",
          expected: "text, image_url or video_url, or else input_text or input_image")
      }
    }
    return (Self.joined(pieces), pictures)
  }

  private mutating func picture(_ fields: Fields) throws(APIError) -> Image {
    try fields.refuseOthers(known: ["type", "image_url"], ignored: ["cache_control", "detail"])
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

  /// A film, in vLLM's form (`video_url`), in llama.cpp's (`input_video`), or in Qwen's (`video`, which may
  /// be an array of frames).
  private mutating func film(_ fields: Fields) throws(APIError) -> Film {
    let key = try fields.string("type") ?? "video_url"
    try fields.refuseOthers(known: ["type", key, "fps"], ignored: ["cache_control"])
    let place = fields.name(key)
    var rate = try fields.number("fps", Self.rates) ?? frameRate
    let film: Film
    switch fields[key] {
    case .string(let text)?:
      film = try DataURI.film(text, rate: rate, parameter: place, limits: limits)
    case .array(let uris)? where key == "video":
      guard uris.count <= limits.frames else {
        throw .invalid(
          place, found: "\(uris.count) frames", expected: "at most \(limits.frames) in a request")
      }
      var frames: [Image] = []
      for (index, uri) in uris.enumerated() {
        let name = "\(place)[\(index)]"
        guard let text = uri.stringValue else {
          throw .invalid(name, found: Fields.shown(uri), expected: "a data URI")
        }
        frames.append(try DataURI.image(text, parameter: name, limits: limits))
      }
      film = try DataURI.film(frames, rate: rate, parameter: place)
    case let value?:
      let inner = try Fields(value, at: place)
      let names: Set<String> = key == "input_video" ? ["url", "data", "fps"] : ["url", "fps"]
      try inner.refuseOthers(known: names)
      rate = try inner.number("fps", Self.rates) ?? rate
      var uri = try inner.string("url")
      if key == "input_video", let data = try inner.string("data") {
        uri = DataURI.isOne(data) ? data : "data:video/unknown;base64," + data
      }
      guard let uri else {
        throw .invalid("\(place).url", found: "none", expected: "a data URI")
      }
      film = try DataURI.film(uri, rate: rate, parameter: place, limits: limits)
    case nil: throw .invalid(place, found: "none", expected: "an object with 'url'")
    }
    try budget.take(film, at: place)
    return film
  }

  /// Frames a second.
  static let rates = 0.001...1000.0

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
