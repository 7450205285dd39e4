import VLMFoundation
import VLMModels

/// The bounds of a `BatchEngine`. Everything that it keeps has one.
public struct BatchEngineOptions: Sendable, Equatable {
  /// Answers that are computed at the same time, 1 to 256. Others wait.
  public var maximumActive: Int
  /// Requests that may wait beside them; the next one is `.busy`. 0 or more.
  public var maximumWaiting: Int
  /// Positions of a prompt and its answer together, pictures included; nil for the model's, but not more
  /// than 4096, nor than memory leaves room for.
  public var contextLength: Int?
  /// Bytes of keys and values of all answers, and of prefixes that are kept for later ones; nil for as
  /// much as `maximumActive` full contexts take, but at most half of the memory that may be used.
  public var keyValueBytes: Int?
  /// How keys and values are stored: `.f16` as a `Conversation`'s, `.f32` or `.q8`.
  public var keyValues: Conversation.KeyValueStorage
  /// Rows of prompts that share one pass over the weights with the answers' next tokens, 1 to 4096. More
  /// of them read prompts faster; fewer hold up answers for a shorter time.
  public var prefillRows: Int
  /// What becomes of keys and values whose prompts begin alike.
  public var prefixSharing: PrefixSharing
  /// Bytes of encoded pictures that are kept for later requests with the same picture.
  public var pictureCacheBytes: Int
  /// Tokens of an answer that one pass may decide beside the next one, whatever its request asks for; see
  /// `AnswerOptions.speculatedTokens`. Passes with prompts, or with 8 answers and more, decide none.
  public var speculatedTokens: Int
  /// Tokens of an answer at most, whatever its request asks for; nil for as many as the context has room
  /// for.
  public var maximumTokens: Int?
  /// How long a request may take from its submission to its end, unless it says less; nil for no limit.
  public var deadline: Duration?
  /// What frames the messages; see `Conversation.Template`.
  public var template: Conversation.Template
  /// Variables for a template in Jinja: a JSON object.
  public var templateArguments: String?

  /// Who may profit from a prompt that was computed already.
  public enum PrefixSharing: String, Sendable, Hashable, CaseIterable {
    /// Nobody: every prompt is computed.
    case none
    /// Requests with the same `client`. Others cannot learn from the time of their first token what a
    /// client asked before.
    case perClient
    /// All requests.
    case all
  }

  /// Options that differ from the defaults where they are given.
  public init(
    maximumActive: Int = 8, maximumWaiting: Int = 64, contextLength: Int? = nil,
    keyValueBytes: Int? = nil, keyValues: Conversation.KeyValueStorage = .f16,
    prefillRows: Int = 256, prefixSharing: PrefixSharing = .all,
    pictureCacheBytes: Int = 64 << 20, speculatedTokens: Int = 7, maximumTokens: Int? = nil,
    deadline: Duration? = nil,
    template: Conversation.Template = .automatic, templateArguments: String? = nil
  ) {
    self.maximumActive = maximumActive
    self.maximumWaiting = maximumWaiting
    self.contextLength = contextLength
    self.keyValueBytes = keyValueBytes
    self.keyValues = keyValues
    self.prefillRows = prefillRows
    self.prefixSharing = prefixSharing
    self.pictureCacheBytes = pictureCacheBytes
    self.speculatedTokens = speculatedTokens
    self.maximumTokens = maximumTokens
    self.deadline = deadline
    self.template = template
    self.templateArguments = templateArguments
  }

  /// Requests that an engine has at most, those that wait included.
  public var capacity: Int { maximumActive + maximumWaiting }

  /// The largest `contextLength` of any model.
  package static var maximumContext: Int { LLaMAConfig.maximumContext }

  /// - Throws: `.invalidArgument` naming the bound that is out of range.
  func validate() throws(VLMZError) {
    func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws(VLMZError) {
      try VLMZError.require(
        range.contains(value), name, found: "\(value)",
        expected: "\(range.lowerBound) to \(range.upperBound)")
    }
    try check("active answers", maximumActive, 1...256)
    try check("waiting requests", maximumWaiting, 0...1_000_000)
    try check("context length", contextLength ?? 1, 1...LLaMAConfig.maximumContext)
    try check("bytes of keys and values", keyValueBytes ?? 1, 1...Int.max)
    try check("prefill rows", prefillRows, 1...4096)
    try check("bytes of pictures", pictureCacheBytes, 0...Int.max)
    try check("speculated tokens", speculatedTokens, 0...Speculation.usualTokens)
    try check("maximum of tokens", maximumTokens ?? 1, 1...Int.max)
    try VLMZError.require(
      keyValues != .bf16, "keys and values", found: "bf16", expected: "f16, f32 or q8")
  }
}
