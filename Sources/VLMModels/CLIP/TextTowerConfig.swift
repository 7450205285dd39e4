import VLMFoundation
import VLMTensor

/// Geometry of the text transformer of a CLIP or of a SigLIP.
package struct TextTowerConfig: Sendable, Equatable {
  /// Whose feature is the text's.
  package enum Pooling: String, Sendable, Equatable, CaseIterable {
    /// That of the end token.
    case end
    /// That of the last token, padding or not: a SigLIP sees the padding.
    case last
  }

  package var vocabulary: Int
  /// Tokens of a text, end included; shorter ones are filled up with zeros.
  package var contextLength: Int
  package var encoder: TransformerConfig
  /// Width of the joint embedding.
  package var embedding: Int
  package var layout = CLIPLayout.openCLIP
  /// The token whose feature is the text's, the first of them; nil for the largest id.
  package var endToken: Int?
  /// Whether a token sees only itself and those before it. Where it does not, it sees what fills a
  /// short text up, too.
  package var isCausal = true
  package var pooling = Pooling.end
  /// Whether the projection to the joint embedding has a bias.
  package var hasProjectionBias = false
  /// Tokens that a text is padded to, where these are fewer than the tower has positions for.
  package var paddedLength: Int?

  /// Tokens that the tokenizer makes of any text.
  package var tokenCount: Int { min(contextLength, paddedLength ?? contextLength) }
  /// Whether the ends of a text are the tokenizer's own setting, and not always there.
  package var hasOwnEnds: Bool { pooling == .last }

  package init(
    vocabulary: Int, contextLength: Int, encoder: TransformerConfig, embedding: Int
  ) {
    self.vocabulary = vocabulary
    self.contextLength = contextLength
    self.encoder = encoder
    self.embedding = embedding
  }

  package func validate() throws(ModelError) {
    try encoder.validate("text.encoder")
    try ModelError.check("text.vocabulary", vocabulary, 1...(1 << 24))
    try ModelError.check("text.context_length", contextLength, 1...(1 << 16))
    try ModelError.check("text.embedding", embedding, 1...TensorFormat.maximumInputs)
    if let endToken { try ModelError.check("text.end_token", endToken, 0...vocabulary - 1) }
    if let paddedLength {
      try ModelError.check("text.padded_length", paddedLength, 1...contextLength)
    }
  }

  package var json: JSONValue {
    var object = JSONObject()
    object.set("vocabulary", .int(vocabulary))
    object.set("context_length", .int(contextLength))
    object.set("encoder", encoder.json)
    object.set("embedding", .int(embedding))
    // Files from before there were these have none of them.
    if layout != .openCLIP { object.set("layout", .string(layout.rawValue)) }
    if let endToken { object.set("end_token", .int(endToken)) }
    if !isCausal { object.set("causal", false) }
    if pooling != .end { object.set("pooling", .string(pooling.rawValue)) }
    if hasProjectionBias { object.set("projection_bias", true) }
    if let paddedLength { object.set("padded_length", .int(paddedLength)) }
    return .object(object)
  }

  package init(json: JSONValue) throws(ModelError) {
    let fields = ConfigFields(json, path: "text")
    vocabulary = try fields.int("vocabulary")
    contextLength = try fields.int("context_length")
    encoder = try TransformerConfig(try fields.object("encoder"))
    embedding = try fields.int("embedding")
    layout = try fields.layout(default: .openCLIP)
    if fields.has("end_token") { endToken = try fields.int("end_token") }
    isCausal = try fields.bool("causal", default: true)
    if fields.has("pooling") { pooling = try fields.choice("pooling") }
    hasProjectionBias = try fields.bool("projection_bias", default: false)
    if fields.has("padded_length") { paddedLength = try fields.int("padded_length") }
    try validate()
  }
}
