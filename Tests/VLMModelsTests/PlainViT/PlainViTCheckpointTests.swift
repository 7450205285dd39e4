import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMModels

/// What is made of a plain vision transformer's names and description.
struct PlainViTCheckpointTests {
  typealias Names = [CheckpointFacts.Name]

  static func names(_ folder: String) throws -> Names {
    let path = TestFiles.fixture("dinov2/\(folder)/model.safetensors")
    return try SafetensorsFile.read(path: path).tensors.map { ($0.name, $0.shape) }
  }

  static let described: JSONValue = [
    "model_type": "dinov2", "hidden_size": 21, "num_attention_heads": 3, "num_hidden_layers": 3,
    "image_size": 31, "patch_size": 6,
  ]
  static let timmDescribed: JSONValue = [
    "architecture": "vit_tiny_patch16_224", "num_classes": 4,
    "model_args": ["embed_dim": 21, "depth": 2, "num_heads": 3, "img_size": 30],
  ]

  static func text(_ names: Names, _ json: JSONValue?) -> String {
    let error = thrownError(ModelError.self) { try PlainViTCheckpoint(names, json) }
    return error?.description ?? "nothing"
  }

  static func changed(_ json: JSONValue, _ key: String, _ value: JSONValue) -> JSONValue {
    var object = json.objectValue ?? JSONObject()
    object.set(key, value)
    return .object(object)
  }

