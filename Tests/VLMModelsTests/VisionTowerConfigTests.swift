import Testing
import VLMFoundation
import VLMModels
import VLMTensor

/// Geometry of CLIP's transformer, LLaVA-HR's tower and open_clip's pair, read from tensors and from
/// containers that may say anything.
struct VisionTowerConfigTests {
  static let encoder = TransformerConfig(
    width: 8, layers: 4, heads: 2, hidden: 16, activation: .quickGELU)

  static let clip = ViTConfig(
    imageSize: 336, patchSize: 14, encoder: encoder, feature: .patches, usesClassToken: false)

  static func stage(_ channels: Int, downsample: Bool) -> JSONValue {
    var stage = JSONObject()
    stage.set("depth", 1)
    stage.set("channels", .int(channels))
    stage.set("hidden", .int(4 * channels))
    stage.set("kernel", 7)
    stage.set("dilation", 1)
    if downsample {
      stage.set(
        "downsample",
        ["kernel": 2, "stride": 2, "dilation": 1, "padding": 0, "trailing_padding": 0])
    }
    return .object(stage)
  }

  /// A ConvNeXt of stride 32, its head as given.
  static func convNeXt(head: JSONValue) -> JSONValue {
    let stages: [JSONValue] = [
      stage(4, downsample: false), stage(8, downsample: true), stage(8, downsample: true),
      stage(12, downsample: true),
    ]
    return [
      "input_channels": 3, "stem": ["type": "patch", "size": 4], "stem_channels": 4,
      "stages": .array(stages), "layer_scale": true, "grn": false, "convolution_bias": true,
      "activation": "gelu", "epsilon": 1e-6, "head_epsilon": 1e-6, "head": head,
    ]
  }

  static let trunk: JSONValue = ["norm_before_pool": false, "norm_after_pool": false]

  static func tower(_ side: Int) throws -> MultiResolutionConfig {
    MultiResolutionConfig(
      imageSize: side, fast: clip, slow: try ConvNeXtConfig(json: convNeXt(head: trunk)),
      usesAdapters: true)
  }

  /// `json` with the value at a dotted path replaced, or taken away.
  static func changed(_ json: JSONValue, _ path: String, _ value: JSONValue?) -> JSONValue {
    var object = JSONObject()
    let part = path.split(separator: ".", maxSplits: 1).map(String.init)
    for member in json.objectValue?.members ?? [] {
      guard member.key == part[0] else {
        object.set(member.key, member.value)
        continue
      }
      if part.count > 1 {
        object.set(member.key, changed(member.value, part[1], value))
      } else if let value {
        object.set(member.key, value)
      }
    }
    return .object(object)
  }

  @Test("every description is what was written of it")
  func roundTrip() throws {
    let head: JSONValue = [
      "norm_before_pool": false, "norm_after_pool": true, "outputs": 6, "output_bias": false,
      "meaning": "embedding",
    ]
    let joint = try ConvNeXtConfig(json: Self.convNeXt(head: head))
    let text = TextTowerConfig(
      vocabulary: 50, contextLength: 9, encoder: Self.encoder, embedding: 6)
    var pooled = Self.clip
    pooled.feature = .pooled
    pooled.usesClassToken = true
    var projected = pooled
    projected.projection = 6
    projected.layout = .openCLIP
    var separate = text
    separate.layout = .huggingFace
    separate.endToken = 3
    var simple = joint
    simple.norm = .simple
    let descriptions: [ModelDescription] = [
      ModelDescription(ViTFamily.self, pooled), ModelDescription(ViTFamily.self, projected),
      ModelDescription(ConvNeXtFamily.self, simple),
      ModelDescription(CLIPFamily.self, CLIPConfig(image: joint, text: text)),
      ModelDescription(CLIPFamily.self, CLIPConfig(image: projected, text: separate)),
    ]
    for description in descriptions {
      let read = try ModelDescription(json: description.json)
      #expect(read == description)
      let specs = try description.manifest()
      #expect(Set(specs.map(\.path)).count == specs.count)
    }
    let towers: [any VisionTowerConfig] = [Self.clip, try Self.tower(384)]
    for tower in towers {
      let read = try Registry.tower(json: Registry.json(of: tower))
      #expect(Registry.json(of: read) == Registry.json(of: tower))
    }
  }

