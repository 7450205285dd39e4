/// A mode of LLaVA's `conv_templates`: formats a conversation as one text for models trained with
/// LLaVA's own code. Other models come with a `ChatTemplate`.
package struct ConversationTemplate: Sendable, Equatable {
  /// The format around the messages.
  package enum Style: Sendable, Equatable {
    /// `system###Human: question###Assistant: answer###`
    case single(separator: String)
    /// `system USER: question ASSISTANT: answer</s>USER: …`
    case two(separator: String, end: String)
    /// `system<|im_end|><|im_start|>user
    ///
    /// question<|im_end|>…`; role names end with a line break.
    case marked(systemRole: String, separator: String)
    /// `[INST] <<SYS>>…<</SYS>>\n\nquestion [/INST] answer </s><s>[INST] …`
    case llama2(begin: String, end: String, alwaysWrapsSystem: Bool)
    /// Only the messages, each followed by a line break.
    case plain(separator: String)
  }

  package enum Role: String, Sendable, Equatable { case user, assistant }

  package struct Turn: Sendable, Equatable {
    package let role: Role
    /// Nil for the answer that the model is to write. An empty text counts as nil, as in the
    /// reference.
    package let text: String?

    package init(_ role: Role, _ text: String?) {
      self.role = role
      self.text = text
    }
  }

  /// The name in `conv_templates`.
  package let name: String
  package let style: Style
  /// The default system message.
  package let system: String
  package let userRole: String
  package let assistantRole: String
  /// Example turns before the user's.
  package let examples: [Turn]
  /// A stop string, in addition to the model's end token.
  package let stop: String?
  /// The text after an image's `<image>` in a question.
  package static let imageSeparator = "\n"

  package init(
    name: String, style: Style, system: String, userRole: String = "", assistantRole: String = "",
    examples: [Turn] = [], stop: String? = nil
  ) {
    self.name = name
    self.style = style
    self.system = system
    self.userRole = userRole
    self.assistantRole = assistantRole
    self.examples = examples
    self.stop = stop
  }

  /// Formats a conversation.
  ///
  /// - Parameters:
  ///   - turns: question, answer, question …; the last one is an answer without text, which the
  ///     model is to write.
  ///   - system: replaces the default system message.
  ///   - parsesImages: whether `<image>` in a question is a placeholder for an image; elsewhere it
  ///     never is.
  package func prompt(
    _ turns: [Turn], system: String? = nil, parsesImages: Bool = true
  ) -> PromptText {
    var text = PromptText()
    func message(_ turn: Turn) -> PromptText? {
      guard let said = turn.text, !said.isEmpty else { return nil }
      return parsesImages && turn.role == .user
        ? .messageWithImages(said) : PromptText(said, isMessage: true)
    }
    func appendSystem() {
      if let system { text.append(system, isMessage: true) } else { text.append(self.system) }
    }
    func role(_ turn: Turn) -> String { turn.role == .user ? userRole : assistantRole }
    func appendNamed(_ separator: String, _ behind: (Int) -> String) {
      appendSystem()
      text.append(separator)
      for (index, turn) in (examples + turns).enumerated() {
        text.append(role(turn) + ":")
        guard let message = message(turn) else { continue }
        text.append(" ")
        text.append(message)
        text.append(behind(index))
      }
    }
    switch style {
    case .single(let separator): appendNamed(separator) { _ in separator }
    case .two(let separator, let end):
      appendNamed(separator) { $0 % 2 == 0 ? separator : end }
    case .marked(let systemRole, let separator):
      text.append(systemRole)
      appendSystem()
      text.append(separator)
      for turn in examples + turns {
        text.append(role(turn))
        guard let message = message(turn) else { continue }
        text.append(message)
        text.append(separator)
      }
    case .plain(let separator):
      appendSystem()
      for message in (examples + turns).compactMap({ message($0) }) {
        text.append(message)
        text.append(separator)
      }
    case .llama2(let begin, let end, let always):
      for (index, turn) in (examples + turns).enumerated() {
        guard let message = message(turn) else { continue }
        let isQuestion = index % 2 == 0
        // The reference removes the first `begin` again.
        text.append(isQuestion ? (text.isEmpty ? "" : begin) + "[INST] " : " ")
        if index == 0, always || !(system ?? self.system).isEmpty {
          text.append("<<SYS>>\n")
          appendSystem()
          text.append("\n<</SYS>>\n\n")
        }
        text.append(message)
        text.append(isQuestion ? " [/INST]" : " " + end)
      }
    }
    return text
  }
}

extension String {
  /// Without leading and trailing white space, as Python's `strip` defines it.
  package func trimmingSpaces() -> String {
    let scalars = unicodeScalars
    guard let first = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
      let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
    else { return "" }
    return String(String.UnicodeScalarView(scalars[first...last]))
  }
}
