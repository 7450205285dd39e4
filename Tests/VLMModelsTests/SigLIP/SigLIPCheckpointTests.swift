import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMModels

/// What makes a SigLIP of a checkpoint's names, shapes and description.
struct SigLIPCheckpointTests {
  /// Tensors of the smallest tower, by transformers' names.
  static let names: [CheckpointFacts.Name] = {
    var names: [CheckpointFacts.Name] = [
      ("vision_model.embeddings.patch_embedding.weight", [8, 3, 14, 14]),
      ("vision_model.embeddings.patch_embedding.bias", [8]),
      ("vision_model.embeddings.position_embedding.weight", [9, 8]),
      ("vision_model.post_layernorm.weight", [8]), ("vision_model.post_layernorm.bias", [8]),
      ("vision_model.head.probe", [1, 1, 8]),
      ("vision_model.head.attention.in_proj_weight", [24, 8]),
    ]
    for layer in 0..<3 {
      let scope = "vision_model.encoder.layers.\(layer)."
      names.append((scope + "mlp.fc1.weight", [16, 8]))
      names.append((scope + "self_attn.q_proj.weight", [8, 8]))
    }
    return names
  }()

  static let described: JSONValue = [
    "model_type": "siglip_vision_model", "hidden_size": 8, "num_attention_heads": 2,
    "image_size": 50, "patch_size": 14, "num_hidden_layers": 3, "intermediate_size": 16,
  ]

  static func changed(_ json: JSONValue, _ key: String, _ value: JSONValue?) -> JSONValue {
    var object = JSONObject()
    for member in json.objectValue?.members ?? [] where member.key != key {
      object.set(member.key, member.value)
    }
    if let value { object.set(key, value) }
    return .object(object)
  }

