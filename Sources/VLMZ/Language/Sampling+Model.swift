import VLMTensor
import VLMText

extension SamplingOptions {
  /// - Throws: `GenerationError` naming the option that is out of range.
  package func validate() throws(GenerationError) {
    func check<Value: Comparable>(
      _ name: String, _ value: Value, _ range: ClosedRange<Value>
    ) throws(GenerationError) {
      guard range.contains(value) else {
        throw GenerationError(
          .option(
            name, found: "\(value)", expected: "\(range.lowerBound) to \(range.upperBound)"))
      }
    }
    try check("temperature", temperature, 0...100)
    try check("top-k", topK, 0...1_000_000_000)
    try check("top-p", topP, 0...1)
    try check("min-p", minP, 0...1)
    try check("repeat penalty", repeatPenalty, 0.01...100)
    try check("repeat window", repeatWindow, 0...Int.max)
    try check("presence penalty", presencePenalty, -100...100)
    try check("frequency penalty", frequencyPenalty, -100...100)
    for bias in biases.values { try check("bias of a token", bias, -100...100) }
  }
}

extension Sampler {
  /// The next token, given the row of logits behind the last one; nil when none of them is a number.
  ///
  /// - Parameters:
  ///   - history: the tokens so far, for the repeat penalty.
  ///   - answer: those of them that are the answer's, for the other penalties.
  ///   - allowed: the tokens among which to choose; nil for all.
  package mutating func next(
    _ logits: MatrixView, history: [Int], answer: [Int] = [], allowed: TokenMask? = nil
  ) -> Int? {
    precondition(logits.rows == 1, "one row of logits")
    return logits.withRow(0) { next($0, history: history, answer: answer, allowed: allowed) }
  }
}
