import Synchronization
import VLMFoundation
import VLMText

/// The frame of an engine's prompts, and those with variables that requests give their template.
final class PromptFrames: Sendable {
  /// The frame with the engine's own variables.
  let own: PromptFrame
  private let model: Model
  private let template: Conversation.Template
  private let arguments: JSONObject
  /// The one that was used last at the end.
  private let kept = Mutex<[(key: String, frame: PromptFrame)]>([])

  private static let keptCount = 8
  /// Bytes of a request's variables at most.
  private static let maximumBytes = 1 << 16

  /// - Throws: `VLMZError` or an error of the modules below for a template that cannot be had.
  init(
    _ model: Model, _ language: LanguageModel, _ template: Conversation.Template,
    arguments: JSONObject, contextLength: Int
  ) throws {
    self.model = model
    self.template = template
    self.arguments = arguments
    let choice = try TemplateChoice(model, language, arguments: arguments)
    own = try PromptFrame(
      model, template: try Conversation.template(template, choice), contextLength: contextLength)
  }

  /// The frame with further variables.
  ///
  /// - Parameter text: a JSON object; nil for none.
  /// - Throws: `VLMZError` with `.invalidArgument` for anything else, or for variables that are the
  ///   conversation's own.
  func with(_ text: String?) throws -> PromptFrame {
    guard let text else { return own }
    try VLMZError.require(
      text.utf8.count <= Self.maximumBytes, "template arguments", found: "\(text.utf8.count) bytes",
      expected: "at most \(Self.maximumBytes)")
    let found = kept.withLock { list -> PromptFrame? in
      guard let place = list.firstIndex(where: { $0.key == text }) else { return nil }
      let entry = list.remove(at: place)
      list.append(entry)
      return entry.frame
    }
    if let found { return found }
    var options = Conversation.Options()
    options.templateArguments = text
    var all = arguments
    for member in try options.arguments().members { all.set(member.key, member.value) }
    let choice = try TemplateChoice(model, own.language, arguments: all)
    let made = try PromptFrame(
      model, template: try Conversation.template(template, choice),
      contextLength: own.contextLength)
    kept.withLock { list in
      if list.count >= Self.keptCount { list.removeFirst() }
      list.append((text, made))
    }
    return made
  }
}
