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
  /// Blocks of convolutions along the tokens, one before all layers and one behind them; nil for none.
  package struct Convolution: Sendable, Equatable {
    /// Tokens that each filter sees, an odd number.
    package var kernel: Int
    /// Width of the inner layer.
    package var hidden: Int

    /// What the two are called in a container.
    static let places = ["first", "last"]

    package init(kernel: Int, hidden: Int) {
      self.kernel = kernel
      self.hidden = hidden
    }
  }
  package var convolution: Convolution?
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
    if let convolution {
      try ModelError.check("text.convolution.kernel", convolution.kernel, 1...255)
      try ModelError.check(
        "text.convolution.hidden", convolution.hidden, 1...TensorFormat.maximumInputs)
      guard convolution.kernel % 2 == 1, !isCausal, pooling == .end else {
        throw ModelError(
          .configuration(
            field: "text.convolution",
            found: "a kernel of \(convolution.kernel)\(isCausal ? " under a causal mask" : "")",
            expected: "an odd one, tokens that see all others, and the end token's feature"))
      }
    }
    if let paddedLength {
      try ModelError.check("text.padded_length", paddedLength, 1...contextLength)
    }
  }

  package var json: JSONValue {
    var object = JSONObject()
    object.set("vocabulary", .int(vocabulary))
    object.set("context_length", .int(contextLength))
    // Readers from before there were convolutions miss the layers, and refuse what they cannot run.
    if let convolution {
      object.set(
        "convolution",
        [
          "kernel": .int(convolution.kernel), "hidden": .int(convolution.hidden),
          "encoder": encoder.json,
        ])
    } else {
      object.set("encoder", encoder.json)
    }
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
    let convolved = try fields.statedObject("convolution")
    encoder = try TransformerConfig(try (convolved ?? fields).object("encoder"))
    if let convolved {
      convolution = Convolution(
        kernel: try convolved.int("kernel"), hidden: try convolved.int("hidden"))
    }
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
