import VLMFoundation
import VLMTensor

/// LLaMA: Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", and the models of
/// the same arithmetic (Vicuna, SmolLM2, TinyLlama, Qwen2 …), or of what `DecoderTraits` changes of it.
package struct LLaMAConfig: Sendable, Equatable {
  package var vocabulary: Int
  package var hidden: Int
  package var layers: Int
  package var heads: Int
  /// Heads of keys and values; query head `q` reads key/value head `q / (heads / keyValueHeads)`.
  package var keyValueHeads: Int
  package var headDimension: Int
  /// Width of the gated layer inside the block.
  package var feedForward: Int
  /// ε of every RMSNorm.
  package var epsilon: Float
  package var ropeBase: Double
  package var ropeScaling: RotaryScaling
  /// The head multiplies by the table of embeddings.
  package var tiedEmbeddings: Bool
  /// Biases of the query, key and value projections.
  package var attentionBias: Bool
  /// Bias of the projection behind the attention.
  package var outputBias: Bool
  package var feedForwardBias: Bool
  /// Positions that the model was made for.
  package var contextLength: Int
  /// What is not as in LLaMA.
  package var traits: DecoderTraits

  package init(
    vocabulary: Int, hidden: Int, layers: Int, heads: Int, keyValueHeads: Int, headDimension: Int,
    feedForward: Int, epsilon: Float, ropeBase: Double = 10_000,
    ropeScaling: RotaryScaling = .none, tiedEmbeddings: Bool = false, attentionBias: Bool = false,
    outputBias: Bool = false, feedForwardBias: Bool = false, contextLength: Int,
    traits: DecoderTraits = DecoderTraits()
  ) {
    self.vocabulary = vocabulary
    self.hidden = hidden
    self.layers = layers
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.headDimension = headDimension
    self.feedForward = feedForward
    self.epsilon = epsilon
    self.ropeBase = ropeBase
    self.ropeScaling = ropeScaling
    self.tiedEmbeddings = tiedEmbeddings
    self.attentionBias = attentionBias
    self.outputBias = outputBias
    self.feedForwardBias = feedForwardBias
    self.contextLength = contextLength
    self.traits = traits
  }

  /// Columns of the queries.
  package var queryColumns: Int { heads * headDimension }
  /// Columns of the keys, and of the values.
  package var keyValueColumns: Int { keyValueHeads * headDimension }

  /// Elements of a head that turn with the position.
  package var rotaryDimension: Int { traits.rotaryDimension ?? headDimension }

  /// Refuses what no LLaMA has, so that later arithmetic on the numbers cannot overflow.
  package func validate() throws(ModelError) {
    func refuse(_ field: String, _ found: String, _ expected: String) -> ModelError {
      ModelError(.configuration(field: "llama.\(field)", found: found, expected: expected))
    }
    func check(
      _ field: String, _ value: Int, _ range: ClosedRange<Int>
    ) throws(ModelError) {
      try ModelError.check("llama.\(field)", value, range)
    }
    let width = 1...TensorFormat.maximumInputs
    try check("vocabulary", vocabulary, 1...10_000_000)
    try check("hidden", hidden, width)
    try check("layers", layers, 1...1000)
    try check("heads", heads, 1...4096)
    try check("key_value_heads", keyValueHeads, 1...heads)
    guard heads % keyValueHeads == 0 else {
      throw refuse("key_value_heads", String(keyValueHeads), "a divisor of the \(heads) heads")
    }
    try check("head_dimension", headDimension, 2...1024)
    guard headDimension % 2 == 0 else {
      throw refuse("head_dimension", String(headDimension), "an even number")
    }
    try check("heads × head_dimension", queryColumns, width)
    try check("feed_forward", feedForward, width)
    try check("context_length", contextLength, 1...Self.maximumContext)
    guard epsilon > 0, epsilon < 1 else {
      throw refuse("epsilon", "\(epsilon)", "a number between 0 and 1")
    }
    guard ropeBase > 1, ropeBase <= 1e15 else {
      throw refuse("rope_base", "\(ropeBase)", "more than 1, at most 1e15")
    }
    try traits.validate(layers: layers, headDimension: headDimension)
    try ropeScaling.validate(dimension: rotaryDimension)
  }

  /// Positions up to here are exact in f32, of which the angles are products.
  package static let maximumContext = 1 << 24
}

// MARK: - JSON of the container's config section

extension LLaMAConfig {
  package var json: JSONValue {
    var object = JSONObject()
    for (key, value) in [
      ("vocabulary", vocabulary), ("hidden", hidden), ("layers", layers), ("heads", heads),
      ("key_value_heads", keyValueHeads), ("head_dimension", headDimension),
      ("feed_forward", feedForward),
    ] {
      object.set(key, .int(value))
    }
    object.set("epsilon", .double(epsilon.shortestDouble))
    // Readers from before there were traits miss the base, and refuse a model that they cannot run.
    var traits = traits == DecoderTraits() ? nil : traits.json
    traits?.set("rope_base", .double(ropeBase))
    traits?.set("rope_scaling", ropeScaling.json)
    if let traits {
      object.set("traits", .object(traits))
    } else {
      object.set("rope_base", .double(ropeBase))
      object.set("rope_scaling", ropeScaling.json)
    }
    object.set("tied_embeddings", .bool(tiedEmbeddings))
    object.set("attention_bias", .bool(attentionBias))
    object.set("output_bias", .bool(outputBias))
    object.set("feed_forward_bias", .bool(feedForwardBias))
    object.set("context_length", .int(contextLength))
    return .object(object)
  }

  /// Reads what `json` wrote; every field is required and checked.
  package init(json: JSONValue) throws(ModelError) {
    let fields = ConfigFields(json, path: "llama")
    let traits = fields.has("traits") ? try fields.object("traits") : nil
    let rotation = traits ?? fields
    self.init(
      vocabulary: try fields.int("vocabulary"), hidden: try fields.int("hidden"),
      layers: try fields.int("layers"), heads: try fields.int("heads"),
      keyValueHeads: try fields.int("key_value_heads"),
      headDimension: try fields.int("head_dimension"),
      feedForward: try fields.int("feed_forward"), epsilon: Float(try fields.double("epsilon")),
      ropeBase: try rotation.double("rope_base"),
      ropeScaling: try RotaryScaling(rotation.object("rope_scaling")),
      tiedEmbeddings: try fields.bool("tied_embeddings"),
      attentionBias: try fields.bool("attention_bias"),
      outputBias: try fields.bool("output_bias"),
      feedForwardBias: try fields.bool("feed_forward_bias"),
      contextLength: try fields.int("context_length"))
    if let traits { self.traits = try DecoderTraits(traits) }
    try validate()
  }
}
