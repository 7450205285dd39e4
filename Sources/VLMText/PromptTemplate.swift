/// How the turns of a conversation become one text for a model: a mode of LLaVA's, or a chat template.
package protocol PromptTemplate: Sendable {
  typealias Turn = ConversationTemplate.Turn

  var name: String { get }
  /// What becomes of the text around a picture.
  var manner: ImagePrompt.Manner { get }
  /// Whether a text that does not begin with BOS gets one where the tokenizer's file says so.
  var addsBOS: Bool { get }

  /// The text for a model.
  ///
  /// - Parameters:
  ///   - turns: question, answer, question …; the last one an answer without text, for the model to
  ///     write.
  ///   - system: what the model is told first, instead of the template's own.
  ///   - marksPictures: whether `<image>` in a question stands for a picture.
  /// - Throws: `TextError` where a template fails.
  func prompt(
    _ turns: [Turn], system: String?, marksPictures: Bool
  ) throws(TextError) -> PromptText

  /// A text that ends an answer, beyond the model's own end token.
  func endOfAnswer(_ tokenizer: Tokenizer) -> String?
  /// An answer as it is told to the model again.
  func retold(_ answer: String) -> String
}

extension PromptTemplate {
  /// What of a tokenizer's rule about BOS holds for a prompt: false for no BOS, nil for its own rule.
  package func bos(_ prompt: PromptText, _ tokenizer: Tokenizer) -> Bool? {
    guard addsBOS else { return false }
    guard let piece = tokenizer.bos.flatMap({ tokenizer.piece($0) }), !piece.isEmpty else {
      return nil
    }
    let isWritten =
      prompt.bytes.starts(with: piece.utf8)
      && (prompt.said.first.map { $0.lowerBound >= piece.utf8.count } ?? true)
    return isWritten ? false : nil
  }
}

extension ConversationTemplate: PromptTemplate {
  package var manner: ImagePrompt.Manner { .stretches }
  package var addsBOS: Bool { true }
  package func endOfAnswer(_ tokenizer: Tokenizer) -> String? { stop }
  /// Upstream strips what the model wrote.
  package func retold(_ answer: String) -> String { answer.trimmingSpaces() }
}
