import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMModels

/// What makes a SmolVLM of a checkpoint's names, shapes and description.
struct SmolVLMCheckpointTests {
  /// Tensors of a small model, by transformers' names.
  static func names(prefix: String = "model.", hasHead: Bool = true) -> [CheckpointFacts.Name] {
    var names: [CheckpointFacts.Name] = [
      ("vision_model.embeddings.patch_embedding.weight", [32, 3, 4, 4]),
      ("vision_model.embeddings.patch_embedding.bias", [32]),
      ("vision_model.embeddings.position_embedding.weight", [36, 32]),
      ("vision_model.post_layernorm.weight", [32]), ("vision_model.post_layernorm.bias", [32]),
      ("connector.modality_projection.proj.weight", [24, 128]),
      ("text_model.embed_tokens.weight", [50, 24]), ("text_model.norm.weight", [24]),
    ]
    for layer in 0..<2 {
      let scope = "vision_model.encoder.layers.\(layer)."
      for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
        names.append((scope + "self_attn.\(part).weight", [32, 32]))
        names.append((scope + "self_attn.\(part).bias", [32]))
      }
      names.append((scope + "mlp.fc1.weight", [48, 32]))
      names.append((scope + "mlp.fc2.weight", [32, 48]))
      names.append((scope + "layer_norm1.weight", [32]))
    }
    let scope = "text_model.layers.0."
    names.append((scope + "mlp.gate_proj.weight", [40, 24]))
    names.append((scope + "self_attn.q_proj.weight", [24, 24]))
    var all: [CheckpointFacts.Name] = names.map { (prefix + $0.name, $0.shape) }
    if hasHead { all.append(("lm_head.weight", [50, 24])) }
    return all
  }

  static let text: JSONValue = [
    "model_type": "llama", "architectures": ["VLlama3ForCausalLM"], "hidden_size": 24,
    "intermediate_size": 40, "num_hidden_layers": 1, "num_attention_heads": 3, "vocab_size": 50,
    "rope_theta": 5000.0, "qk_layer_norms": false, "use_resampler": false,
    "pixel_shuffle_factor": 2, "neftune_noise_alpha": 0.0,
  ]
  static let vision: JSONValue = ["model_type": "idefics3", "image_size": 26, "patch_size": 4]

  static func described(
    text: JSONValue = Self.text, vision: JSONValue = Self.vision,
    _ changes: [String: JSONValue] = [:]
  ) -> JSONValue {
    var object = JSONObject()
    object.set("architectures", ["Idefics3ForConditionalGeneration"])
    object.set("model_type", "idefics3")
    object.set("text_config", text)
    object.set("vision_config", vision)
    for (key, value) in changes { object.set(key, value) }
    return .object(object)
  }

  static func changed(_ json: JSONValue, _ key: String, _ value: JSONValue?) -> JSONValue {
    var object = JSONObject()
    for member in json.objectValue?.members ?? [] where member.key != key {
      object.set(member.key, member.value)
    }
    if let value { object.set(key, value) }
    return .object(object)
  }

  static func recognised(
    _ names: [CheckpointFacts.Name] = Self.names(), _ description: JSONValue? = described()
  ) throws -> ModelCheckpoint? {
    try ModelCheckpoint.recognise(CheckpointFacts(names: names, description: description))
  }

  static func config(
    _ names: [CheckpointFacts.Name] = Self.names(), _ description: JSONValue? = described()
  ) throws -> SmolVLMConfig {
    let found = try #require(try recognised(names, description))
    return try #require(found.description.config as? SmolVLMConfig)
  }

  @Test("geometry is the tensors', and what they do not say is the class's default")
  func geometry() throws {
    let config = try Self.config()
    #expect(config.vision.imageSize == 26 && config.vision.tableSide == 6)
    #expect(config.vision.encoder.layers == 2 && config.vision.encoder.hidden == 48)
    #expect(config.vision.encoder.heads == 16 && config.vision.shuffle == 2)
    #expect(config.vision.encoder.activation == .geluTanh)
    #expect(config.vision.encoder.epsilon == 1e-6 && config.language.epsilon == 1e-6)
    #expect(config.language.ropeBase == 5000 && config.language.contextLength == 2048)
    #expect(!config.language.tiedEmbeddings && config.vision.geometry.stride == 8)
    let stated = Self.changed(Self.vision, "num_attention_heads", 4)
    #expect(try Self.config(Self.names(), Self.described(vision: stated)).vision.encoder.heads == 4)
    let found = try #require(try Self.recognised())
    #expect(found.unused.isEmpty && found.unexpected.isEmpty)
    #expect(
      found.tensors["tower.layers.1.attention.q.weight"]?.original
        == "model.vision_model.encoder.layers.1.self_attn.q_proj.weight")
    #expect(found.tensors["language.lm_head.weight"]?.original == "lm_head.weight")
    #expect(
      found.tensors["language.layers.0.mlp.gate_proj.weight"]?.original
        == "model.text_model.layers.0.mlp.gate_proj.weight")
  }

  @Test("a language model of another maker is a LLaMA where it is described as one, and no Granite")
  func kin() throws {
    let text: JSONValue = [
      "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 24,
      "intermediate_size": 40, "num_hidden_layers": 1, "num_attention_heads": 3,
      "num_key_value_heads": 1, "head_dim": 8, "vocab_size": 50, "rope_theta": 5000.0,
      "rope_scaling": .null, "attention_bias": false, "mlp_bias": false, "pretraining_tp": 1,
      "rms_norm_eps": 1e-5, "max_position_embeddings": 8192,
    ]
    let config = try Self.config(Self.names(), Self.described(text: text))
    #expect(config.language.traits == DecoderTraits())
    #expect(config.language.keyValueHeads == 1 && config.language.contextLength == 8192)
    // Granite itself multiplies what enters it, pictures too: no such model is known.
    let other = Self.changed(
      Self.changed(text, "model_type", "granite"), "embedding_multiplier", 12)
    let error = thrownError(ModelError.self) {
      try Self.recognised(Self.names(), Self.described(text: other))
    }
    #expect(error?.description.contains("embedding_multiplier") ?? false)
  }

  @Test("the parts are found without the outer prefix, and behind that of a training module")
  func prefixes() throws {
    let wanted = try Self.config()
    #expect(try Self.config(Self.names(prefix: "")) == wanted)
    let wrapped = Self.names().map { (name: "module." + $0.name, shape: $0.shape) }
    #expect(try Self.config(wrapped) == wanted)
  }

  @Test("the head is the table of embeddings where the outer description says so, or none is there")
  func tied() throws {
    func isTied(hasHead: Bool, _ description: JSONValue) throws -> Bool {
      try Self.config(Self.names(hasHead: hasHead), description).language.tiedEmbeddings
    }
    let outer = Self.described(["tie_word_embeddings": true])
    let inner = Self.described(text: Self.changed(Self.text, "tie_word_embeddings", true))
    #expect(try isTied(hasHead: true, outer) && isTied(hasHead: false, outer))
    #expect(try !isTied(hasHead: true, inner) && isTied(hasHead: false, inner))
  }

  @Test("a newer rotation object is read as the older fields are")
  func rotation() throws {
    var text = Self.changed(Self.text, "rope_theta", nil)
    text = Self.changed(
      text, "rope_parameters", ["rope_theta": 5000.0, "rope_type": "default"])
    #expect(try Self.config(Self.names(), Self.described(text: text)) == Self.config())
  }

  static let hostile: [(part: String, key: String, value: JSONValue)] = [
    ("", "scale_factor", 3), ("", "scale_factor", 0), ("", "scale_factor", "two"),
    ("", "image_token_id", 50), ("", "image_token_id", -1),
    ("", "text_config", "none"), ("", "model_type", "paligemma"), ("", "vision_config", .null),
    ("text_config", "use_resampler", true), ("text_config", "qk_layer_norms", true),
    ("text_config", "model_type", "mamba"), ("text_config", "num_attention_heads", 5),
    ("text_config", "rope_scaling", ["rope_type": "odd"]),
    ("vision_config", "num_attention_heads", 5), ("vision_config", "image_size", 60),
    ("vision_config", "hidden_act", "relu"), ("vision_config", "layer_norm_eps", -1),
    ("vision_config", "model_type", "vit"), ("vision_config", "num_channels", 1),
    ("vision_config", "hidden_size", 33), ("vision_config", "qkv_bias", true),
  ]

  @Test("what contradicts the tensors or asks for other arithmetic is refused by its name")
  func refused() throws {
    for (part, key, value) in Self.hostile {
      let description =
        switch part {
        case "text_config": Self.described(text: Self.changed(Self.text, key, value))
        case "vision_config": Self.described(vision: Self.changed(Self.vision, key, value))
        default: Self.described([key: value])
        }
      let error = try #require(
        thrownError(ModelError.self) { try Self.recognised(Self.names(), description) },
        "\(part).\(key)")
      #expect("\(error)".contains(key), "\(part).\(key): \(error)")
    }
    #expect(throws: ModelError.self) { try Self.recognised(Self.names(), nil) }
  }

  @Test("a tensor that is missing or of another shape is refused by its name")
  func shapes() throws {
    let position = "model.vision_model.embeddings.position_embedding.weight"
    for (name, shape, word) in [
      (position, [35, 32], "position"), (position, nil, "position"),
      ("model.vision_model.embeddings.patch_embedding.weight", [32, 1, 4, 4], "patch"),
      ("model.connector.modality_projection.proj.weight", [24, 127], "scale_factor"),
    ] as [(String, [Int]?, String)] {
      var names = Self.names().filter { $0.name != name }
      if let shape { names.append((name, shape)) }
      let error = try #require(
        thrownError(ModelError.self) { try Self.recognised(names) }, "\(name)")
      #expect("\(error)".contains(word), "\(error)")
    }
    let strange = Self.names() + [("model.perceiver.latents", [4, 24])]
    let found = try #require(try Self.recognised(strange))
    #expect(found.unexpected == ["model.perceiver.latents"])
  }

  @Test("what a container says is what was written, and hostile numbers are refused")
  func container() throws {
    let config = try Self.config()
    let json = try JSONValue.parse(Array(config.json.serialized().utf8))
    #expect(try SmolVLMConfig(json: json) == config)
    for (key, value) in [
      ("shuffle", 0), ("shuffle", 17), ("patch_size", 0), ("image_size", 1),
      ("image_size", 1 << 40),
    ] {
      let vision = Self.changed(config.vision.json, key, .int(value))
      let error = thrownError(ModelError.self) {
        try SmolVLMConfig(json: Self.changed(json, "vision", vision))
      }
      #expect("\(try #require(error, "\(key)"))".contains(key))
    }
  }

  @Test("only squares of whole blocks are features")
  func grid() throws {
    let config = try Self.config().vision
    #expect(try config.grid(height: 24, width: 27) == MapExtent(height: 3, width: 3))
    for (height, width) in [(20, 20), (16, 24), (3, 3), (0, 0)] {
      #expect(throws: ModelError.self) { try config.grid(height: height, width: width) }
    }
  }

  @Test("a part of a tile spreads over the table's rows as PyTorch rounds them")
  func buckets() {
    #expect(SmolVLMPositions.buckets(8, 9) == [0, 1, 2, 3, 4, 5, 6, 7])
    #expect(SmolVLMPositions.buckets(3, 9) == [0, 3, 6])
    #expect(SmolVLMPositions.buckets(26, 27).last == 25)
    for side in [26, 27, 32] {
      #expect(SmolVLMPositions.buckets(side, side) == Array(0..<side))
    }
    // torch.bucketize(torch.arange(n) / n, torch.arange(1 / n, 1, 1 / n), right=True)
    #expect(SmolVLMPositions.buckets(19, 19) == Array(0..<12) + [11] + Array(13..<19))
    #expect(
      SmolVLMPositions.buckets(25, 25) == [
        0, 1, 2, 3, 4, 4, 6, 7, 8, 8, 9, 10, 11, 12, 14, 14, 16, 17, 17, 19, 19, 21, 22, 22, 24,
      ])
    #expect(SmolVLMPositions.buckets(1, 1) == [0])
  }
}
