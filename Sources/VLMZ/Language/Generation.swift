import VLMFoundation

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

  package init(
    sampling: SamplingOptions = .greedy, maximumTokens: Int = 512, stopTokens: Set<Int>? = nil,
    stopStrings: [String] = [], continuesPrompt: Bool = false
  ) {
    self.sampling = sampling
    self.maximumTokens = maximumTokens
    self.stopTokens = stopTokens
    self.stopStrings = stopStrings
    self.continuesPrompt = continuesPrompt
  }
}

/// What came of it.
package struct Generation: Sendable {
  package enum Ending: String, Sendable {
    /// A token that ends the text.
    case stopToken = "stop token"
    case stopString = "stop string"
    /// As many tokens as were asked for.
    case length
    /// The context is full.
    case context
    case cancelled
  }

  /// The tokens that were generated, without the one that ended the text.
  package var tokens: [Int] = []
  /// Their text, without a stop string.
  package var text = ""
  package var ending = Ending.length
  package var timings = Timings()

  package struct Timings: Sendable, Equatable {
    /// Positions of the prompt that were run, and those that the context still held.
    package var promptTokens = 0
    package var reusedTokens = 0
    package var promptSeconds = 0.0
    /// Passes over the weights for one token each; the first token comes with the prompt.
    package var steps = 0
    package var stepSeconds = 0.0

    package var promptTokensPerSecond: Double {
      promptSeconds > 0 ? Double(promptTokens) / promptSeconds : 0
    }
    package var tokensPerSecond: Double { stepSeconds > 0 ? Double(steps) / stepSeconds : 0 }
  }
}

/// A token with the logits that it was chosen from.
package struct GenerationStep: Sendable {
  package let token: Int
  /// `[vocabulary]`, as the model gave them.
  package let logits: [Float]
}
