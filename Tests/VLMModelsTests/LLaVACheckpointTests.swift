import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMModels

/// ConvLLaVA-7B as released, from names and shapes alone.
struct LLaVACheckpointTests {
  static let depths = [3, 3, 27, 3, 6]
  static let widths = [192, 384, 768, 1536, 3072]

  /// transformers' names of the five-stage tower.
  static func tower(finalNorm: Bool = false) -> [CheckpointFacts.Name] {
    var names: [CheckpointFacts.Name] = []
    func add(_ name: String, _ weight: [Int]) {
      names.append((name + ".weight", weight))
      names.append((name + ".bias", [weight[0]]))
    }
    add("embeddings.patch_embeddings", [192, 3, 4, 4])
    add("embeddings.layernorm", [192])
    for (stage, width) in widths.enumerated() {
      let scope = "encoder.stages.\(stage)"
      if stage > 0 {
        add("\(scope).downsampling_layer.0", [widths[stage - 1]])
        add("\(scope).downsampling_layer.1", [width, widths[stage - 1], 2, 2])
      }
      for block in 0..<depths[stage] {
        let layer = "\(scope).layers.\(block)"
        names.append(("\(layer).layer_scale_parameter", [width]))
        add("\(layer).dwconv", [width, 1, 7, 7])
        add("\(layer).layernorm", [width])
        add("\(layer).pwconv1", [4 * width, width])
        add("\(layer).pwconv2", [width, 4 * width])
      }
    }
    if finalNorm { add("layernorm", [3072]) }
    return names
  }

  static func language() -> [CheckpointFacts.Name] {
    var names: [CheckpointFacts.Name] = [
      ("model.embed_tokens.weight", [32000, 4096]), ("model.norm.weight", [4096]),
      ("lm_head.weight", [32000, 4096]),
    ]
    for layer in 0..<32 {
      let scope = "model.layers.\(layer)"
      for matrix in ["q", "k", "v", "o"] {
        names.append(("\(scope).self_attn.\(matrix)_proj.weight", [4096, 4096]))
      }
      for matrix in ["gate", "up"] {
        names.append(("\(scope).mlp.\(matrix)_proj.weight", [11008, 4096]))
      }
      names.append(("\(scope).mlp.down_proj.weight", [4096, 11008]))
      for norm in ["input", "post_attention"] {
        names.append(("\(scope).\(norm)_layernorm.weight", [4096]))
      }
      names.append(("\(scope).self_attn.rotary_emb.inv_freq", [64]))
    }
    return names
  }

  static let projector: [CheckpointFacts.Name] = [
    ("model.mm_projector.0.weight", [4096, 3072]), ("model.mm_projector.0.bias", [4096]),
    ("model.mm_projector.2.weight", [4096, 4096]), ("model.mm_projector.2.bias", [4096]),
  ]

  static func description(_ changes: [(String, JSONValue)] = []) -> JSONValue {
    var object = JSONObject()
    let members: [(String, JSONValue)] = [
      ("architectures", ["LlavaLlamaForCausalLM"]), ("model_type", "llava_llama"),
      ("vocab_size", 32000), ("hidden_size", 4096), ("num_hidden_layers", 32),
      ("num_attention_heads", 32), ("intermediate_size", 11008), ("rms_norm_eps", 1e-5),
      ("max_position_embeddings", 4096), ("mm_vision_tower", "somewhere"),
      ("mm_projector_type", "mlp2x_gelu"), ("mm_hidden_size", 3072),
      ("mm_vision_select_layer", -1), ("tokenizer_model_max_length", 2048),
    ]
    for (key, value) in members + changes { object.set(key, value) }
    return .object(object)
  }

  /// The tower's names behind what a layout puts before them.
  static func facts(
    _ prefix: String, finalNorm: Bool = false, _ changes: [(String, JSONValue)] = []
  ) -> CheckpointFacts {
    let tower = tower(finalNorm: finalNorm).map { (name: prefix + $0.name, shape: $0.shape) }
    var names = language()
    names += projector
    names += tower
    return CheckpointFacts(names: names, description: description(changes))
  }

  static func parameters(_ manifest: [TensorSpec]) -> Int {
    manifest.reduce(0) { $0 + $1.shape.reduce(1, *) }
  }

  @Test(
    "the manifest has the published number of parameters in every layout",
    arguments: [CheckpointFacts.towerPrefix, "model.vision_tower.vision_tower."], [false, true])
  func layouts(_ prefix: String, _ finalNorm: Bool) throws {
    let found = try #require(
      try ModelCheckpoint.recognise(Self.facts(prefix, finalNorm: finalNorm)))
    let manifest = try found.description.manifest()
    #expect(Self.parameters(manifest) == 7_436_945_600)
    #expect(manifest.filter { $0.path.hasPrefix("tower.") }.count == 398)
    #expect(found.unused.isEmpty)
    #expect(Set(found.tensors.keys) == Set(manifest.map(\.path)))
    for spec in manifest { #expect(found.tensors[spec.path]?.shape == spec.shape) }
    guard let config = found.description.config as? LLaVAConfig else {
      Issue.record("a LLaVA")
      return
    }
    #expect(config.tower.geometry.stride == 64)
    #expect(config.promptLimit == 2048)
    #expect(config.projector == ProjectorConfig(layers: 2, inputs: 3072, outputs: 4096))
    #expect(try ModelDescription(json: found.description.json) == found.description)
  }

