import VLMZ

extension Converter {
  /// What a model is run on before its weights are rounded, so that they are rounded where it costs
  /// least.
  ///
  /// Language models want text, image models pictures, models that answer questions about pictures
  /// those, and CLIPs both. docs/quantization.md says what is gained.
  public struct Calibration: Sendable, Equatable {
    /// Pictures, folders of them, texts, and conversations in JSON Lines. The content of a file
    /// decides what it is, not its name. What is damaged is left out, if it is no more than half.
    public var paths: [String]
    /// Whether the model's own data fill in for kinds that `paths` lack: a language model writes
    /// text, and image models see pictures that the program draws. Always the same ones.
    public var usesOwnData: Bool
    /// Tokens that a language model reads, visual ones included; an image model sees a picture for
    /// every 64. 256 or more.
    public var tokenCount: Int
    /// Where statistics are kept. A file that is there is used instead of `paths`; otherwise it is
    /// written. nil to keep none.
    public var statisticsFile: String?
    /// How much work is put into it.
    public var effort = Effort.normal

    /// Calibration on files.
    ///
    /// - Parameters:
    ///   - paths: files and folders; none where `statisticsFile` is there.
    ///   - usesOwnData: whether the model's own data fill in.
    ///   - tokenCount: how many tokens.
    ///   - statisticsFile: where statistics are kept.
    public init(
      on paths: [String] = [], usesOwnData: Bool = false, tokenCount: Int = 8192,
      statisticsFile: String? = nil
    ) {
      self.paths = paths
      self.usesOwnData = usesOwnData
      self.tokenCount = tokenCount
      self.statisticsFile = statisticsFile
    }

    /// Calibration without any data.
    public static let own = Calibration(usesOwnData: true)

    /// - Throws: `VLMZError` with `.invalidArgument` for numbers out of range, or nothing to go by.
    func check() throws(VLMZError) {
      try VLMZError.require(
        Self.tokenCounts.contains(tokenCount), "calibration tokens", found: "\(tokenCount)",
        expected: "\(Self.tokenCounts.lowerBound) to \(Self.tokenCounts.upperBound)")
      try VLMZError.require(
        usesOwnData || !paths.isEmpty || statisticsFile != nil, "calibration",
        found: "no data and no statistics", expected: "one of them")
    }

    /// What `tokenCount` may be.
    package static let tokenCounts = 256...(1 << 24)
  }
}
