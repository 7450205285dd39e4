/// What a `BatchEngine` does and has done since it was made, for monitoring.
public struct EngineStatistics: Sendable, Equatable {
  /// Answers that are being computed.
  public internal(set) var active = 0
  /// Requests that wait, those whose pictures are being encoded included.
  public internal(set) var waiting = 0
  /// Requests that were taken.
  public internal(set) var accepted = 0
  /// Requests that found the queue full.
  public internal(set) var refused = 0
  /// Answers by how they ended.
  public internal(set) var ended: [GenerationEnd.Reason: Int] = [:]
  /// Requests that ended with an error.
  public internal(set) var failed = 0

  /// Positions of prompts, pictures included.
  public internal(set) var promptTokens = 0
  /// Those of them that others had computed.
  public internal(set) var cachedTokens = 0
  /// Tokens of answers.
  public internal(set) var completionTokens = 0
  /// Tokens that were proposed, because answers repeated their prompts or themselves, and decided in the
  /// pass of the token before them.
  public internal(set) var proposedTokens = 0
  /// Those of them that the model chose: rows of passes that were not needed.
  public internal(set) var acceptedTokens = 0
  /// Prompts that began with something computed before.
  public internal(set) var prefixHits = 0
  /// Pictures that were encoded, and those that were kept from before.
  public internal(set) var picturesEncoded = 0
  /// See `picturesEncoded`.
  public internal(set) var pictureHits = 0
  /// Passes over the weights.
  public internal(set) var passes = 0
  /// Rows of all these passes: tokens of answers and positions of prompts.
  public internal(set) var passRows = 0
  /// Those of the passes that were run between two layers of another, for short prompts that had just
  /// come.
  public internal(set) var interludes = 0

  /// Pages of keys and values: all, those of answers, and those that are kept for later prompts.
  public internal(set) var pages = 0
  /// See `pages`.
  public internal(set) var pagesInUse = 0
  /// See `pages`.
  public internal(set) var pagesKept = 0
  /// Positions of a page.
  public internal(set) var pagePositions = 0
  /// Bytes of a page.
  public internal(set) var pageBytes = 0

  /// Seconds that an answer takes once it has begun, an average in which the last ones weigh most.
  public internal(set) var secondsPerAnswer = 1.0
  /// Seconds from submission to the first token.
  public internal(set) var firstToken = LatencyHistogram()
  /// Seconds from one token of an answer to its next.
  public internal(set) var betweenTokens = LatencyHistogram()
}

/// Counts of durations, in the form of Prometheus.
public struct LatencyHistogram: Sendable, Equatable {
  /// Upper bounds of the buckets in seconds, ascending; one more bucket is behind them.
  public static let bounds: [Double] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120,
  ]
  /// Durations up to each of `bounds` and above the one before; the last are above all of them.
  public private(set) var counts = [Int](repeating: 0, count: bounds.count + 1)
  /// Sum of all durations in seconds.
  public private(set) var sum = 0.0
  /// How many there were.
  public private(set) var count = 0

  mutating func add(_ seconds: Double) {
    counts[Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count] += 1
    sum += seconds
    count += 1
  }
}
