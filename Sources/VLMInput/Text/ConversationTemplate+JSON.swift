import VLMTensor

/// The section `chat template` of a container.
///
/// `{"template": NAME}`, with `"system"` where the model has its own, and `"source"`, the
/// Jinja template it was recognised by, so that a later build may do better.
extension ConversationTemplate {
  package func json(source: String? = nil) -> JSONValue {
    var object = JSONObject()
    object.set("template", .string(name))
    if let known = Self.named(name), known.system != system {
      object.set("system", .string(system))
    }
    if let source { object.set("source", .string(source)) }
    return .object(object)
  }

  /// The template that a section names; nil where only a source is there that this build does not
  /// recognise either.
  ///
  /// - Throws: `TextError` for a name that this build does not know.
  package init?(json: JSONValue, file: String) throws(TextError) {
    let source = json["source"]?.stringValue
    guard let name = json["template"]?.stringValue else {
      guard let source, let found = Self.recognise(chatTemplate: source) else { return nil }
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
