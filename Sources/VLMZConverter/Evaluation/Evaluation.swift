import VLMZ

/// How good a model is on data, and how far it is from a reference.
public struct Evaluation: Sendable, Equatable {
  /// Numbers of several things, such as a divergence for each picture.
  public struct Spread: Sendable, Equatable {
    /// Their mean.
    public let mean: Double
    /// Half of them are not above.
    public let median: Double
    /// 99 of 100 are not above, as numpy interpolates it.
    public let percentile99: Double
    /// The least.
    public let least: Double
    /// The largest.
    public let largest: Double
    /// All of them, ascending.
    public let values: [Double]

    /// Nil without any.
    init?(_ values: [Double]) {
      guard !values.isEmpty else { return nil }
      let sorted = values.sorted()
      func percentile(_ share: Double) -> Double {
        let place = share * Double(sorted.count - 1)
        let low = Int(place)
        let high = min(low + 1, sorted.count - 1)
        return sorted[low] + (sorted[high] - sorted[low]) * (place - Double(low))
      }
      mean = values.mean
      median = percentile(0.5)
      percentile99 = percentile(0.99)
      least = sorted[0]
      largest = sorted[sorted.count - 1]
      self.values = sorted
    }
  }

  /// What a classifier makes of pictures.
  public struct Classes: Sendable, Equatable {
    /// Pictures that were seen.
    public internal(set) var pictureCount = 0
    /// What the outputs are.
    public internal(set) var scores = ScoreKind.softmax
    /// Share of pictures with the reference's best class; of sigmoids, with the same classes above
    /// one half. Nil without a reference, and for raw outputs.
    public internal(set) var agreement: Double?
    /// Of the probabilities from the reference's, in nats, for each picture.
    public internal(set) var divergence: Spread?
    /// Of the outputs and the reference's.
    public internal(set) var cosine: Spread?
    /// Pictures whose class is known by the name of their folder.
    public internal(set) var knownCount = 0
    /// Of these, how often the best class is right; nil where none is known.
    public internal(set) var reliability: Reliability?
    /// The same of the reference.
    public internal(set) var referenceReliability: Reliability?
  }

  /// What an embedder makes of pictures, and a text tower of texts, against the reference.
  public struct Embeddings: Sendable, Equatable {
    /// Of the embeddings of pictures; nil without any.
    public internal(set) var pictures: Spread?
    /// Of the embeddings of texts; nil without any.
    public internal(set) var texts: Spread?
    /// Share of pictures for which both models find the same text most alike; nil without texts.
    public internal(set) var sameBestText: Double?
    /// Share of the five texts that the reference finds most alike that are among the model's five.
    public internal(set) var fiveBestTexts: Double?
  }

  /// How tokens are predicted.
  public struct Predictions: Sendable, Equatable {
    /// Windows of text, or answers.
    public internal(set) var sequenceCount = 0
    /// Tokens that were predicted.
    public internal(set) var tokenCount = 0
    /// exp of the mean of -ln p(token).
    public internal(set) var perplexity = 1.0
    /// The reference's.
    public internal(set) var referencePerplexity: Double?
    /// Of all probabilities from the reference's, in nats, for each token.
    public internal(set) var divergence: Spread?
    /// Share of tokens with the reference's most probable one.
    public internal(set) var sameBestToken: Double?
  }

  /// An answer that is not the reference's.
  public struct ChangedAnswer: Sendable, Equatable {
    /// Names of the pictures that the question is about.
    public let pictures: [String]
    /// What was asked last.
    public let question: String
    /// What the reference answers.
    public let referenceText: String
    /// What the model answers.
    public let text: String
  }

  /// Answers that both models wrote.
  public struct Answers: Sendable, Equatable {
    /// Questions that the reference answered, always with the most probable token.
    public internal(set) var count = 0
    /// Those that the model answers otherwise.
    public internal(set) var changed: [ChangedAnswer] = []
  }

  /// Something that could not be used.
  public struct Skipped: Sendable, Equatable {
    /// Why, with its name.
    public let message: String
    /// How many of the data: several conversations may have one reason.
    public let count: Int
  }

  /// A picture that an image model saw, against the reference.
  public struct Picture: Sendable, Equatable {
    /// The name of its file.
    public let name: String
    /// Of the outputs for classes, or of the embeddings where there are none.
    public let cosine: Double
    /// Of the probabilities from the reference's, in nats; nil where there are none.
    public let divergence: Double?
    /// Whether the best class is the reference's; of sigmoids, whether the same ones are above one
    /// half. Nil where nothing is decided.
    public let agrees: Bool?
  }

  /// The path of the model.
  public internal(set) var model = ""
  /// The path of the reference; nil without one.
  public internal(set) var reference: String?
  /// The architecture of both.
  public internal(set) var architecture = ""
  /// Pictures that an image model saw, in the order of the data; empty without a reference.
  public internal(set) var pictures: [Picture] = []
  /// Of a classifier.
  public internal(set) var classes: Classes?
  /// Of a model that makes vectors of pictures and has no classes.
  public internal(set) var embeddings: Embeddings?
  /// Cosines of visual tokens and the reference's, of a model that answers questions about pictures.
  public internal(set) var visualTokens: Spread?
  /// Of windows of text; their first half is only read.
  public internal(set) var text: Predictions?
  /// Of answers: those of the data, or the reference's own where they have none.
  public internal(set) var answers: Predictions?
  /// Answers that both wrote.
  public internal(set) var ownAnswers: Answers?
  /// What is lost against the reference, in one number: the mean divergence in nats of tokens, or of
  /// pictures with classes; else the mean of one less the cosine of embeddings. Nil without a reference.
  public internal(set) var loss: Double?
  /// Mean loss of each picture, window or answer, ascending.
  public internal(set) var lossOfItems: [Double] = []
  /// Data that could not be used.
  public internal(set) var skipped: [Skipped] = []
  /// What a person should know.
  public internal(set) var notes: [String] = []
  /// Bytes of disk that the reference's outputs took for the while.
  public internal(set) var diskByteCount = 0
}
