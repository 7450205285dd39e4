import VLMText

/// What to generate, and when to stop.
package struct GenerationOptions: Sendable, Equatable {
  package var sampling: SamplingOptions
  /// Tokens at most.
  package var maximumTokens: Int
  /// Tokens that end the text and are no part of it; nil for the model's own.
  package var stopTokens: Set<Int>?
  /// Strings that end the text and are no part of it.
  package var stopStrings: [String]
  /// The text goes on where the prompt ends, so that a space it begins with is kept; an answer
  /// loses it.
  package var continuesPrompt: Bool
  /// The prompt's last token, where an answer that was begun goes on behind it; nil where it begins.
  package var begunEnd: Int?
  /// What the text must be; nil for any. It ends where nothing may follow.
  package var grammar: GrammarMatcher?
  /// Tokens that one pass may decide beside the next one, where the text repeats its prompt or itself:
  /// 0 to `Speculation.usualTokens`. It changes nothing of the text.
  package var speculatedTokens: Int

  package init(
    sampling: SamplingOptions = .greedy, maximumTokens: Int = 512, stopTokens: Set<Int>? = nil,
    stopStrings: [String] = [], continuesPrompt: Bool = false, grammar: GrammarMatcher? = nil,
    speculatedTokens: Int = Speculation.usualTokens
  ) {
    self.sampling = sampling
    self.maximumTokens = maximumTokens
    self.stopTokens = stopTokens
    self.stopStrings = stopStrings
    self.continuesPrompt = continuesPrompt
    self.grammar = grammar
    self.speculatedTokens = speculatedTokens
  }
}

/// What came of it.
package struct Generation: Sendable {
  /// The tokens that were generated, without the one that ended the text.
  package var tokens: [Int] = []
  /// Their text, without a stop string.
  package var text = ""
  package var ending = Answer.Ending.length
  package var timings = Answer.Timings()
}

/// A token with the logits that it was chosen from.
package struct GenerationStep: Sendable {
  package let token: Int
  /// `[vocabulary]`, as the model gave them.
  package let logits: [Float]
}
