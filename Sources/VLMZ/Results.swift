import VLMModels

/// What a picture shows: the classes of the highest scores, best first.
public struct Classification: Sendable, Equatable {
  /// One class with its score.
  public struct Candidate: Sendable, Equatable {
    /// From 0: the model's output, or the place in the list of texts.
    public let index: Int
    /// What the class is called; nil where the file has no names.
    public let label: String?
    /// A probability from 0 to 1; any number where `Classification.scores` is `.raw`.
    public let score: Double
  }

  /// Best first; equal scores by index. Outputs that are not a number come last.
  public let candidates: [Candidate]
  /// What the scores are.
  public let scores: ScoreKind
}

/// A point in the space that a model maps pictures, and maybe texts, into.
public struct Embedding: Sendable, Equatable {
  /// f32, as many as the model's width. Of a model that maps texts into the same space the vector
  /// has length 1; of others it is what the model's pooling gives.
  public let values: [Float]

  /// The cosine of the angle to another embedding of the same model, -1 to 1: the products are summed
  /// up in f64. 0 where either is all zeros.
  ///
  /// - Throws: `VLMZError` with `.invalidArgument` when the other has another width.
  public func similarity(to other: Embedding) throws(VLMZError) -> Double {
    try VLMZError.require(
      values.count == other.values.count, "embedding", found: "\(other.values.count) values",
      expected: "\(values.count), as many as the first has")
    var (dot, own, others) = (0.0, 0.0, 0.0)
    for (a, b) in zip(values, other.values) {
      dot += Double(a) * Double(b)
      own += Double(a) * Double(a)
      others += Double(b) * Double(b)
    }
    return own * others > 0 ? dot / (own * others).squareRoot() : 0
  }
}

/// Texts that pictures are compared with, as embeddings: made once, used for any number of pictures.
///
/// A value: any session of the model that made it may use it.
public struct TextClasses: Sendable {
  /// What the texts are called, in their order.
  public let labels: [String]
  /// One for each label, of length 1.
  public let embeddings: [Embedding]
  /// Texts, templates filled in, that are longer than the model reads, and were cut.
  public let truncatedTexts: [String]
  let model: Model
}

/// A picture as a language model sees it. Whoever keeps it need not encode the picture again.
///
/// A value: any conversation of the model that made it may use it.
public struct EncodedImage: Sendable {
  /// Positions of the context that the picture takes.
  public var tokenCount: Int { tokens.positionCount }
  /// Rows and columns of the grid that the tokens are of. Of a picture that the model sees in tiles it is
  /// the grid that the tiles make together, beside which there are more tokens.
  public var gridHeight: Int { tokens.gridHeight }
  /// See `gridHeight`.
  public var gridWidth: Int { tokens.gridWidth }
  /// Width of the input that was encoded, in pixels: of a picture in tiles, of all of them side by side.
  public let inputWidth: Int
  /// Height of the input that was encoded, in pixels.
  public let inputHeight: Int
  /// What it took to prepare and encode it.
  public let seconds: Double

  let model: Model
  package let tokens: VisualTokens

  /// The tokens, f32, as many as `tokenCount` but for those that are text among them: from the top
  /// left, row by row, and of a picture in tiles one tile after the other, as the model reads them.
  public func values() -> [Float] { withExtendedLifetime(tokens) { tokens.rows.array() } }
}

/// What a model wrote, and what it took.
public struct Answer: Sendable, Equatable {
  /// Why the text ends.
  public enum Ending: String, Sendable, Hashable, CaseIterable {
    /// The model wrote a token that ends texts.
    case stopToken = "stop token"
    /// One of `AnswerOptions.stopStrings` came; it is no part of the text.
    case stopString = "stop string"
    /// `AnswerOptions.maximumTokens` were written.
    case length
    /// The context is full.
    case context
    /// The answer is all that `AnswerOptions.format` allows.
    case complete
    /// `cancel()` was called, or the task was cancelled.
    case cancelled
  }

  /// How much was computed, and how long it took.
  public struct Timings: Sendable, Equatable {
    /// Positions of the prompt that were computed.
    public package(set) var promptTokens = 0
    /// Positions of the prompt that the context still held from before.
    public package(set) var reusedTokens = 0
    /// Seconds until the first token could be chosen.
    public package(set) var promptSeconds = 0.0
    /// Tokens behind the first, which comes with the prompt.
    public package(set) var steps = 0
    /// Tokens that were proposed, because the answer repeated its prompt or itself, and decided in the
    /// pass of the token before them.
    public package(set) var proposedTokens = 0
    /// Those of them that the model chose: passes over the weights that were not needed.
    public package(set) var acceptedTokens = 0
    /// Seconds that these took.
    public package(set) var stepSeconds = 0.0

    /// Positions of the prompt per second; 0 where none was computed.
    public var promptTokensPerSecond: Double {
      promptSeconds > 0 ? Double(promptTokens) / promptSeconds : 0
    }
    /// Tokens of the answer per second; 0 where none was computed.
    public var tokensPerSecond: Double { stepSeconds > 0 ? Double(steps) / stepSeconds : 0 }
  }

  /// All of the text.
  public let text: String
  /// Its tokens, ids of the model's vocabulary, without the one that ended it.
  public let tokens: [Int]
  /// Why it ends here.
  public let ending: Ending
  /// Positions of the whole prompt that are text: system message, template and earlier turns
  /// included.
  public let promptTokenCount: Int
  /// Positions of the whole prompt that are pictures.
  public let visualTokenCount: Int
  /// What it took.
  public let timings: Timings

  init(_ generation: Generation, promptTokens: Int, visualTokens: Int) {
    text = generation.text
    tokens = generation.tokens
    ending = generation.ending
    promptTokenCount = promptTokens
    visualTokenCount = visualTokens
    timings = generation.timings
  }

  /// Cancelled before its first token: as if it had never been asked for.
  package var endedBeforeStart: Bool { ending == .cancelled && tokens.isEmpty }
}

/// One element of a streamed answer.
public enum AnswerPart: Sendable, Equatable {
  /// The next piece of text, as soon as it is certain. All pieces together are `Answer.text`.
  case text(String)
  /// The last element: all of the answer.
  case end(Answer)
}
