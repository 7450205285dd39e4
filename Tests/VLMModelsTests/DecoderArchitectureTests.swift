import Testing
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport

/// What each architecture of decoders makes of its description, and what it refuses.
struct DecoderArchitectureTests {
  /// A description with the sizes that all have.
  static func described(
    _ type: String, _ changes: [(String, JSONValue?)] = [], layers: Int = 6
  ) throws(ModelError) -> LLaMAConfig {
    var object = JSONObject()
    let sizes: [(String, JSONValue?)] = [
      ("model_type", .string(type)), ("hidden_size", 36), ("intermediate_size", 50),
      ("num_hidden_layers", .int(layers)), ("num_attention_heads", 3), ("num_key_value_heads", 1),
      ("vocab_size", 60),
    ]
    var members: [(String, JSONValue?)] = []
    for (key, value) in sizes + changes {
      members.removeAll { $0.0 == key }
      members.append((key, value))
    }
    for (key, value) in members { if let value { object.set(key, value) } }
    return try LLaMAConfig(huggingFace: .object(object))
  }

  static func refusal(
    _ type: String, _ changes: [(String, JSONValue?)], layers: Int = 6
  ) -> String? {
    thrownError(ModelError.self) { try described(type, changes, layers: layers) }?.description
  }

  @Test("what a file leaves out is what transformers' class takes")
  func defaults() throws {
    let qwen = try Self.described("qwen3")
    #expect(qwen.headDimension == 128)
    #expect(qwen.epsilon == 1e-6)
    #expect(qwen.traits == DecoderTraits(queryNorms: .heads))
    #expect(!qwen.tiedEmbeddings && !qwen.attentionBias)
    let smol = try Self.described("smollm3", layers: 4)
    #expect(smol.ropeBase == 2_000_000 && smol.tiedEmbeddings)
    #expect(smol.traits.layers.map(\.rotation) == [.global, .global, .global, .none])
    let phi = try Self.described("phi3")
    #expect(phi.epsilon == 1e-5 && phi.contextLength == 4096)
    #expect(phi.traits == DecoderTraits())
    let gemma = try Self.described("gemma2", layers: 3)
    #expect(gemma.headDimension == 256 && gemma.tiedEmbeddings && gemma.contextLength == 8192)
    #expect(
      gemma.traits
        == DecoderTraits(
          scoreScale: 1.0 / 16, scoreCap: 50, logitCap: 30, embeddingScale: 6,
          activation: .geluTanh, norms: .around,
          layers: [LayerTraits(window: 4096), LayerTraits(), LayerTraits(window: 4096)]))
  }

  @Test("Granite's multipliers are 1 where its file is silent, those of pictures too")
  func granite() throws {
    let silent = try Self.described("granite")
    #expect(silent.epsilon == 1e-6 && silent.traits == DecoderTraits(scoreScale: 1))
    let config = try Self.described(
      "granite",
      [
        ("embedding_multiplier", 12), ("attention_multiplier", 0.0625),
        ("residual_multiplier", 0.5), ("logits_scaling", 8),
      ])
    #expect(
      config.traits
        == DecoderTraits(
          scoreScale: 0.0625, logitScale: 0.125, embeddingScale: 12, pictureScale: 12,
          residualScale: 0.5))
    #expect(try LLaMAConfig(json: config.json) == config)
  }

  @Test("of OLMo 3 three of four layers slide, and turn without the scaling of the others")
  func olmo() throws {
    let second = try Self.described("olmo2", layers: 4)
    #expect(second.epsilon == 1e-5)
    #expect(second.traits == DecoderTraits(norms: .behind, queryNorms: .whole))
    let third = try Self.described("olmo3", layers: 5)
    let sliding = LayerTraits(window: 4096)
    #expect(third.traits.layers == [sliding, sliding, sliding, LayerTraits(), sliding])
    let scaled = try Self.described(
      "olmo3",
      [
        ("rope_scaling", ["rope_type": "yarn", "factor": 8.0]), ("rope_theta", 500_000.0),
        ("sliding_window", 64),
      ], layers: 5)
    let local = LayerTraits(rotation: .local, window: 64)
    #expect(scaled.traits.layers == [local, local, local, LayerTraits(), local])
    #expect(scaled.traits.localBase == 500_000)
    // In transformers 4, which writes this form, `rope_theta` is that of both kinds of layer; so it is in
    // the form of transformers 5 that says so.
    let yarn: JSONValue = ["rope_type": "yarn", "factor": 8.0]
    let older = try Self.described(
      "olmo3", [("rope_scaling", yarn), ("rope_theta", 700.0)], layers: 5)
    let newer = try Self.described(
      "olmo3",
      [
        (
          "rope_parameters",
          [
            "full_attention": ["rope_type": "yarn", "factor": 8.0, "rope_theta": 700.0],
            "sliding_attention": ["rope_type": "default", "rope_theta": 700.0],
          ]
        )
      ], layers: 5)
    #expect(older == newer && older.traits.localBase == 700)
    #expect(try LLaMAConfig(json: scaled.json) == scaled)
    // Readers that do not know norms of the whole width find no boolean.
    #expect(scaled.json["traits"]?["norms_heads"] == "whole")
  }

  @Test("the 4B's file of Gemma 3 leaves out its heads and its vocabulary")
  func gemma3() throws {
    let config = try Self.described(
      "gemma3_text",
      [
        ("num_attention_heads", nil), ("num_key_value_heads", nil), ("vocab_size", nil),
        ("sliding_window", 1024), ("rope_scaling", ["factor": 8.0, "rope_type": "linear"]),
      ], layers: 7)
    #expect(config.heads == 8 && config.keyValueHeads == 4 && config.vocabulary == 262_208)
    #expect(config.ropeBase == 1_000_000 && config.ropeScaling == .linear(factor: 8))
    #expect(config.traits.localBase == 10_000 && config.traits.scoreCap == nil)
    let local = LayerTraits(rotation: .local, window: 1024)
    #expect(
      config.traits.layers == [local, local, local, local, local, LayerTraits(), local])
  }

  @Test("transformers 5 describes the rotation of each type of Gemma 3's layers by itself")
  func nested() throws {
    let config = try Self.described(
      "gemma3_text",
      [
        (
          "rope_parameters",
          [
            "full_attention": ["rope_type": "linear", "factor": 2.0, "rope_theta": 500.0],
            "sliding_attention": ["rope_type": "default", "rope_theta": 70.0],
          ]
        )
      ])
    #expect(config.ropeBase == 500 && config.ropeScaling == .linear(factor: 2))
    #expect(config.traits.localBase == 70)
    #expect(try LLaMAConfig(json: config.json) == config)
  }

  @Test("of Gemma 3 a rotation that no type of layer has is left out, as transformers 5 does")
  func flat() throws {
    let config = try Self.described(
      "gemma3_text", [("rope_parameters", ["rope_type": "default", "rope_theta": 5000.0])])
    #expect(config.ropeBase == 1_000_000 && config.traits.localBase == 10_000)
  }

  @Test("LongRoPE's attention factor follows from the two lengths, unless it is stated")
  func longRoPE() throws {
    let factors: JSONValue = [1.0, 2.0, 3.0]
    var rotation: JSONObject = JSONObject()
    rotation.set("type", "longrope")
    rotation.set("short_factor", factors)
    rotation.set("long_factor", factors)
    func scaling(_ changes: [(String, JSONValue?)]) throws -> RotaryScaling {
      try Self.described(
        "phi3",
        [
          ("max_position_embeddings", 131_072), ("original_max_position_embeddings", 4096),
          ("partial_rotary_factor", 0.5), ("rope_scaling", .object(rotation)),
        ] + changes
      ).ropeScaling
    }
    func attention(_ scaling: RotaryScaling) -> Double {
      guard case .longRoPE(let rope) = scaling else { return 0 }
      return rope.attention
    }
    #expect(abs(attention(try scaling([])) - 1.1902380714) < 1e-9)
    #expect(attention(try scaling([("max_position_embeddings", 4096)])) == 1)
    rotation.set("attention_factor", 1.5)
    #expect(attention(try scaling([])) == 1.5)
  }

  static let refused: [(type: String, key: String, value: JSONValue, word: String)] = [
    ("qwen3", "hidden_act", "gelu", "silu"), ("qwen3", "num_experts", 8, "num_experts"),
    ("qwen3", "head_dim", 7, "even"), ("qwen3", "layer_types", ["full_attention"], "6"),
    ("smollm3", "no_rope_layers", [1, 0], "no_rope_layers"),
    ("smollm3", "no_rope_layers", [1, 1, 1, 2, 1, 1], "no_rope_layers"),
    ("smollm3", "no_rope_layer_interval", 0, "no_rope_layer_interval"),
    ("phi3", "partial_rotary_factor", 0, "partial_rotary_factor"),
    ("phi3", "partial_rotary_factor", 1.5, "partial_rotary_factor"),
    ("phi3", "partial_rotary_factor", 0.1, "rotary_dimension"),
    ("phi3", "lm_head_bias", true, "lm_head_bias"),
    ("phi3", "attention_bias", true, "attention_bias"),
    ("phi3", "rope_scaling", ["type": "linear", "factor": 2.0], "linear"),
    ("phi3", "rope_scaling", ["type": "longrope"], "short_factor"),
    (
      "phi3", "rope_scaling", ["type": "longrope", "short_factor": [1.0], "long_factor": [1.0]],
      "6, one for each"
    ),
    (
      "phi3", "rope_scaling",
      ["type": "longrope", "short_factor": "x", "long_factor": [1.0]], "short_factor"
    ),
    (
      "phi3", "rope_scaling",
      ["type": "longrope", "short_factor": [1.0], "long_factor": [1.0], "short_mscale": 1.2],
      "short_mscale"
    ),
    ("gemma2", "hidden_activation", "relu", "hidden_activation"),
    ("gemma2", "query_pre_attn_scalar", 0, "query_pre_attn_scalar"),
    ("gemma2", "attn_logit_softcapping", -1.0, "score_cap"),
    ("gemma2", "final_logit_softcapping", 1e30, "logit_cap"),
    ("gemma2", "sliding_window", 0, "sliding_window"),
    ("gemma2", "use_bidirectional_attention", true, "use_bidirectional_attention"),
    ("gemma3_text", "attn_logit_softcapping", 50.0, "attn_logit_softcapping"),
    ("gemma3_text", "rope_local_base_freq", 0, "local_base"),
    ("gemma3_text", "sliding_window_pattern", 0, "sliding_window_pattern"),
    (
      "gemma3_text", "rope_parameters",
      ["sliding_attention": ["rope_type": "linear", "factor": 2.0]], "linear"
    ),
    ("granite", "logits_scaling", 0, "logits_scaling"),
    ("granite", "residual_multiplier", -0.5, "residual_multiplier"),
    ("granite", "num_local_experts", 8, "num_local_experts"),
    ("granitemoe", "hidden_size", 36, "granitemoe"),
    ("olmo2", "sliding_window", 64, "sliding_window"), ("olmo2", "clip_qkv", 8.0, "clip_qkv"),
    ("olmo3", "layer_types", ["full_attention"], "6"), ("olmo", "hidden_size", 36, "olmo"),
    ("gemma3n_text", "hidden_size", 36, "gemma3n_text"), ("gemma", "hidden_size", 36, "gemma"),
  ]

  @Test("other arithmetic, and numbers that no model has, are refused by name", arguments: refused)
  func refusals(type: String, key: String, value: JSONValue, word: String) throws {
    let text = try #require(Self.refusal(type, [(key, value)]), "\(key) was accepted")
    #expect(text.contains(word), "\(text)")
  }

  static let damaged: [(key: String, value: JSONValue)] = [
    ("score_scale", 0), ("score_cap", -1.0), ("logit_cap", 1e30), ("embedding_scale", 0),
    ("logit_scale", 0), ("picture_scale", -1.0), ("residual_scale", 1e30),
    ("norms_heads", "half"), ("norms_heads", 1),
    ("activation", "tanh"), ("norms", "inside"), ("rotary_dimension", 5), ("rotary_dimension", 400),
    ("local_base", 1), ("local_base", .null), ("layers", [["rotation": "global"]]),
    ("layers", [["rotation": "sideways"], ["rotation": "none"]]), ("layers", 2),
    ("layers", [["rotation": "none", "window": 0], ["rotation": "none"]]),
    ("rope_base", 0.5), ("rope_scaling", ["type": "longrope"]),
  ]

  @Test("a damaged container's traits are refused", arguments: damaged)
  func damages(key: String, value: JSONValue) throws {
    let config = try Self.described(
      "gemma3_text", [("sliding_window_pattern", 2), ("final_logit_softcapping", 20.0)], layers: 2)
    #expect(try LLaMAConfig(json: config.json) == config)
    var object = try #require(config.json.objectValue)
    var traits = try #require(object["traits"]?.objectValue)
    traits.set(key, value)
    object.set("traits", .object(traits))
    let json = JSONValue.object(object)
    #expect(throws: ModelError.self) { try LLaMAConfig(json: json) }
  }

  @Test("every architecture is known by its class and its type, and says so in messages")
  func stated() {
    for (name, type) in [
      ("Qwen3ForCausalLM", "qwen3"), ("SmolLM3ForCausalLM", "smollm3"),
      ("Phi3ForCausalLM", "phi3"), ("Gemma2ForCausalLM", "gemma2"),
      ("GraniteForCausalLM", "granite"), ("Olmo2ForCausalLM", "olmo2"),
      ("Olmo3ForCausalLM", "olmo3"), ("Gemma3ForCausalLM", "gemma3_text"),
      ("Gemma3ForConditionalGeneration", "gemma3"),
    ] {
      #expect(Registry.unknownClass(in: ["architectures": [.string(name)]]) == nil)
      #expect(Registry.unknownClass(in: ["model_type": .string(type)]) == nil)
    }
    #expect(Registry.statedPatterns(besides: "BertModel").contains("Gemma3…"))
    for name in ["Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl"] {
      let patterns = Registry.statedPatterns(besides: name)
      #expect(patterns.contains("Qwen2ForCausalLM") && !patterns.contains("Qwen2…"), "\(patterns)")
    }
  }
}
