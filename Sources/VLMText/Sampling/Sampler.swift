import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// Draws tokens. The same options, logits and history give the same token on every machine whose
/// `exp` rounds the same way.
package struct Sampler: Sendable {
  package let options: SamplingOptions
  private var random: SplitMix64
  private var values: [Float] = []
  private var candidates: [Candidate] = []

  private struct Candidate {
    let token: Int
    let weight: Double
  }

  package init(_ options: SamplingOptions) {
    self.options = options
    random = SplitMix64(seed: options.seed)
  }

  /// The next token, given the logits behind the last one; nil when none of them is a number.
  ///
  /// - Parameters:
  ///   - history: the tokens so far, for the repeat penalty.
  ///   - answer: those of them that are the answer's, for the other penalties.
  ///   - allowed: the tokens among which to choose, before anything else is done; nil for all.
  package mutating func next(
    _ logits: UnsafeBufferPointer<Float>, history: [Int], answer: [Int] = [],
    allowed: TokenMask? = nil
  ) -> Int? {
    let penalised = options.repeatPenalty != 1 && !history.isEmpty
    let shifted =
      !options.biases.isEmpty
      || (!answer.isEmpty && (options.presencePenalty != 0 || options.frequencyPenalty != 0))
    if options.temperature == 0, !penalised, !shifted {
      let best = Self.largest(logits)
      guard let allowed, let best, !allowed.contains(best) else { return best }
    }
    values.removeAll(keepingCapacity: true)
    values.append(contentsOf: logits)
    if let allowed {
      for token in values.indices where !allowed.contains(token) { values[token] = -.infinity }
      guard values.contains(where: { $0 > -.infinity }) else { return nil }
    }
    if penalised { penalise(history) }
    if shifted { shift(answer) }
    if options.temperature == 0 { return values.withUnsafeBufferPointer { Self.largest($0) } }
    return draw()
  }

  /// The place of the largest value, the first of equal ones; NaN is never it.
  package static func largest(_ values: UnsafeBufferPointer<Float>) -> Int? {
    // Two passes that compilers turn into vector code: the value, then its place.
    var best = -Float.infinity
    for value in values { best = value > best ? value : best }
    return values.firstIndex { $0 == best }
  }

  private mutating func penalise(_ history: [Int]) {
    let penalty = Float(options.repeatPenalty)
    for token in Set(history.suffix(options.repeatWindow)) where values.indices.contains(token) {
      let value = values[token]
      values[token] = value > 0 ? value / penalty : value * penalty
    }
  }

  /// OpenAI's: logit − count · frequency − [count > 0] · presence + bias.
  private mutating func shift(_ answer: [Int]) {
    if options.presencePenalty != 0 || options.frequencyPenalty != 0 {
      var counts: [Int: Int] = [:]
      for token in answer { counts[token, default: 0] += 1 }
      for (token, count) in counts where values.indices.contains(token) {
        values[token] -= Float(
          options.presencePenalty + options.frequencyPenalty * Double(count))
      }
    }
    for (token, bias) in options.biases where values.indices.contains(token) {
      values[token] += Float(bias)
    }
  }

  /// Less probable than the best one by this factor, a token is never drawn: all of a vocabulary
  /// together would have less than one chance in 10⁷.
  private static let negligible = 30.0

  private mutating func draw() -> Int? {
    guard let best = values.withUnsafeBufferPointer({ Self.largest($0) }) else { return nil }
    let highest = Double(values[best])
    guard highest.isFinite else { return best }
    let scale = 1 / options.temperature
    candidates.removeAll(keepingCapacity: true)
    let floor = Float(highest - Self.negligible * options.temperature)
    for (token, value) in values.enumerated() where value >= floor {
      candidates.append(
        Candidate(token: token, weight: exp((Double(value) - highest) * scale)))
    }
    // The most probable first, equal ones by number.
    candidates.sort { $0.weight != $1.weight ? $0.weight > $1.weight : $0.token < $1.token }
    if options.topK > 0 { keep(options.topK) }
    if options.topP < 1 {
      let limit = options.topP * total
      var sum = 0.0
      let count = candidates.firstIndex { candidate in
        sum += candidate.weight
        return sum >= limit
      }
      if let count { keep(count + 1) }
    }
    if options.minP > 0 {
      // The best one's weight is 1.
      keep(candidates.firstIndex { $0.weight < options.minP } ?? candidates.count)
    }
    var left = random.nextUnit() * total
    for candidate in candidates {
      left -= candidate.weight
      if left < 0 { return candidate.token }
    }
    return candidates.last?.token
  }

  private var total: Double { candidates.reduce(0) { $0 + $1.weight } }

  private mutating func keep(_ count: Int) {
    candidates.removeLast(max(0, candidates.count - max(1, count)))
  }
}
