/// How the next token is chosen from logits. Meaning and order of the steps are transformers':
/// repeat penalty, temperature, top-k, top-p, min-p. Biases, presence and frequency penalties are
/// OpenAI's, and come before the temperature.
package struct SamplingOptions: Sendable, Equatable {
  /// Divides the logits; 0 takes the largest one, always.
  package var temperature: Double
  /// The so many most probable tokens; 0 for all.
  package var topK: Int
  /// The fewest of the most probable tokens whose probabilities sum up to this.
  package var topP: Double
  /// Tokens at least this probable, in shares of the most probable one.
  package var minP: Double
  /// What logits of tokens that came before are divided by, or multiplied where negative.
  package var repeatPenalty: Double
  /// How many of the last tokens count as having come before.
  package var repeatWindow: Int
  /// What is taken off the logit of a token that the answer has.
  package var presencePenalty: Double
  /// The same for each time that the answer has it.
  package var frequencyPenalty: Double
  /// What is added to logits, by token.
  package var biases: [Int: Double]
  package var seed: UInt64

  package init(
    temperature: Double = 0, topK: Int = 0, topP: Double = 1, minP: Double = 0,
    repeatPenalty: Double = 1, repeatWindow: Int = .max, presencePenalty: Double = 0,
    frequencyPenalty: Double = 0, biases: [Int: Double] = [:], seed: UInt64 = 0
  ) {
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.minP = minP
    self.repeatPenalty = repeatPenalty
    self.repeatWindow = repeatWindow
    self.presencePenalty = presencePenalty
    self.frequencyPenalty = frequencyPenalty
    self.biases = biases
    self.seed = seed
  }

  /// The largest logit, always.
  package static let greedy = SamplingOptions()
}