  @Test("weights among the shards are preferred to those of a folder, and a note says so")
  func both() throws {
    let embedded = Self.facts("model.vision_tower.vision_tower.")
    let folder = Self.tower().map { name in
      (name: CheckpointFacts.towerPrefix + name.name, shape: name.shape)
    }
    let facts = CheckpointFacts(
      names: embedded.names + folder, description: embedded.description)
    let found = try #require(try ModelCheckpoint.recognise(facts))
    #expect(
      found.tensors["tower.stem.0.weight"]?.original
        == "model.vision_tower.vision_tower.embeddings.patch_embeddings.weight")
    #expect(found.notes.count == 1)
  }

  @Test("select layer -2 is the last stage without its last block")
  func selectLayer() throws {
    let facts = Self.facts(CheckpointFacts.towerPrefix, [("mm_vision_select_layer", -2)])
    let found = try #require(try ModelCheckpoint.recognise(facts))
    guard let config = found.description.config as? LLaVAConfig,
      let tower = config.tower as? ConvNeXtConfig
    else {
      Issue.record("a ConvNeXt tower")
      return
    }
    #expect(tower.stages.map(\.depth) == [3, 3, 27, 3, 5])
    let manifest = try found.description.manifest()
    #expect(Set(found.tensors.keys) == Set(manifest.map(\.path)))
  }

  static let refused: [(String, JSONValue)] = [
    ("mm_vision_select_layer", -3), ("mm_vision_select_layer", "-1"),
    ("mm_projector_type", "mlp99x_gelu"), ("mm_projector_type", "resampler"),
    ("mm_projector_type", "identity"), ("mm_hidden_size", 1536),
    ("mm_use_im_start_end", true), ("tokenizer_model_max_length", 0),
    ("hidden_size", 1_099_511_627_776), ("num_hidden_layers", -1),
  ]

  @Test("a description that cannot be is refused, naming the field", arguments: refused)
  func refuses(_ key: String, _ value: JSONValue) {
    let facts = Self.facts(CheckpointFacts.towerPrefix, [(key, value)])
    let error = thrownError(ModelError.self) { try ModelCheckpoint.recognise(facts) }
    #expect(error != nil, "\(key)")
  }

  @Test("no configuration at all is refused")
  func undescribed() {
    let facts = CheckpointFacts(names: Self.facts(CheckpointFacts.towerPrefix).names)
    let error = thrownError(ModelError.self) { try ModelCheckpoint.recognise(facts) }
    #expect(error?.description.contains("config.json") ?? false)
  }

  @Test("a language model without a projector is no LLaVA")
  func textOnly() throws {
    let plain = Self.description([("mm_vision_tower", .null), ("model_type", "llama")])
    let found = try LLaVACheckpoint.recognise(
      CheckpointFacts(names: Self.language(), description: plain))
    #expect(found == nil)
  }

  static let damaged: [(String, JSONValue)] = [
    ("tower", .null), ("tower", ["type": "lens"]), ("projector", ["layers": 2]),
    ("projector", ["layers": 2, "inputs": 64, "outputs": 4096]),
    ("projector", ["layers": 2, "inputs": 3072, "outputs": 64]), ("language", .null),
    ("prompt_limit", -5), ("prompt_limit", "many"),
  ]

  @Test("a container's damaged configuration is refused", arguments: damaged)
  func damagedConfiguration(_ key: String, _ value: JSONValue) throws {
    let found = try #require(
      try ModelCheckpoint.recognise(Self.facts(CheckpointFacts.towerPrefix)))
    var inner = try #require(found.description.json["llava"]?.objectValue)
    inner.set(key, value)
    let json: JSONValue = ["architecture": "llava", "llava": .object(inner)]
    let error = thrownError(ModelError.self) { try ModelDescription(json: json) }
    #expect(error != nil, "\(key)")
  }
}

extension LLaVACheckpointTests {
  @Test("two names of a token that contradict each other are refused")
  func contradictoryTokens() throws {
    func check(_ json: JSONValue) throws(ModelError) {
      try ConfigFields(json, path: "config.json").checkPictureTokens([])
    }
    try check(["image_token_index": 5, "image_token_id": 5, "video_token_id": 6])
    for kind in ["image", "video"] {
      let error = thrownError(ModelError.self) {
        try check(
          .object(
            [("\(kind)_token_index", 5), ("\(kind)_token_id", 6)].reduce(into: JSONObject()) {
              $0.set($1.0, $1.1)
            }))
      }
      #expect(error?.description.contains("\(kind)_token_id: found 6, expected 5") == true)
    }
  }
}