  @Test("each tensor of the manifest comes from the file, and none is left over")
  func manifest() throws {
    for (folder, json) in [
      ("model", Self.described), ("giant-split", ["num_attention_heads": 3, "hidden_size": 21]),
      ("registers", ["model_type": "dinov2_with_registers", "num_attention_heads": 7]),
      ("timm-vit", Self.timmDescribed), ("timm-giant", nil), ("facebook", nil),
    ] as [(String, JSONValue?)] {
      let names = try Self.names(folder)
      let found = try #require(try PlainViTCheckpoint(names, json), "\(folder)")
      let specs = try ModelDescription(PlainViTFamily.self, found.config).manifest()
      #expect(Set(specs.map(\.path)) == Set(found.tensors.keys), "\(folder)")
      for spec in specs { #expect(found.tensors[spec.path]?.shape == spec.shape, "\(spec.path)") }
      #expect(found.unexpected.isEmpty, "\(folder)")
      #expect(found.tensors.count + found.unused.count == names.count, "\(folder)")
    }
  }

  @Test("convolutions of a stem with kernels out of all reason are refused")
  func stem() {
    var names: Names = [
      ("cls_token", [1, 1, 1]), ("pos_embed", [1, 2, 1]), ("blocks.0.attn.qkv.weight", [3, 1]),
    ]
    for index in 0..<8 {
      let module = "patch_embed.backbone.\(index).conv"
      names += [
        (module + ".weight", [1, index == 0 ? 3 : 1, 256, 256]), (module + ".bias", [1]),
      ]
    }
    #expect(Self.text(names, nil).contains("patch_embed.backbone.0.conv.weight"))
  }

  @Test("what shapes tell: gates, registers, biases, positions of the class token")
  func shapes() throws {
    func config(_ folder: String) throws -> PlainViTConfig {
      try #require(try PlainViTCheckpoint(try Self.names(folder), nil), "\(folder)").config
    }
    #expect(try config("giant-split").mlp == .splitGate)
    let giant = try config("giant")
    #expect(giant.mlp == .packedGate && !giant.hasProjectionBias && giant.encoder.hidden == 56)
    let registers = try config("timm-registers")
    #expect(registers.registers == 4 && !registers.hasClassPosition)
    #expect(registers.resampling == .antialiased)
    #expect(try config("model").resampling == .bicubic)
    #expect(try config("registers").resampling == .antialiased)
    #expect(try config("facebook").resampling == .bicubic)
    #expect(try config("timm-vit-mean").pooling == .normedMean)
    #expect(try config("registers-classifier").pooling == .classAndMean)
  }

  @Test("patches have a bias, but for models with a norm before their layers")
  func patchBias() throws {
    for (folder, bias) in [
      ("model", "embeddings.patch_embeddings.projection.bias"),
      ("timm-vit", "patch_embed.proj.bias"), ("facebook", "patch_embed.proj.bias"),
    ] {
      let names = try Self.names(folder)
      let rest = names.filter { $0.name != bias }
      #expect(rest.count == names.count - 1, "\(folder)")
      let found = try #require(try PlainViTCheckpoint(rest, nil), "\(folder)")
      let specs = try ModelDescription(PlainViTFamily.self, found.config).manifest()
      let missing = Set(specs.map(\.path)).subtracting(found.tensors.keys)
      #expect(missing == ["embeddings.patch.bias"], "\(folder)")
    }
  }

  @Test("a description that contradicts the tensors is refused by its field")
  func contradictions() throws {
    let names = try Self.names("model")
    let cases: [(key: String, value: JSONValue)] = [
      ("hidden_size", 22), ("num_hidden_layers", 4), ("image_size", 50), ("patch_size", 7),
      ("num_attention_heads", 2), ("num_attention_heads", 0), ("use_swiglu_ffn", true),
      ("qkv_bias", false), ("num_register_tokens", 4), ("layer_norm_eps", -1),
      ("hidden_act", "tanh"), ("num_channels", 1), ("rope_theta", 100), ("mlp_ratio", 3),
      ("mlp_ratio", -1),
    ]
    for (key, value) in cases {
      let text = Self.text(names, Self.changed(Self.described, key, value))
      #expect(text.contains(key), "\(key): \(text)")
    }
    let timm = try Self.names("timm-vit")
    let arguments: [(key: String, value: JSONValue)] = [
      ("global_pool", "max"), ("depth", 3), ("embed_dim", 24), ("num_classes", 9),
      ("img_size", 60), ("reg_tokens", 4), ("qkv_bias", false), ("act_layer", "tanh"),
      ("pre_norm", true), ("block_fn", "parallel"), ("num_heads", 4), ("qk_norm", true),
      ("mlp_ratio", 7.5),
    ]
    for (key, value) in arguments {
      let inner = Self.changed(["num_heads": 3], key, value)
      let text = Self.text(timm, Self.changed(Self.timmDescribed, "model_args", inner))
      #expect(text.contains(key), "\(key): \(text)")
    }
  }

  @Test(
    "a DINOv3's angles and biases follow from its description, which the tensors must agree with")
  func angles() throws {
    let names = try Self.names("dinov3")
    let described: JSONValue = [
      "model_type": "dinov3_vit", "hidden_size": 24, "num_attention_heads": 3, "patch_size": 6,
      "image_size": 31,
    ]
    let found = try #require(try PlainViTCheckpoint(names, described)).config
    #expect(found.rotaryBase == 100 && found.mlp == .plain && !found.hasKeyBias)
    #expect(found.encoder.hidden == 37 && found.encoder.epsilon == 1e-5)
    let newer = Self.changed(
      described, "rope_parameters", ["rope_theta": 37, "rope_type": "default"])
    #expect(try PlainViTCheckpoint(names, newer)?.config.rotaryBase == 37)
    let cases: [(key: String, value: JSONValue)] = [
      ("rope_parameters", ["rope_type": "yarn"]), ("rope_theta", "big"), ("rope_theta", 0),
      ("key_bias", true), ("use_gated_mlp", true), ("intermediate_size", 38),
      ("mlp_bias", false), ("num_attention_heads", 4), ("num_register_tokens", 0),
    ]
    for (key, value) in cases {
      let text = Self.text(names, Self.changed(described, key, value))
      let part = [
        "num_attention_heads": "heads", "rope_theta": "ro", "mlp_bias": "mlp_bias",
      ]
      #expect(text != "nothing" && text.contains(part[key] ?? key), "\(key): \(text)")
    }
  }

  @Test("a DINOv3 of timm's: what its description may say, and what its tensors must have")
  func timmDINOv3() throws {
    let names = try Self.names("timm-dinov3-gated")
    let described: JSONValue = [
      "architecture": "vit_small_plus_patch16_dinov3_qkvb.lvd1689m", "num_classes": 0,
      "global_pool": "token", "model_args": ["num_heads": 1, "img_size": 30],
    ]
    let found = try #require(try PlainViTCheckpoint(names, described)).config
    #expect(found.rotaryBase == 100 && found.mlp == .splitGate && found.encoder.epsilon == 1e-5)
    #expect(found.hasProjectionBias && !found.hasKeyBias && found.registers == 3)
    #expect(found.pooling == .classToken && found.imageSize == 30)
    let cases: [(key: String, value: JSONValue)] = [
      ("rope_type", "cat"), ("rope_rotate_half", false), ("use_rot_pos_emb", false),
      ("use_abs_pos_emb", true), ("rope_temperature", 0), ("rope_grid_offset", 0.5),
      ("rope_grid_indexing", "xy"), ("qkv_bias", false), ("swiglu_mlp", false),
      ("mlp_ratio", 4), ("num_reg_tokens", 4), ("num_heads", 5), ("num_heads", 8),
      ("attn_type", "rope"), ("qk_norm", true), ("global_pool", "map"), ("depth", 3),
    ]
    let fields = ["rope_temperature": "rotary_base", "num_heads": "heads"]
    for (key, value) in cases {
      let inner = Self.changed(["num_heads": 1], key, value)
      let text = Self.text(names, Self.changed(described, "model_args", inner))
      #expect(text.contains(fields[key] ?? key), "\(key): \(text)")
    }
    let wide: JSONValue = ["num_heads": 1, "img_size": [96, 160]]
    let seen = try PlainViTCheckpoint(names, Self.changed(described, "model_args", wide))
    #expect(seen?.config.imageSize == 96 && seen?.config.imageWidth == 160)
    for size: JSONValue in [[96, 0], [96], [96, 160, 3], [96, 1.5]] {
      let inner = Self.changed(["num_heads": 1], "img_size", size)
      let text = Self.text(names, Self.changed(described, "model_args", inner))
      #expect(text.contains("img_size"), "\(text)")
    }
    let base: JSONValue = ["num_heads": 2, "rope_temperature": 37.5]
    let other = try PlainViTCheckpoint(names, Self.changed(described, "model_args", base))
    #expect(other?.config.rotaryBase == 37.5 && other?.config.encoder.heads == 2)
    for kin in ["eva02_base_patch14_224", "vit_base_patch16_rope_224"] {
      #expect(try PlainViTCheckpoint(names, ["architecture": .string(kin)]) == nil)
    }
    let plain = try Self.names("timm-dinov3")
    #expect(try PlainViTCheckpoint(plain, nil)?.config.pooling == .mean)
    let uneven = plain.map { name in
      name.name == "blocks.0.attn.qkv.weight" ? (name.name, [71, 24]) : name
    }
    #expect(Self.text(uneven, nil).contains("blocks.0.attn.qkv.weight"))
    let bias = names.filter { $0.name != "blocks.1.attn.v_bias" }
    let rest = try #require(try PlainViTCheckpoint(bias, described))
    let specs = try ModelDescription(PlainViTFamily.self, rest.config).manifest()
    let missing = Set(specs.map(\.path)).subtracting(rest.tensors.keys)
    #expect(missing == ["layers.1.attention.v.bias"])
  }

  @Test("tensors of other transformers with these names are not passed over")
  func others() throws {
    let names = try Self.names("timm-vit")
    let name = "blocks.0.attn.q_norm.weight"
    let found = try PlainViTCheckpoint(names + [(name, [21])], Self.timmDescribed)
    #expect(found?.unexpected == [name])
    let beit: JSONValue = ["architecture": "beitv2_base_patch16_224"]
    #expect(try PlainViTCheckpoint(names, beit) == nil)
    let depth: JSONValue = ["architectures": ["DPTForDepthEstimation"], "model_type": "dpt"]
    #expect(try PlainViTCheckpoint(try Self.names("model"), depth) == nil)
    #expect(
      Self.text(names + [("fc_norm.weight", [21])], Self.timmDescribed).contains("post_norm"))
  }

  @Test("numbers that no such model has are refused, wherever a container states them")
  func hostile() throws {
    let found = try #require(try PlainViTCheckpoint(try Self.names("model"), Self.described))
    let json = found.config.json
    #expect(try PlainViTConfig(json: json) == found.config)
    let cases: [(key: String, value: JSONValue)] = [
      ("image_size", 5), ("patch_size", 0), ("registers", -1), ("registers", 100_000),
      ("mlp", "gate"), ("pooling", "max"), ("layer_scale", 1), ("position_resampling", "linear"),
      ("encoder", ["width": 21]),
    ]
    for (key, value) in cases {
      let changed = Self.changed(json, key, value)
      #expect(thrownError(ModelError.self) { try PlainViTConfig(json: changed) } != nil, "\(key)")
    }
    for rows in [0, 3, 27, -1] {
      let names = try Self.names("model").map { name in
        name.name == "embeddings.position_embeddings" ? (name.name, [1, rows, 21]) : name
      }
      #expect(Self.text(names, Self.described) != "nothing", "\(rows) rows")
    }
  }
}
