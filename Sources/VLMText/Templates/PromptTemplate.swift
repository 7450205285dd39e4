/// Formats a conversation as one prompt: with a LLaVA mode, or with a chat template.
package protocol PromptTemplate: Sendable {
  typealias Turn = ConversationTemplate.Turn

  var name: String { get }
  /// How the text around an image is tokenized.
  var tokenization: ImagePrompt.Tokenization { get }
  /// Whether BOS is prepended to prompts without it if the tokenizer says so.
  var addsBOS: Bool { get }

  /// Formats a conversation.
  ///
  /// - Parameters:
  ///   - turns: question, answer, question …; the last one is an answer without text, which the
  ///     model is to write.
  ///   - system: replaces the default system message.
  ///   - parsesImages: whether `<image>` in a question is a placeholder for an image.
  /// - Throws: `TextError` if a template fails.
  func prompt(
    _ turns: [Turn], system: String?, parsesImages: Bool
  ) throws(TextError) -> PromptText

  /// A stop string, in addition to the model's end token.
  func endOfAnswer(_ tokenizer: Tokenizer) -> String?
  /// An answer as later prompts repeat it.
  func historyText(of answer: String) -> String
}

extension PromptTemplate {
  /// The `bos` argument for encoding a prompt: false for no BOS, nil for the tokenizer's own
  /// setting.
  package func bos(_ prompt: PromptText, _ tokenizer: Tokenizer) -> Bool? {
    guard addsBOS else { return false }
    guard let piece = tokenizer.bos.flatMap({ tokenizer.piece($0) }), !piece.isEmpty else {
      return nil
    }
    let isWritten =
      prompt.bytes.starts(with: piece.utf8)
      && (prompt.messageRanges.first.map { $0.lowerBound >= piece.utf8.count } ?? true)
    return isWritten ? false : nil
  }
}

extension ConversationTemplate: PromptTemplate {
  package var tokenization: ImagePrompt.Tokenization { .perPart }
  package var addsBOS: Bool { true }
  package func endOfAnswer(_ tokenizer: Tokenizer) -> String? { stop }
  /// The reference strips the model's answers.
  package func historyText(of answer: String) -> String { answer.trimmingSpaces() }
}
