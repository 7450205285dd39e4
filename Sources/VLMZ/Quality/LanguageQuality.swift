import VLMFoundation
import VLMModels
import VLMTensor
import VLMText

#if canImport(Glibc)
  import Glibc
#endif

/// How well a language model predicts a text (its perplexity), and how far its predictions are from another's.
package struct LanguageQuality: Sendable {
  /// Tokens that were predicted.
  package private(set) var tokens = 0
  /// Sum of -ln p(token), in nats.
  private var loss = 0.0
  private var divergence = 0.0
  private var agreements = 0
  private var isCompared = false
  /// The first position of a window that counts.
  private var first = 0

  package var meanLoss: Double { loss / Double(max(1, tokens)) }
  package var perplexity: Double { exp(meanLoss) }
  /// Mean of Σ p ln(p / q) in nats, p the reference's probabilities; nil without one.
  package var meanDivergence: Double? {
    isCompared ? divergence / Double(max(1, tokens)) : nil
  }
  /// Share of tokens whose most probable continuation is the reference's.
  package var agreement: Double? {
    isCompared ? Double(agreements) / Double(max(1, tokens)) : nil
  }

  /// Scores `ids` in windows of `window` tokens, each by itself: of every window all tokens but
  /// the first count, or those behind its first half.
  ///
  /// - Parameters:
  ///   - bos: begins every window, in place of one token.
  ///   - countsHalf: the first half of each window is only read, as llama.cpp measures it: positions
  ///     `window / 2` to `window - 2` predict the next token.
  ///   - reference: a model of the same vocabulary.
  ///   - progress: called with tokens done, of all.
  package init(
    _ model: TextGenerator, ids: [Int], window: Int, bos: Int?, countsHalf: Bool = false,
    reference: TextGenerator? = nil, progress: (Int, Int) -> Void = { _, _ in }
  ) throws {
    let longest =
      ([model] + (reference.map { [$0] } ?? []))
      .map(\.context.capacity).min() ?? 0
    guard (2...max(2, longest)).contains(window) else {
      throw GenerationError(
        .option("window", found: counted(window, "token"), expected: "2 to \(longest)"))
    }
    if let reference, reference.model.config.vocabulary != model.model.config.vocabulary {
      throw GenerationError(
        file: reference.file,
        .option(
          "vocabulary", found: "\(reference.model.config.vocabulary)",
          expected: "\(model.model.config.vocabulary)"))
    }
    isCompared = reference != nil
    first = countsHalf ? window / 2 : 0
    let start = bos.map { [$0] } ?? []
    let step = window - start.count
    let windows = ids.count / step
    guard windows > 0 else {
      throw GenerationError(
        .text(found: counted(ids.count, "token"), expected: "at least a window of \(step)"))
    }
    for index in 0..<windows {
      progress(index * step, windows * step)
      try add(start + ids[index * step..<(index + 1) * step], model, reference)
    }
  }

  private mutating func add(
    _ ids: [Int], _ model: TextGenerator, _ reference: TextGenerator?
  ) throws {
    var exact: [Float] = []
    // The first position behind which the logits are no numbers.
    var strange: Int?
    let width = model.model.config.vocabulary
    if let reference {
      exact.reserveCapacity(ids.count * width)
      try reference.score(ids) { logits, position in
        if logits.notFiniteCount > 0 { strange = strange ?? position }
        exact += logits.array()
      }
      if let strange {
        throw GenerationError(file: reference.file, .notNumbers(position: strange))
      }
    }
    try model.score(ids) { logits, position in
      if logits.notFiniteCount > 0 { strange = strange ?? position }
      for row in 0..<logits.rows
      where position + row >= first && position + row + 1 < ids.count {
        logits.withRow(row) { q in
          exact.withUnsafeBufferPointer { p in
            let place = (position + row) * width
            let p = p.isEmpty ? nil : UnsafeBufferPointer(rebasing: p[place..<place + width])
            add(q, from: p, next: ids[position + row + 1])
          }
        }
      }
    }
    if let strange {
      throw GenerationError(file: model.file, .notNumbers(position: strange))
    }
  }

  private mutating func add(
    _ q: UnsafeBufferPointer<Float>, from p: UnsafeBufferPointer<Float>?, next: Int
  ) {
    let qSum = TokenProbabilities.logSum(q)
    tokens += 1
    loss += qSum - Double(q[next])
    guard let p else { return }
    divergence += TokenProbabilities.divergence(
      of: q, qSum, from: p, TokenProbabilities.logSum(p))
    if Sampler.largest(p) == Sampler.largest(q) { agreements += 1 }
  }
}
