import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMModels

/// Fields of a family's description that have another type or an impossible value, and what is said
/// of those that are missing.
struct StatedFieldsTests {
  typealias Names = [CheckpointFacts.Name]

  static func changed(_ json: JSONValue, _ key: String, _ value: JSONValue?) -> JSONValue {
    SigLIPCheckpointTests.changed(json, key, value)
  }

  private static func recognise(_ names: Names, _ json: JSONValue?) throws -> ModelCheckpoint {
    try #require(try ModelCheckpoint.recognise(CheckpointFacts(names: names, description: json)))
  }

  private static func text(_ names: Names, _ json: JSONValue?) -> String {
    let facts = CheckpointFacts(names: names, description: json)
    let error = thrownError(ModelError.self) { try ModelCheckpoint.recognise(facts) }
    return error?.description ?? "nothing"
  }

  /// A value, and what has to be said to be expected in its place.
  struct Case: Sendable, CustomTestStringConvertible {
    let key: String
    let value: JSONValue
    let expected: String

    init(_ key: String, _ value: JSONValue, _ expected: String) {
      (self.key, self.value, self.expected) = (key, value, expected)
    }

    var testDescription: String { "\(key) = \(value.serialized())" }
  }

  // MARK: - CLIP

  static let vision: JSONValue = [
    "model_type": "clip_vision_model", "hidden_size": 16, "num_attention_heads": 2,
    "num_hidden_layers": 1, "intermediate_size": 24, "patch_size": 7, "image_size": 28,
    "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
  ]
  static let texts: JSONValue = [
    "model_type": "clip_text_model", "hidden_size": 16, "num_attention_heads": 2,
    "num_hidden_layers": 1, "intermediate_size": 24, "vocab_size": 50,
    "max_position_embeddings": 9, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
  ]

  static func clip(_ vision: JSONValue = vision, _ texts: JSONValue = texts) -> JSONValue {
    [
      "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": 10,
      "vision_config": vision, "text_config": texts,
    ]
  }

  /// Of both towers.
  static let clipCases: [Case] = [
    Case("hidden_size", "16", "an integer"), Case("hidden_size", 16.5, "an integer"),
    Case("hidden_size", -16, "16, which"), Case("hidden_size", 1e300, "an integer"),
    Case("num_hidden_layers", [1], "an integer"), Case("num_hidden_layers", 0, "1, which"),
    Case("intermediate_size", true, "an integer"), Case("intermediate_size", 25, "24, which"),
    Case("num_attention_heads", "2", "an integer"), Case("num_attention_heads", 0, "1 to 1024"),
    Case("num_attention_heads", -2, "1 to 1024"), Case("num_attention_heads", 2.5, "an integer"),
    Case("num_attention_heads", 3, "a divisor of hidden_size, 16"),
    Case("num_attention_heads", 4_000_000_000, "1 to 1024"),
    Case("layer_norm_eps", "1e-5", "a number"), Case("layer_norm_eps", 0, "a number between 0"),
    Case("layer_norm_eps", -1e-5, "a number between 0"),
    Case("layer_norm_eps", 1e-300, "a number between 0"),
    Case("layer_norm_eps", 3, "a number between 0"), Case("layer_norm_eps", [], "a number"),
    Case("hidden_act", 7, "a string"), Case("hidden_act", "relu", "'quick_gelu' or 'gelu'"),
  ]

  @Test("of either tower of a CLIP are refused by name", arguments: clipCases)
  func clipTowers(_ item: Case) throws {
    let names = UnexpectedTensorTests.clip(texts: true)
    _ = try Self.recognise(names, Self.clip())
    let changed = Self.changed(Self.vision, item.key, item.value)
    let vision = Self.text(names, Self.clip(changed))
    #expect(vision.hasPrefix("config: vision_config.\(item.key): found "), "\(vision)")
    #expect(vision.contains("expected \(item.expected)"), "\(vision)")
    let text = Self.text(
      names, Self.clip(Self.vision, Self.changed(Self.texts, item.key, item.value)))
    #expect(text.hasPrefix("config: text_config.\(item.key): found "), "\(text)")
    #expect(text.contains("expected \(item.expected)"), "\(text)")
    // The tower alone has them at the top.
    let alone = Self.text(UnexpectedTensorTests.clip(texts: false), changed)
    #expect(alone.hasPrefix("config: config.json.\(item.key): found "), "\(alone)")
  }

