import VLMFoundation
import VLMModels
import VLMTensor
import VLMText

/// How an answer is made. What is nil is as the model's makers want it, where its files say so.
public struct AnswerOptions: Sendable, Equatable {
  /// Tokens of the answer at most: 1 or more.
  public var maximumTokens: Int
  /// Divides the logits, 0 to 100; 0 takes the most probable token, always.
  public var temperature: Double?
  /// The so many most probable tokens are drawn from: 0 (all) to 10⁹.
  public var topK: Int?
  /// The fewest of the most probable tokens whose probabilities add up to this are drawn from: 0 to 1.
  public var topP: Double?
  /// Tokens with at least this share of the most probable one's probability are drawn from: 0 to 1.
  public var minP: Double?
  /// What logits of tokens that came before are divided by, or multiplied with where negative: 0.01 to
  /// 100; 1 for no change.
  public var repeatPenalty: Double?
  /// What is taken off the logit of a token that the answer has, −100 to 100; 0 for nothing.
  public var presencePenalty: Double
  /// The same for each time that the answer has it: −100 to 100.
  public var frequencyPenalty: Double
  /// What is added to logits, by token: −100 to 100. Tokens that the vocabulary lacks are passed over.
  public var tokenBiases: [Int: Double]
  /// The same number gives the same text.
  public var seed: UInt64
  /// Texts that end the answer and are no part of it.
  public var stopStrings: [String]
  /// What the answer must be; `.text`, anything, by default.
  public var format: AnswerFormat
  /// Tokens that one pass over the weights may decide beside the next one, where the answer repeats its
  /// prompt or itself: 0 for none to 7, the default. The text is the same; only its time changes.
  public var speculatedTokens: Int

  /// Options that differ from the defaults where they are given.
  public init(
    maximumTokens: Int = 512, temperature: Double? = nil, topK: Int? = nil, topP: Double? = nil,
    minP: Double? = nil, repeatPenalty: Double? = nil, presencePenalty: Double = 0,
    frequencyPenalty: Double = 0, tokenBiases: [Int: Double] = [:], seed: UInt64 = 0,
    stopStrings: [String] = [], format: AnswerFormat = .text, speculatedTokens: Int = 7
  ) {
    self.maximumTokens = maximumTokens
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.minP = minP
    self.repeatPenalty = repeatPenalty
    self.presencePenalty = presencePenalty
    self.frequencyPenalty = frequencyPenalty
    self.tokenBiases = tokenBiases
    self.seed = seed
    self.stopStrings = stopStrings
    self.format = format
    self.speculatedTokens = speculatedTokens
  }

  /// The caller's options, and the model's defaults where there are none; without `format`, which takes
  /// a model's vocabulary.
  package func generation(_ defaults: GenerationDefaults) -> GenerationOptions {
    let temperature = temperature ?? (defaults.samples ? defaults.temperature : 0)
    return GenerationOptions(
      sampling: SamplingOptions(
        temperature: temperature, topK: topK ?? (defaults.samples ? defaults.topK : 0),
        topP: topP ?? (defaults.samples ? defaults.topP : 1),
        minP: minP ?? (defaults.samples ? defaults.minP : 0),
        repeatPenalty: repeatPenalty ?? defaults.repeatPenalty, presencePenalty: presencePenalty,
        frequencyPenalty: frequencyPenalty, biases: tokenBiases, seed: seed),
      maximumTokens: maximumTokens, stopStrings: stopStrings,
      speculatedTokens: speculatedTokens)
  }

  /// The same, checked.
  ///
  /// - Throws: `GenerationError` or `VLMZError` naming the option that is out of range.
  func validated(_ defaults: GenerationDefaults) throws -> GenerationOptions {
    try VLMZError.require(
      maximumTokens >= 1, "maximum of tokens", found: "\(maximumTokens)", expected: "1 or more")
    let range = 0...Speculation.usualTokens
    try VLMZError.require(
      range.contains(speculatedTokens), "speculated tokens", found: "\(speculatedTokens)",
      expected: "\(range.lowerBound) to \(range.upperBound)")
    let options = generation(defaults)
    try options.sampling.validate()
    return options
  }
}

