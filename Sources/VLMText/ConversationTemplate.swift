/// How the turns of a conversation become one text for a model that LLaVA's own code trained: a mode
/// of its `conv_templates`. Other models bring a `ChatTemplate`.
package struct ConversationTemplate: Sendable, Equatable {
  /// The frame around the messages.
  package enum Style: Sendable, Equatable {
    /// `system###Human: question###Assistant: answer###`
    case single(separator: String)
    /// `system USER: question ASSISTANT: answer</s>USER: …`
    case two(separator: String, end: String)
    /// `system<|im_end|><|im_start|>user\nquestion<|im_end|>…`, roles with their own line break.
    case marked(systemRole: String, separator: String)
    /// `[INST] <<SYS>>…<</SYS>>\n\nquestion [/INST] answer </s><s>[INST] …`
    case llama2(begin: String, end: String, alwaysWrapsSystem: Bool)
    /// The messages alone, each with a line break.
    case plain(separator: String)
  }

  package enum Role: String, Sendable, Equatable { case user, assistant }

  package struct Turn: Sendable, Equatable {
    package let role: Role
    /// Nil: the answer that is to be written. An empty text counts as none, as with the reference.
    package let text: String?

    package init(_ role: Role, _ text: String?) {
      self.role = role
      self.text = text
    }
  }

  /// The name it has in `conv_templates`.
  package let name: String
  package let style: Style
  /// What the model is told first, unless the user says something else.
  package let system: String
  package let userRole: String
  package let assistantRole: String
  /// Turns that come before the user's.
  package let examples: [Turn]
  /// A string that ends an answer, beyond the model's own end token.
  package let stop: String?
  /// What a picture's `<image>` is followed by in a question.
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

  /// The text for a model.
  ///
  /// - Parameters:
  ///   - turns: question, answer, question …; the last one an answer without text, for the model to
  ///     write.
  ///   - system: instead of the template's own.
  ///   - marksPictures: whether `<image>` in a question stands for a picture; elsewhere it never does.
  package func prompt(
    _ turns: [Turn], system: String? = nil, marksPictures: Bool = true
  ) -> PromptText {
    var text = PromptText()
    func message(_ turn: Turn) -> PromptText? {
      guard let said = turn.text, !said.isEmpty else { return nil }
      return marksPictures && turn.role == .user
        ? .withPictures(said) : PromptText(said, isSaid: true)
    }
    func appendSystem() {
      if let system { text.append(system, isSaid: true) } else { text.append(self.system) }
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
        // The reference strips the first `begin` off again.
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
  /// Without white space at either end, as Python's and Jinja's `strip`.
  package func trimmingSpaces() -> String {
    let scalars = unicodeScalars
    guard let first = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
      let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
    else { return "" }
    return String(String.UnicodeScalarView(scalars[first...last]))
  }
}