  static let hostile: [(String, JSONValue?)] = [
    ("image_size", .int(0)), ("image_size", .int(512)), ("image_size", .int(Int.max)),
    ("image_size", .string("384")), ("image_size", nil), ("adapters", nil),
    ("fast", nil), ("slow", nil), ("fast.patch_size", .int(0)), ("fast.patch_size", .int(-14)),
    ("fast.patch_size", .int(400)), ("fast.image_size", .int(13)),
    ("fast.class_token", .bool(true)),
    ("fast.feature", .string("pooled")), ("fast.feature", .string("everything")),
    ("fast.encoder.heads", .int(0)), ("fast.encoder.heads", .int(3)),
    ("fast.encoder.layers", .int(6)), ("fast.encoder.layers", .int(Int.max)),
    ("fast.encoder.width", .int(1 << 40)), ("fast.encoder.hidden", .int(-1)),
    ("fast.encoder.activation", .string("tanh")), ("fast.encoder.epsilon", .double(0)),
    ("slow.input_channels", .int(4)),
  ]

  @Test("a tower's description with a value out of range is refused", arguments: hostile)
  func refused(_ change: (path: String, value: JSONValue?)) throws {
    let json = Self.changed(try Self.tower(384).json, change.path, change.value)
    #expect(throws: ModelError.self) { try MultiResolutionConfig(json: json) }
  }

  @Test(
    "sizes give upstream's numbers of tokens",
    arguments: [(384, 576), (768, 576), (1024, 1024), (1536, 2304), (32, 576)])
  func tokens(_ side: Int, _ expected: Int) throws {
    let count = try Self.tower(side).tokenCount()
    #expect(count == expected)
  }

  @Test("a model whose layers are no multiple of four has no places for adapters")
  func quarters() throws {
    var odd = try Self.tower(384)
    odd.fast.encoder.layers = 6
    #expect(throws: ModelError.self) { try odd.validate() }
    odd.usesAdapters = false
    try odd.validate()
  }

  /// The tensors of a tower by upstream's names.
  static func names(_ config: ViTConfig) -> [(name: String, shape: [Int])] {
    let (width, hidden) = (config.encoder.width, config.encoder.hidden)
    var names: [(name: String, shape: [Int])] = [
      ("vision_model.embeddings.class_embedding", [width]),
      ("vision_model.embeddings.patch_embedding.weight", [width, 3, 14, 14]),
      ("vision_model.embeddings.position_embedding.weight", [config.tableRows, width]),
      ("vision_model.embeddings.position_ids", [1, config.tableRows]),
      ("vision_model.pre_layrnorm.weight", [width]), ("vision_model.pre_layrnorm.bias", [width]),
      ("vision_model.post_layernorm.weight", [width]),
      ("vision_model.post_layernorm.bias", [width]),
    ]
    for layer in 0..<config.encoder.layers {
      let scope = "vision_model.encoder.layers.\(layer)."
      names.append((scope + "mlp.fc1.weight", [hidden, width]))
      names.append((scope + "self_attn.q_proj.weight", [width, width]))
    }
    return names
  }

  static let described: JSONValue = ["vision_config": ["num_attention_heads": 2]]

  @Test("layers behind the selected one and the last norm are left out")
  func selection() throws {
    let found = try #require(
      try ViTCheckpoint(
        names: Self.names(Self.clip), description: Self.described,
        .init(feature: .patches, layers: [-2])))
    #expect(found.config.encoder.layers == 3 && found.config.encoder.heads == 2)
    #expect(found.tensors["layers.2.mlp.fc1.weight"] != nil)
    #expect(found.tensors["layers.3.mlp.fc1.weight"] == nil)
    #expect(found.tensors["post_norm.weight"] == nil)
    #expect(found.unused == ["vision_model.embeddings.position_ids"])
    for layer in [5, -6, Int.min, Int.max] {
      #expect(throws: ModelError.self) {
        try ViTCheckpoint(
          names: Self.names(Self.clip), description: Self.described,
          .init(feature: .patches, layers: [layer]))
      }
    }
  }

  static let contradictions: [JSONValue] = [
    ["hidden_size": 9], ["num_hidden_layers": 5], ["patch_size": 16], ["image_size": 224],
    ["num_attention_heads": "two"], ["num_attention_heads": 3], ["hidden_act": "relu"],
    ["intermediate_size": 1], ["layer_norm_eps": 2],
  ]

  @Test("a description that is another model's is refused", arguments: contradictions)
  func contradiction(_ description: JSONValue) {
    #expect(throws: ModelError.self) {
      try ViTCheckpoint(
        names: Self.names(Self.clip), description: description, .init(feature: .pooled))
    }
  }

  @Test("a position table that is no square, or missing, is refused by name")
  func positions() {
    var names = Self.names(Self.clip)
    let place = 2
    names[place].shape = [600, 8]
    #expect(throws: ModelError.self) {
      try ViTCheckpoint(names: names, description: nil, .init(feature: .pooled))
    }
    names.remove(at: place)
    let beside = "vision_model.embeddings.patch_embedding.weight"
    #expect(throws: ModelError(.missingTensor("embeddings.position", beside: beside))) {
      try ViTCheckpoint(names: names, description: nil, .init(feature: .pooled))
    }
  }
}
