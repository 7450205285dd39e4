import VLMTensor

/// How the turns of a conversation become one text for a model.
///
/// Two kinds: the modes of LLaVA's `conv_templates`, and the chat templates that Hugging Face
/// repositories carry, recognised by their text.
package struct ConversationTemplate: Sendable, Equatable {
  /// The frame around the messages.
  package enum Style: Sendable, Equatable {
    /// `system###Human: question###Assistant: answer###`
    case single(separator: String)
    /// `system USER: question ASSISTANT: answer</s>USER: …`
    case two(separator: String, end: String)
    /// `system<|im_end|><|im_start|>user\nquestion<|im_end|>…`, roles with their own line break.
    case marked(separator: String)
    /// `[INST] <<SYS>>…<</SYS>>\n\nquestion [/INST] answer </s><s>[INST] …`
    case llama2(begin: String, end: String, alwaysWrapsSystem: Bool)
    /// The messages alone, each with a line break.
    case plain(separator: String)
    /// Each message between marks of its own: what chat templates do.
    case blocks(Blocks)
  }

  /// A chat template as strings.
  package struct Blocks: Sendable, Equatable {
    /// Where the system message stands.
    package enum SystemPlace: Sendable, Equatable {
      case ownBlock, firstQuestion, lastQuestion
      /// In a block that is there even when it says nothing.
      case alwaysOwnBlock
    }

    package var systemPrefix = ""
    package var systemSuffix = ""
    package var systemPlace = SystemPlace.ownBlock
    package var userPrefix = ""
    package var userSuffix = ""
    package var assistantPrefix = ""
    /// Behind the prefix of an answer that is there.
    package var answerPrefix = ""
    /// Behind the prefix of one that is to be written.
    package var answerOpening = ""
    package var assistantSuffix = ""
    package var trims = false
    package var trimsAnswers = false
    /// Of an answer that holds this, only what follows it is told to the model again.
    package var thoughtsEnd = ""
  }

  package enum Role: Sendable, Equatable { case user, assistant }

  package struct Turn: Sendable, Equatable {
    package let role: Role
    /// Nil: the answer that is to be written. An empty text counts as none, as with the reference.
    package let text: String?

    package init(_ role: Role, _ text: String?) {
      self.role = role
      self.text = text
    }
  }

  /// The name it has in `conv_templates`, or that of the chat template's family.
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
  package func prompt(_ turns: [Turn], system: String? = nil) -> String {
    let system = system ?? self.system
    let all = examples + turns
    switch style {
    case .single(let separator):
      return named(all, system + separator) { _ in separator }
    case .two(let separator, let end):
      return named(all, system + separator) { $0 % 2 == 0 ? separator : end }
    case .marked(let separator):
      return all.reduce(system + separator) { text, turn in
        text + role(turn) + (message(turn).map { $0 + separator } ?? "")
      }
    case .plain(let separator):
      return all.reduce(system) { $0 + (message($1).map { $0 + separator } ?? "") }
    case .llama2(let begin, let end, let always):
      return llama2(all, system, begin, end, always)
    case .blocks(let blocks): return blocks.text(all, system)
    }
  }

  private func role(_ turn: Turn) -> String { turn.role == .user ? userRole : assistantRole }

  private func message(_ turn: Turn) -> String? { turn.text.flatMap { $0.isEmpty ? nil : $0 } }

  private func named(
    _ turns: [Turn], _ start: String, separator: (Int) -> String
  ) -> String {
    var text = start
    for (index, turn) in turns.enumerated() {
      text += role(turn) + ":"
      if let message = message(turn) { text += " " + message + separator(index) }
    }
    return text
  }

  private func llama2(
    _ turns: [Turn], _ system: String, _ begin: String, _ end: String, _ always: Bool
  ) -> String {
    var text = ""
    for (index, turn) in turns.enumerated() {
      guard var message = message(turn) else { continue }
      if index == 0, always || !system.isEmpty {
        message = "<<SYS>>\n" + system + "\n<</SYS>>\n\n" + message
      }
      text += index % 2 == 0 ? begin + "[INST] " + message + " [/INST]" : " \(message) " + end
    }
    // The reference strips the characters of `begin`, not the string.
    return String(text.drop { begin.contains($0) })
  }
}

extension ConversationTemplate.Blocks {
  func text(_ turns: [ConversationTemplate.Turn], _ system: String) -> String {
    func trimmed(_ text: String) -> String { trims ? text.trimmingSpaces() : text }
    var text = ""
    var block = system.isEmpty ? "" : systemPrefix + trimmed(system) + systemSuffix
    if systemPlace == .alwaysOwnBlock, system.isEmpty { block = systemPrefix + systemSuffix }
    let holder: Int?
    switch systemPlace {
    case .ownBlock, .alwaysOwnBlock:
      holder = nil
      text = block
    case .firstQuestion: holder = turns.firstIndex { $0.role == .user }
    case .lastQuestion: holder = turns.lastIndex { $0.role == .user }
    }
    for (index, turn) in turns.enumerated() {
      switch turn.role {
      case .user:
        text += userPrefix + (index == holder ? block : "") + trimmed(turn.text ?? "") + userSuffix
      case .assistant:
        text += assistantPrefix
        guard let answer = turn.text else {
          text += answerOpening
          continue
        }
        let told = trimmed(withoutThoughts(answer))
        text += answerPrefix + (trimsAnswers ? told.trimmingSpaces() : told) + assistantSuffix
      }
    }
    return text
  }

  private func withoutThoughts(_ answer: String) -> String {
    guard !thoughtsEnd.isEmpty else { return answer }
    var rest = answer[...]
    while let range = rest.firstRange(of: thoughtsEnd) { rest = rest[range.upperBound...] }
    return String(rest)
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
