import VLMFoundation
import VLMModels
import VLMZ

#if canImport(Glibc)
  import Glibc
#endif

extension Evaluation {
  /// Takes what was measured of an image model.
  ///
  /// - Parameters:
  ///   - scores: what is made of logits.
  ///   - known: the class of each item that is a picture, where it is known.
  mutating func take(pictures found: [Measurement.Picture], _ scores: Scores, known: [Int?]) {
    var classes = Classes()
    classes.pictureCount = found.count
    classes.scores = ScoreKind(rawValue: scores.rawValue) ?? .softmax
    let comparisons = found.compactMap(\.comparison)
    classes.agreement = Self.share(comparisons.compactMap(\.agrees))
    classes.divergence = Spread(comparisons.compactMap(\.divergence))
    classes.cosine = Spread(comparisons.map(\.cosine))
    if scores != .raw {
      func reliability(
        _ decision: (Measurement.Picture) -> Measurement.Decision?
      ) -> Reliability? {
        let judged = found.compactMap { picture -> (confidence: Double, isRight: Bool)? in
          guard let known = known[picture.index], let made = decision(picture) else { return nil }
          return (made.confidence, made.top == known)
        }
        return judged.isEmpty ? nil : Reliability(judged)
      }
      classes.reliability = reliability(\.decision)
      classes.referenceReliability = reliability { $0.comparison?.decision }
      classes.knownCount = found.count { known[$0.index] != nil }
    }
    self.classes = classes
    lossOfItems = comparisons.map { $0.divergence ?? max(0, 1 - $0.cosine) }.sorted()
  }

  /// Takes what was measured of a model without classes.
  mutating func take(_ measurement: Measurement) {
    let comparisons = measurement.pictures.compactMap(\.comparison)
    let retrievals = comparisons.compactMap(\.retrieval)
    var embeddings = Embeddings()
    embeddings.pictures = Spread(comparisons.map(\.cosine))
    embeddings.texts = Spread(measurement.captionCosines)
    embeddings.sameBestText = Self.share(retrievals.map(\.sameBest))
    embeddings.fiveBestTexts = retrievals.isEmpty ? nil : retrievals.map(\.fiveShared).mean
    self.embeddings = embeddings
    lossOfItems = comparisons.map { max(0, 1 - $0.cosine) }.sorted()
  }

  /// Takes what was measured of a language model.
  mutating func take(_ found: [Measurement.Sequence], _ items: EvaluationItems) {
    let counted = found.filter { $0.counts && !$0.tokens.isEmpty }
    let texts = counted.filter { items.sequences[$0.index].kind == .text }
    let answers = counted.filter { items.sequences[$0.index].kind != .text }
    text = Predictions(texts)
    self.answers = Predictions(answers)
    visualTokens = Spread(found.filter(\.counts).flatMap(\.visualCosines))
    lossOfItems = counted.compactMap { sequence in
      let divergences = sequence.tokens.compactMap { $0.comparison?.divergence }
      return divergences.isEmpty ? nil : divergences.mean
    }.sorted()
  }

  private static func share(_ values: [Bool]) -> Double? {
    values.isEmpty ? nil : Double(values.count { $0 }) / Double(values.count)
  }
}

extension Evaluation.Predictions {
  /// Nil without any tokens.
  fileprivate init?(_ sequences: [Measurement.Sequence]) {
    let tokens = sequences.flatMap(\.tokens)
    guard !tokens.isEmpty else { return nil }
    self.init()
    sequenceCount = sequences.count
    tokenCount = tokens.count
    perplexity = exp(tokens.map(\.loss).mean)
    let comparisons = tokens.compactMap(\.comparison)
    guard !comparisons.isEmpty else { return }
    referencePerplexity = exp(comparisons.map(\.loss).mean)
    divergence = Evaluation.Spread(comparisons.map(\.divergence))
    sameBestToken = Double(comparisons.count { $0.sameBest }) / Double(comparisons.count)
  }
}
