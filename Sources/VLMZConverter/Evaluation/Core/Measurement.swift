/// What a model made of items, item by item, and how far that is from a reference's.
package struct Measurement: Sendable, Equatable {
  /// The best class of a picture with its score.
  package struct Decision: Sendable, Equatable {
    package let top: Int
    package let confidence: Double
  }

  /// Of a picture that an image model saw.
  package struct Picture: Sendable, Equatable {
    /// Its place among the items.
    package let index: Int
    /// Nil for a model without classes.
    package var decision: Decision?
    package var comparison: PictureComparison?
  }

  /// Of a picture, against the reference.
  package struct PictureComparison: Sendable, Equatable {
    /// The reference's decision; nil for a model without classes.
    package var decision: Decision?
    /// Of the logits, or of the embeddings where there are no classes.
    package var cosine: Double
    /// In nats; nil without probabilities.
    package var divergence: Double?
    /// `ClassScores.agree`.
    package var agrees: Bool?
    /// Which texts the picture is most like; nil without texts.
    package var retrieval: Retrieval?
  }

  /// Whether both models find the same texts for a picture.
  package struct Retrieval: Sendable, Equatable {
    package let sameBest: Bool
    /// How many of the reference's five best are among the model's, as a share.
    package let fiveShared: Double
  }

  /// Of a token that counts.
  package struct Token: Sendable, Equatable {
    /// -ln p(token), in nats.
    package var loss: Double
    /// Whether it is the most probable one.
    package var isBest: Bool
    package var comparison: TokenComparison?
  }

  /// Of a token, against the reference.
  package struct TokenComparison: Sendable, Equatable {
    package var loss: Double
    package var isBest: Bool
    /// Of all probabilities, in nats.
    package var divergence: Double
    /// Whether both models have one most probable token.
    package var sameBest: Bool
  }

  /// Of a sequence that a language model read.
  package struct Sequence: Sendable, Equatable {
    /// Its place among the items.
    package let index: Int
    /// Whether it is a part of the loss.
    package let counts: Bool
    package var tokens: [Token] = []
    /// Of each visual token of its pictures, against the reference.
    package var visualCosines: [Double] = []
  }

  package var pictures: [Picture] = []
  /// Cosine of the embedding of each text and the reference's.
  package var captionCosines: [Double] = []
  package var sequences: [Sequence] = []

  package init() {}

  /// What is lost against the reference, in one number, 0 for nothing: the mean divergence in nats of
  /// tokens, or of pictures with classes; else the mean of one less the cosine, over the embeddings of
  /// pictures and of texts. Nil without a reference.
  package var loss: Double? {
    let tokens = sequences.filter(\.counts).flatMap(\.tokens).compactMap {
      $0.comparison?.divergence
    }
    if !tokens.isEmpty { return tokens.mean }
    let divergences = pictures.compactMap { $0.comparison?.divergence }
    if !divergences.isEmpty { return divergences.mean }
    let cosines = pictures.compactMap { $0.comparison?.cosine } + captionCosines
    return cosines.isEmpty ? nil : max(0, 1 - cosines.mean)
  }
}

extension [Double] {
  /// 0 without any.
  package var mean: Double { isEmpty ? 0 : reduce(0, +) / Double(count) }
}