extension Conversation {
  /// What frames the questions.
  public enum Template: Sendable, Equatable {
    /// What the model's file says; `none` where it says nothing. A template of the file that cannot be
    /// parsed is `.badData`.
    case automatic
    /// One of the file's by its name, or one that the library has: "vicuna_v1", "chatml" …
    case named(String)
    /// A program in Jinja, as `chat_template` in transformers.
    case program(String)
    /// No roles: the text goes on where the prompt ends.
    case none
  }

  /// How keys and values are stored.
  public enum KeyValueStorage: String, Sendable, Hashable, CaseIterable {
    /// 4 bytes a number.
    case f32
    /// 2 bytes a number, IEEE half precision.
    case f16
    /// 2 bytes a number, bfloat16.
    case bf16
    /// A little more than 1 byte a number.
    case q8
  }

  /// How a conversation is framed and stored.
  public struct Options: Sendable, Equatable {
    /// Positions for text and pictures together, 1 or more; nil for the model's, but not more than
    /// 4096, nor than memory leaves room for.
    public var contextLength: Int?
    /// How keys and values are stored; `.f16` by default.
    public var keyValues: KeyValueStorage
    /// What frames the questions; `.automatic` by default.
    public var template: Template
    /// What the model is told first, instead of the template's own.
    public var system: String?
    /// Variables for a template in Jinja: a JSON object, such as `{"enable_thinking": false}`.
    public var templateArguments: String?
    /// Whether special tokens that are spelled in what is said are such; nil for no where a template
    /// frames it, and yes without one.
    public var parsesSpecialTokens: Bool?
    /// Threads of the conversation's own, 1 to 1024; nil to share the model's.
    public var threads: Int?

    /// Options that differ from the defaults where they are given.
    public init(
      contextLength: Int? = nil, keyValues: KeyValueStorage = .f16,
      template: Template = .automatic, system: String? = nil, templateArguments: String? = nil,
      parsesSpecialTokens: Bool? = nil, threads: Int? = nil
    ) {
      self.contextLength = contextLength
      self.keyValues = keyValues
      self.template = template
      self.system = system
      self.templateArguments = templateArguments
      self.parsesSpecialTokens = parsesSpecialTokens
      self.threads = threads
    }

    /// - Throws: `VLMZError` with `.invalidArgument` unless the text is an object that the template
    ///   may be given.
    func arguments() throws(VLMZError) -> JSONObject {
      guard let text = templateArguments else { return JSONObject() }
      let object = (try? JSONValue.parse(Array(text.utf8)))?.objectValue
      guard let object else {
        throw VLMZError(
          .invalidArgument,
          "template arguments: found '\(text.escapedForDisplay(limit: 60))', expected a JSON object"
        )
      }
      for name in ["messages", "add_generation_prompt"] {
        try VLMZError.require(
          object[name] == nil, "template arguments", found: "'\(name)'",
          expected: "variables beside the conversation")
      }
      return object
    }
  }
}

/// What a picture becomes before it is encoded for a model that answers.
public struct EncodingOptions: Sendable, Equatable {
  /// The short side of the input in pixels, at least the tower's stride, at most 16384; nil for the
  /// model's own.
  public var resolution: Int?
  /// The whole picture in its own proportions, for towers that take them, instead of padding or
  /// cropping it to a square.
  public var keepsAspect: Bool
  /// Whether the picture shares its conversation with others: LLaVA-OneVision sees one picture in tiles,
  /// and each of several as one square. Other models see no difference.
  public var isOneOfSeveral: Bool

  /// Options that differ from the defaults where they are given.
  public init(
    resolution: Int? = nil, keepsAspect: Bool = false, isOneOfSeveral: Bool = false
  ) {
    self.resolution = resolution
    self.keepsAspect = keepsAspect
    self.isOneOfSeveral = isOneOfSeveral
  }

  var geometry: PictureGeometry {
    PictureGeometry(
      resolution: resolution, keepsAspect: keepsAspect, isOneOfSeveral: isOneOfSeveral)
  }
}