  @Test("geometry is the tensors', and what they do not say is the class's default")
  func geometry() throws {
    let found = try #require(
      try SigLIPCheckpoint(Self.names, Self.described, .image))
    #expect(found.config.imageSize == 50 && found.config.tableSide == 3)
    #expect(found.config.feature == .attentionPooled && found.config.encoder.heads == 2)
    #expect(found.config.encoder.activation == .geluTanh && found.config.encoder.epsilon == 1e-6)
    #expect(found.tensors["head.probe"]?.shape == [8])
    #expect(found.unused.isEmpty && found.unexpected.isEmpty && found.notes.isEmpty)
    // Google's files leave out what is a default, heads among it: 12, which do not divide 8.
    let silent = Self.changed(Self.described, "num_attention_heads", nil)
    #expect(throws: ModelError.self) { try SigLIPCheckpoint(Self.names, silent, .image) }
    let bare = try #require(try SigLIPCheckpoint(Self.names, nil, .image))
    #expect(bare.config.encoder.heads == 1 && bare.config.imageSize == 42)
    #expect(
      bare.notes == [
        """
        no config.json beside the weights: assuming 1 head, a guess, as no SigLIP of Google's has 8 \
        columns
        """
      ])
  }

  @Test("layers behind the selected one, the last norm and the head are left out of a LLaVA")
  func selection() throws {
    let found = try #require(try SigLIPCheckpoint(Self.names, Self.described, .layers([-2])))
    #expect(found.config.encoder.layers == 2 && found.config.feature == .patches)
    #expect(found.tensors["layers.1.mlp.fc1.weight"] != nil)
    #expect(found.tensors["layers.2.mlp.fc1.weight"] == nil)
    #expect(found.tensors.keys.allSatisfy { !$0.hasPrefix("head.") && !$0.hasPrefix("post_norm.") })
    #expect(found.unused.count == 6)
    for layer in [0, -4] {
      let first = try #require(try SigLIPCheckpoint(Self.names, Self.described, .layers([layer])))
      #expect(first.config.encoder.layers == 0 && first.unused.count == 10)
    }
    for layer in [4, -5, Int.min, Int.max] {
      #expect(throws: ModelError.self) {
        try SigLIPCheckpoint(Self.names, Self.described, .layers([layer]))
      }
    }
  }

  @Test("a tower with a class token is none, nor is a ViT of timm's that is called otherwise")
  func others() throws {
    var names = Self.names
    names.append(("vision_model.embeddings.class_embedding", [8]))
    #expect(try SigLIPCheckpoint(names, nil, .image) == nil)
    let timm: [CheckpointFacts.Name] = [
      ("patch_embed.proj.weight", [8, 3, 14, 14]), ("patch_embed.proj.bias", [8]),
      ("pos_embed", [1, 9, 8]), ("norm.weight", [8]), ("blocks.0.mlp.fc1.weight", [16, 8]),
    ]
    #expect(try SigLIPCheckpoint(timm, nil, .image) == nil)
    let other: JSONValue = ["architecture": "vit_medium_patch16_gap_240"]
    #expect(try SigLIPCheckpoint(timm, other, .image) == nil)
    let own: JSONValue = ["architecture": "vit_so400m_patch16_siglip_gap_256"]
    let found = try #require(
      try SigLIPCheckpoint(timm, Self.changed(own, "model_args", ["num_heads": 4]), .image))
    #expect(found.config.feature == .patchMean && found.config.encoder.activation == .geluTanh)
    #expect(found.config.encoder.heads == 4 && found.config.resampling == .antialiased)
    #expect(found.tensors["embeddings.position"]?.shape == [9, 8])
  }

  @Test("tensors that nothing explains are said to be")
  func unexpected() throws {
    var names = Self.names
    names.append(("vision_model.encoder.layers.0.layer_scale", [8]))
    names.append(("connector.proj.weight", [8, 8]))
    names.append(("text_model.layers.0.mlp.up_proj.weight", [8, 8]))
    names.append(("text_model.head.weight", [8, 8]))
    names.append(("vision_model.embeddings.position_ids", [1, 9]))
    let found = try #require(try SigLIPCheckpoint(names, Self.described, .image))
    #expect(found.unexpected == names[names.count - 5..<names.count - 2].map(\.name))
    #expect(found.texts.map(\.name) == ["text_model.head.weight"])
    #expect(found.unused.count == 4 && found.notes.isEmpty)
  }

  static let contradictions: [(String, JSONValue)] = [
    ("hidden_size", 9), ("num_hidden_layers", 5), ("patch_size", 16), ("image_size", 224),
    ("num_attention_heads", "two"), ("num_attention_heads", 3), ("hidden_act", "relu"),
    ("hidden_act", 1), ("intermediate_size", 1), ("layer_norm_eps", 2), ("num_register_tokens", 4),
    ("quantization_config", ["quant_method": "gptq"]),
  ]

  @Test("a description that is another model's is refused", arguments: contradictions)
  func contradiction(_ key: String, _ value: JSONValue) {
    let description = Self.changed(Self.described, key, value)
    #expect(throws: ModelError.self) { try SigLIPCheckpoint(Self.names, description, .image) }
  }

  @Test("shapes that no such tower has are refused by name")
  func shapes() {
    func error(_ index: Int, _ shape: [Int]) -> ModelError? {
      var names = Self.names
      names[index].shape = shape
      return thrownError(ModelError.self) { try SigLIPCheckpoint(names, nil, .image) }
    }
    #expect(error(0, [8, 589])?.description.contains("three times the square") == true)
    #expect(error(0, [8, 4, 14, 14])?.description.contains("embeddings.patch.weight") == true)
    #expect(error(0, [8, 3, 14, 13])?.description.contains("embeddings.patch.weight") == true)
    #expect(error(2, [10, 8])?.description.contains("square of a whole number") == true)
    #expect(error(2, [0, 8]) != nil)
    #expect(error(0, [Int.max, 3, 14, 14]) != nil)
  }

  @Test("a matrix in the place of the patches' convolution is SigLIP 2's NaFlex")
  func naFlex() throws {
    var names = Self.names
    names[0].shape = [8, 588]
    let bare = try #require(try SigLIPCheckpoint(names, nil, .image)).config
    #expect(bare.isFlattened && bare.patchSize == 14 && bare.resampling == .antialiasedBilinear)
    #expect(bare.geometry.takesAnyAspect && bare.geometry.trainedSide == nil)
    var described = Self.changed(Self.described, "model_type", "siglip2_vision_model")
    described = Self.changed(described, "image_size", nil)
    let stated = Self.changed(described, "num_patches", 9)
    #expect(try SigLIPCheckpoint(names, stated, .image)?.config.isFlattened == true)
    // The first one has no such model, and no language model sees with it.
    #expect(throws: ModelError.self) { try SigLIPCheckpoint(names, Self.described, .image) }
    #expect(throws: ModelError.self) { try SigLIPCheckpoint(Self.names, described, .image) }
    #expect(throws: ModelError.self) { try SigLIPCheckpoint(names, stated, .layers([-1])) }
    let other = Self.changed(described, "num_patches", 16)
    #expect(throws: ModelError.self) { try SigLIPCheckpoint(names, other, .image) }
  }

  @Test("what transformers' classes write of themselves is known")
  func defaults() throws {
    let all = try TestFiles.json(TestFiles.fixture("siglip/defaults.json"))
    for name in ["SiglipConfig", "SiglipVisionConfig", "Siglip2Config", "Siglip2VisionConfig"] {
      let json = try #require(all[name])
      try ConfigKeys.sigLIP.check(json, name)
      try ConfigKeys.sigLIP.check(json["vision_config"], name)
      try ConfigKeys.sigLIPText.check(json["text_config"], name)
    }
  }

  static let config: JSONValue = [
    "image_size": 50, "patch_size": 14,
    "encoder": [
      "width": 8, "layers": 3, "heads": 2, "hidden": 16, "activation": "gelu_tanh",
      "epsilon": 1e-6,
    ],
    "feature": "attention_pooled", "layout": "hugging-face", "position_resampling": "bicubic",
    "classifier": ["layers": [["type": "linear", "outputs": 3, "bias": true]]],
  ]

  static let hostile: [(String, JSONValue?)] = [
    ("image_size", 13), ("image_size", .int(Int.max)), ("image_size", "50"), ("image_size", nil),
    ("patch_size", 0), ("patch_size", 129), ("encoder", nil), ("feature", "pooled"),
    ("feature", "patches"), ("feature", nil), ("layout", "open_clip"), ("layout", nil),
    ("position_resampling", "linear"), ("position_resampling", nil),
    ("classifier", ["layers": [["type": "linear", "outputs": 0, "bias": true]]]),
    ("joint", true), ("joint", 1), ("flattened_patches", "yes"),
  ]

  @Test("a container's description with a value out of range is refused", arguments: hostile)
  func refused(_ key: String, _ value: JSONValue?) throws {
    let sound = try SigLIPConfig(json: Self.config, path: "siglip")
    #expect(sound.json == Self.config && sound.classCount == 3)
    #expect(throws: ModelError.self) {
      try SigLIPConfig(json: Self.changed(Self.config, key, value), path: "siglip")
    }
  }
}
