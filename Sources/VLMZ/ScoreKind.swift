import VLMModels

/// What the scores of a `Classification` are.
public enum ScoreKind: String, Sendable, Hashable, CaseIterable {
  /// Probabilities of classes that exclude each other: all of them add up to 1.
  case softmax
  /// A probability for each class by itself.
  case sigmoid
  /// The model's outputs as they are, such as the quantities of a regression.
  case raw

  init(_ scores: Scores) {
    self =
      switch scores {
      case .softmax: .softmax
      case .sigmoid: .sigmoid
      case .raw: .raw
      }
  }
}
