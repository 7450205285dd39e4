import VLMTensor

/// The section `chat template` of a container.
///
/// `{"template": NAME}`, with `"system"` where the model has its own, and `"text"`, the Jinja
/// template it was recognised by, so that a later build may do better.
extension ConversationTemplate {
  package func json(text: String? = nil) -> JSONValue {
    var object = JSONObject()
    object.set("template", .string(name))
    if let known = Self.named(name), known.system != system {
      object.set("system", .string(system))
    }
    if let text { object.set("text", .string(text)) }
    return .object(object)
  }

  /// The section of a template that was not recognised: its text alone.
  package static func unrecognisedJSON(text: String) -> JSONValue { ["text": .string(text)] }

  /// The template that a section names; nil where only a text is there that this build does not
  /// recognise either.
  ///
  /// - Throws: `TextError` for a name that this build does not know.
  package init?(json: JSONValue, file: String) throws(TextError) {
    let text = json["text"]?.stringValue
    guard let name = json["template"]?.stringValue else {
      guard let text, let found = Self.recognise(chatTemplate: text) else { return nil }
      self = found
      return
    }
    guard let known = Self.named(name) else {
      throw TextError(
        file: file, place: "chat template",
        .value(found: "'\(name)'", expected: "one of \(Self.names.joined(separator: ", "))"))
    }
    self = ConversationTemplate(
      name: name, style: known.style, system: json["system"]?.stringValue ?? known.system,
      userRole: known.userRole, assistantRole: known.assistantRole, examples: known.examples,
      stop: known.stop)
  }
}