  @Test("of a CLIP's single towers and of the whole are refused by name")
  func clipParts() {
    let names = UnexpectedTensorTests.clip(texts: true)
    for (key, value): (String, JSONValue) in [
      ("patch_size", 8), ("patch_size", "7"), ("image_size", 35), ("image_size", [28, 27]),
      ("num_channels", 1), ("num_channels", "3"),
    ] {
      let text = Self.text(names, Self.clip(Self.changed(Self.vision, key, value)))
      #expect(text.hasPrefix("config: vision_config.\(key): found "), "\(text)")
    }
    for (key, value): (String, JSONValue) in [
      ("vocab_size", 51), ("max_position_embeddings", 8), ("eos_token_id", "2"),
      ("eos_token_id", -1),
    ] {
      let changed = Self.changed(Self.texts, key, value)
      let text = Self.text(names, Self.clip(Self.vision, changed))
      #expect(text.hasPrefix("config: text_config.\(key): found "), "\(text)")
    }
    for (key, value): (String, JSONValue) in [
      ("vision_config", 5), ("text_config", []), ("vision_config_dict", "x"),
      ("projection_dim", 11), ("architectures", "CLIPModel"), ("architectures", [1]),
      ("model_type", 3),
    ] {
      let text = Self.text(names, Self.changed(Self.clip(), key, value))
      #expect(text.hasPrefix("config: config.json.\(key): found "), "\(text)")
    }
    #expect(
      Self.text(names, [1]) == "config: config.json: found an array, expected an object")
  }

  @Test("that a CLIP leaves out are said where they may change the result")
  func clipNotes() throws {
    let names = UnexpectedTensorTests.clip(texts: true)
    let stated = try Self.recognise(names, Self.clip())
    #expect(stated.notes.isEmpty)
    let empty = try Self.recognise(names, [:])
    #expect(
      empty.notes.map(\.description) == [
        "config.json does not state num_attention_heads, hidden_act and layer_norm_eps: assuming "
          + "1 head, quick GELU and an epsilon of 1e-05, as in OpenAI's CLIP",
        "text_config does not state num_attention_heads, hidden_act and layer_norm_eps: assuming "
          + "1 head, quick GELU and an epsilon of 1e-05, as in OpenAI's CLIP",
      ])
    // The class's defaults are known where it is stated, but nothing shows that its heads are right.
    let silent = Self.changed(Self.changed(Self.vision, "hidden_act", nil), "layer_norm_eps", nil)
    #expect(try Self.recognise(names, Self.clip(silent)).notes.isEmpty)
    let headless = Self.changed(Self.texts, "num_attention_heads", nil)
    let notes = try Self.recognise(names, Self.clip(Self.vision, headless)).notes
    #expect(
      notes == [
        "text_config does not state num_attention_heads: assuming 8 heads, transformers' defaults"
      ])
    // 12 heads do not divide 16 columns, so transformers would not run it either.
    let text = Self.text(names, Self.clip(Self.changed(Self.vision, "num_attention_heads", nil)))
    #expect(text.contains("vision_config.num_attention_heads: found nothing"), "\(text)")
  }

  // MARK: - open_clip

  static let openCLIP: Names = {
    var names: Names = [
      ("visual.class_embedding", [16]), ("visual.conv1.weight", [16, 3, 7, 7]),
      ("visual.positional_embedding", [17, 16]), ("visual.proj", [16, 10]),
      ("logit_scale", []), ("token_embedding.weight", [50, 16]),
      ("positional_embedding", [9, 16]), ("text_projection", [16, 10]),
      ("ln_final.weight", [16]), ("ln_final.bias", [16]),
    ]
    for scope in ["visual.transformer.resblocks.0.", "transformer.resblocks.0."] {
      names.append((scope + "attn.in_proj_weight", [48, 16]))
      names.append((scope + "mlp.c_fc.weight", [24, 16]))
    }
    return names
  }()
  static let visionPart: JSONValue = [
    "image_size": 28, "patch_size": 7, "width": 16, "layers": 1, "head_width": 8, "mlp_ratio": 1.5,
  ]
  static let textPart: JSONValue = [
    "context_length": 9, "vocab_size": 50, "width": 16, "layers": 1, "heads": 2,
  ]

  static func openCLIP(
    _ vision: JSONValue = visionPart, _ texts: JSONValue = textPart, quick: JSONValue = false
  ) -> JSONValue {
    [
      "model_cfg": [
        "embed_dim": 10, "quick_gelu": quick, "vision_cfg": vision, "text_cfg": texts,
      ]
    ]
  }

  @Test("of open_clip's towers are refused by name")
  func openCLIPFields() throws {
    let sound = try Self.recognise(Self.openCLIP, Self.openCLIP())
    #expect(sound.notes.isEmpty)
    for (key, value): (String, JSONValue) in [
      ("image_size", 35), ("image_size", "28"), ("patch_size", 8), ("width", 17),
      ("width", "16"), ("layers", 2), ("layers", [1, 1]), ("head_width", 0), ("head_width", "8"),
      ("head_width", 2.5), ("mlp_ratio", 4), ("mlp_ratio", "1.5"), ("timm_model_name", 7),
    ] {
      let text = Self.text(Self.openCLIP, Self.openCLIP(Self.changed(Self.visionPart, key, value)))
      #expect(text.hasPrefix("config: vision_cfg.\(key): found "), "\(text)")
    }
    for (key, value): (String, JSONValue) in [
      ("heads", "2"), ("heads", 0), ("heads", 3), ("width", 17), ("layers", 2),
      ("context_length", 8), ("vocab_size", 51), ("mlp_ratio", 4),
    ] {
      let changed = Self.changed(Self.textPart, key, value)
      let text = Self.text(Self.openCLIP, Self.openCLIP(Self.visionPart, changed))
      #expect(text.hasPrefix("config: text_cfg.\(key): found "), "\(text)")
    }
    let quick = Self.text(Self.openCLIP, Self.openCLIP(quick: "no"))
    #expect(quick.hasPrefix("config: model_cfg.quick_gelu: found "), "\(quick)")
    let part = Self.text(Self.openCLIP, Self.openCLIP(5))
    #expect(part.hasPrefix("config: model_cfg.vision_cfg: found a number"), "\(part)")
  }

  @Test("that open_clip's description leaves out are said")
  func openCLIPNotes() throws {
    for (json, place): (JSONValue?, String) in [
      (nil, "no open_clip_config.json beside the weights"),
      ([:], "the description has no vision_cfg"),
    ] {
      let notes = try Self.recognise(Self.openCLIP, json).notes
      #expect(
        notes == [
          "\(place): assuming heads of 64 and GELU; OpenAI's own models have quick GELU"
        ])
    }
  }

  // MARK: - ConvNeXt

  private static func convNeXt(_ naming: ConvNeXtNaming) throws -> Names {
    let size = ConvNeXtCheckpointTests.Size(
      name: "small", depths: [1, 2], dims: [8, 16], parameters: 0)
    return try ConvNeXtCheckpointTests.names(
      ConvNeXtCheckpointTests.config(size), naming, convolutional: false)
  }

  static let transformers: JSONValue = [
    "architectures": ["ConvNextForImageClassification"], "model_type": "convnext",
    "depths": [1, 2], "hidden_sizes": [8, 16], "num_channels": 3, "patch_size": 4,
    "hidden_act": "gelu", "layer_norm_eps": 1e-12,
  ]
  static let transformersCases: [Case] = [
    Case("layer_norm_eps", "1e-12", "a number"), Case("layer_norm_eps", 0, "a number between"),
    Case("layer_norm_eps", -1, "a number between"), Case("hidden_act", 3, "a string"),
    Case("hidden_act", "mish", "'gelu'"), Case("depths", 3, "an array of integers"),
    Case("depths", [1, "2"], "an array of integers"), Case("depths", [1, 3], "[1, 2], which"),
    Case("hidden_sizes", [8, 16.5], "an array of integers"),
    Case("hidden_sizes", [8, 17], "[8, 16], which"), Case("num_channels", "3", "an integer"),
    Case("num_channels", 1, "3, which"), Case("patch_size", 2, "4, which"),
    Case("patch_size", 1e300, "an integer"),
  ]

  @Test("of transformers' ConvNeXt are refused by name", arguments: transformersCases)
  func transformersConvNeXt(_ item: Case) throws {
    let names = try Self.convNeXt(.huggingFace)
    _ = try Self.recognise(names, Self.transformers)
    let text = Self.text(names, Self.changed(Self.transformers, item.key, item.value))
    #expect(text.hasPrefix("config: config.json.\(item.key): found "), "\(text)")
    #expect(text.contains("expected \(item.expected)"), "\(text)")
  }

  static let timmCases: [Case] = [
    Case("norm_eps", "1e-6", "a number"), Case("norm_eps", 0, "a number between"),
    Case("act_layer", 3, "a string"), Case("act_layer", "mish", "'gelu'"),
    Case("norm_layer", 3, "layernorm"), Case("output_stride", "32", "an integer"),
    Case("output_stride", 0, "8, 16 or 32"), Case("output_stride", -8, "8, 16 or 32"),
    Case("depths", "12", "an array of integers"), Case("dims", [8], "[8, 16], which"),
    Case("in_chans", 1, "3, which"), Case("patch_size", 2, "4, which"),
    Case("global_pool", 3, "a string"), Case("global_pool", "max", "'avg'"),
  ]

  @Test("of timm's ConvNeXt are refused by name", arguments: timmCases)
  func timmConvNeXt(_ item: Case) throws {
    let names = try Self.convNeXt(.timm)
    let json: JSONValue = ["architecture": "convnext_small", "model_args": ["norm_eps": 1e-6]]
    _ = try Self.recognise(names, json)
    let arguments = Self.changed(["norm_eps": 1e-6], item.key, item.value)
    let text = Self.text(names, Self.changed(json, "model_args", arguments))
    #expect(text.hasPrefix("config: model_args.\(item.key): found "), "\(text)")
    #expect(text.contains("expected \(item.expected)"), "\(text)")
  }

  @Test("at the top of timm's description are refused by name")
  func timmTop() throws {
    let names = try Self.convNeXt(.timm)
    for (key, value): (String, JSONValue) in [
      ("architecture", 7), ("model_args", 3), ("model_args", []), ("global_pool", 3),
    ] {
      let json = Self.changed(["architecture": "convnext_small"], key, value)
      let text = Self.text(names, json)
      #expect(text.hasPrefix("config: config.json.\(key): found "), "\(text)")
    }
  }

  @Test(
    "a classifier without the bias that its class has is refused, and said without a description")
  func headBias() throws {
    let cases: [(ConvNeXtNaming, String, JSONValue)] = [
      (.timm, "head.fc.", ["architecture": "convnext_small"]),
      (.huggingFace, "classifier.", Self.transformers),
      (.facebook, "head.", ["model_type": "convnext"]),
    ]
    for (naming, scope, json) in cases {
      let names = try Self.convNeXt(naming).filter { $0.name != scope + "bias" }
      #expect(
        Self.text(names, json)
          == "tensor 'head.fc.bias': missing, here so called; next to it would be "
          + "'\(scope)weight'")
      let found = try Self.recognise(names, nil)
      #expect(
        found.notes.map(\.description).contains(
          "the classifier '\(scope)weight' has no bias, unlike those of timm, torchvision and "
            + "transformers"))
      #expect(found.tensors["head.fc.weight"] != nil && found.tensors["head.fc.bias"] == nil)
    }
    // Another classifier in its place may have none.
    let names = try Self.convNeXt(.timm).filter { !$0.name.hasPrefix("head.fc.") }
    let other = try Self.recognise(
      names + [("head.fc.1.weight", [5, 16])], ["architecture": "convnext_small"])
    #expect(other.unused.isEmpty)
  }

  // MARK: - LLaMA

  static let llamaCases: [Case] = [
    Case("hidden_size", "4096", "an integer"), Case("hidden_size", -1, "1 to 65536"),
    Case("num_attention_heads", 0, "1 to 4096"), Case("num_attention_heads", 1.5, "an integer"),
    Case("num_key_value_heads", "8", "an integer"), Case("head_dim", true, "an integer"),
    Case("num_hidden_layers", 0, "1 to 1000"), Case("num_hidden_layers", "32", "an integer"),
    Case("intermediate_size", 0, "1 to 65536"), Case("vocab_size", -1, "1 to 10000000"),
    Case("rms_norm_eps", 0, "a number between 0"), Case("rms_norm_eps", "1e-5", "a number"),
    Case("rope_theta", 0, "more than 1"), Case("rope_theta", "10000", "a number"),
    Case("attention_bias", "false", "true or false"), Case("mlp_bias", 0, "true or false"),
    Case("tie_word_embeddings", "no", "true or false"), Case("hidden_act", 1, "a string"),
    Case("rope_scaling", 3, "an object"), Case("max_position_embeddings", 0, "1 to 16777216"),
    Case("model_type", 3, "a string"), Case("architectures", "LlamaForCausalLM", "an array"),
  ]

  @Test("of a LLaMA are refused by name", arguments: llamaCases)
  func llama(_ item: Case) {
    let json = LLaMAConfigTests.changed(item.key, item.value)
    let error = thrownError(ModelError.self) { try LLaMAConfig(huggingFace: json) }
    let text = error?.description ?? "nothing"
    #expect(text.hasPrefix("config: config.json.\(item.key): found "), "\(text)")
    #expect(text.contains("expected \(item.expected)"), "\(text)")
  }

  // MARK: - LLaVA

  static let llavaCases: [Case] = [
    Case("mm_vision_select_layer", "-1", "an integer"),
    Case("mm_vision_select_layer", -1.5, "an integer"),
    Case("mm_projector_type", 3, "a string"), Case("mm_projector_type", "pool", "identity"),
    Case("mm_hidden_size", "3072", "an integer"), Case("mm_hidden_size", 1, "3072, which"),
    Case("mm_use_im_start_end", "no", "true or false"), Case("mm_use_im_start_end", true, "false"),
    Case("tokenizer_model_max_length", "2048", "an integer"),
  ]

  @Test("of a LLaVA are refused by name", arguments: llavaCases)
  func llava(_ item: Case) {
    let facts = LLaVACheckpointTests.facts(CheckpointFacts.towerPrefix)
    let changed = LLaVACheckpointTests.description([(item.key, item.value)])
    let text = Self.text(facts.names, changed)
    #expect(text.hasPrefix("config: config.json.\(item.key): found "), "\(text)")
    #expect(text.contains("expected \(item.expected)"), "\(text)")
  }

  @Test("that a LLaVA leaves out are said")
  func llavaNotes() throws {
    let facts = LLaVACheckpointTests.facts(CheckpointFacts.towerPrefix)
    var json = LLaVACheckpointTests.description()
    let stated = try Self.recognise(facts.names, json)
    #expect(!stated.notes.contains { $0.contains("mm_vision_select_layer") })
    json = Self.changed(json, "mm_vision_select_layer", nil)
    let silent = try Self.recognise(facts.names, json)
    #expect(
      silent.notes.contains(
        "config.json does not state mm_vision_select_layer: assuming -1, as in the published models"
      ))
  }

  @Test("a LLaVA's tower that is described by nothing is said to be guessed")
  func tower() throws {
    let names = VisionTowerConfigTests.names(VisionTowerConfigTests.clip)
    let llava: JSONValue = ["mm_vision_select_layer": -2]
    func notes(_ json: JSONValue?) throws -> [String] {
      let facts = TowerFacts(names: names, llava: llava, description: json)
      return try #require(try ViTFamily.tower(in: facts)).notes.map(\.description)
    }
    let heads = "num_attention_heads, hidden_act and layer_norm_eps: assuming 1 head"
    #expect(try notes([:]).contains { $0.contains(heads) })
    #expect(try notes(nil).count == 1)
    let bad = TowerFacts(
      names: names, llava: ["mm_vision_select_feature": 3], description: [:])
    let error = thrownError(ModelError.self) { try ViTFamily.tower(in: bad) }
    #expect(error?.description.contains("mm_vision_select_feature: found a number") == true)
  }

  @Test("of LLaVA-HR's tower are refused by name")
  func multiResolution() {
    for (key, value): (String, JSONValue?) in [
      ("input_image_size", nil), ("input_image_size", "1024"), ("input_image_size", 0),
      ("freeze_vision", "yes"), ("vision_tower_slow", 3),
    ] {
      let json = Self.changed(["input_image_size": 1024], key, value)
      let error = thrownError(ModelError.self) {
        try MultiResolutionCheckpoint.Facts(llava: json, clip: nil)
      }
      let text = error?.description ?? "nothing"
      #expect(text.hasPrefix("config: config.json.\(key): found "), "\(text)")
    }
  }

  // MARK: - SigLIP

  @Test("that a SigLIP leaves out are said")
  func sigLIPNotes() throws {
    let names = SigLIPCheckpointTests.names
    let found = try #require(try SigLIPCheckpoint(names, [:], .image))
    #expect(found.config.encoder.heads == 1)
    #expect(
      found.notes.map(\.description) == [
        "config.json does not state num_attention_heads, hidden_act and layer_norm_eps: assuming "
          + "1 head, GELU by tanh and an epsilon of 1e-06, a guess, as no SigLIP of Google's has 8 columns"
      ])
    for value: JSONValue in ["2", 0, -2, 2.5, 3, 4_000_000_000] {
      let json = Self.changed(SigLIPCheckpointTests.described, "num_attention_heads", value)
      let error = thrownError(ModelError.self) { try SigLIPCheckpoint(names, json, .image) }
      let text = error?.description ?? "nothing"
      #expect(text.hasPrefix("config: config.json.num_attention_heads: found "), "\(text)")
    }
  }
}
