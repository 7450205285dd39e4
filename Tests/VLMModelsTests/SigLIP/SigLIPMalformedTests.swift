import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMModels

/// Checkpoints of a SigLIP that contradict themselves, which no conversion passes over.
struct SigLIPMalformedTests {
  typealias Names = [CheckpointFacts.Name]

  static let names = SigLIPCheckpointTests.names
  static let described = SigLIPCheckpointTests.described
  static let vision = "vision_model."

  /// A small model of timm's with a pooling head and a classifier.
  static let timm: Names = [
    ("patch_embed.proj.weight", [8, 3, 14, 14]), ("patch_embed.proj.bias", [8]),
    ("pos_embed", [1, 9, 8]), ("norm.weight", [8]), ("blocks.0.mlp.fc1.weight", [16, 8]),
    ("attn_pool.latent", [1, 1, 8]), ("attn_pool.kv.weight", [16, 8]),
    ("head.weight", [5, 8]), ("head.bias", [5]),
  ]
  static let timmDescribed: JSONValue = [
    "architecture": "vit_base_patch16_siglip_224", "num_classes": 5, "global_pool": "map",
    "model_args": ["num_heads": 2, "img_size": 42, "patch_size": 14],
  ]
  /// The same without a classifier in open_clip, with a width that the base model's heads divide.
  static let openCLIP: Names = timm.filter { !$0.name.hasPrefix("head.") }.map { name in
    ("visual.trunk." + name.name, name.shape.map { [8: 24, 16: 48][$0] ?? $0 })
  }
  static let openCLIPVision: JSONValue = [
    "timm_model_name": "vit_base_patch16_siglip_224", "timm_pool": "map", "timm_proj": "none",
    "image_size": 42,
  ]

  static func openCLIP(_ vision: JSONValue, embedding: JSONValue = 24) -> JSONValue {
    ["model_cfg": ["embed_dim": embedding, "vision_cfg": vision]]
  }

  static func changed(_ json: JSONValue, _ key: String, _ value: JSONValue?) -> JSONValue {
    SigLIPCheckpointTests.changed(json, key, value)
  }

  static func text(_ names: Names, _ json: JSONValue?) -> String {
    let error = thrownError(ModelError.self) { try SigLIPCheckpoint(names, json, .image) }
    return error?.description ?? "nothing"
  }

  static func feature(_ names: Names, _ json: JSONValue?) throws -> SigLIPConfig.Feature? {
    try SigLIPCheckpoint(names, json, .image)?.config.feature
  }

  static func without(_ names: Names, _ prefix: String) -> Names {
    names.filter { !$0.name.hasPrefix(prefix) }
  }

  // MARK: - Pooling

  @Test("a pooling head without its probe is an error, whatever the description says")
  func probe() {
    let half = Self.without(Self.names, "vision_model.head.probe")
    let headless = Self.changed(Self.described, "vision_use_head", false)
    for json in [nil, Self.described, headless] {
      let text = Self.text(half, json)
      #expect(text.contains("tensor 'head.probe': missing"), "\(text)")
      #expect(text.contains("'vision_model.head.attention.in_proj_weight'"), "\(text)")
    }
    let latent = Self.without(Self.timm, "attn_pool.latent")
    for json in [nil, Self.timmDescribed] {
      let text = Self.text(latent, json)
      #expect(text.contains("tensor 'head.probe': missing"), "\(text)")
    }
    let open = Self.without(Self.openCLIP, "visual.trunk.attn_pool.latent")
    let text = Self.text(open, Self.openCLIP(Self.openCLIPVision))
    #expect(text.contains("tensor 'head.probe': missing"), "\(text)")
  }

  @Test("no pooling head at all is fine only where none is stated")
  func headless() throws {
    let bare = Self.without(Self.names, "vision_model.head.")
    #expect(Self.text(bare, Self.described) == "tensor 'head.probe': missing")
    let headless = Self.changed(Self.described, "vision_use_head", false)
    let stated = try Self.feature(bare, headless)
    #expect(stated == .patchMean)
    let found = try #require(try SigLIPCheckpoint(bare, nil, .image))
    #expect(found.config.feature == .patchMean)
    #expect(found.notes.contains { $0.contains("the mean of the tokens") })
    let left = try #require(try SigLIPCheckpoint(Self.names, headless, .image))
    #expect(left.config.feature == .patchMean)
    #expect(left.notes.contains { $0.contains("is left out") })
    let mean = Self.without(Self.timm, "attn_pool.")
    #expect(Self.text(mean, Self.timmDescribed) == "tensor 'head.probe': missing")
    let silent = Self.changed(Self.timmDescribed, "global_pool", nil)
    #expect(Self.text(mean, silent) == "tensor 'head.probe': missing")
    let pooled = try Self.feature(mean, Self.changed(Self.timmDescribed, "global_pool", "avg"))
    #expect(pooled == .patchMean)
    let open = Self.without(Self.openCLIP, "visual.trunk.attn_pool.")
    let average = Self.changed(Self.openCLIPVision, "timm_pool", "avg")
    let averaged = try Self.feature(open, Self.openCLIP(average))
    #expect(averaged == .patchMean)
  }

  @Test("a stated pool that the tensors contradict is refused")
  func pools() {
    for pool in ["avg", "token", ""] {
      let text = Self.text(
        Self.timm, Self.changed(Self.timmDescribed, "global_pool", .string(pool)))
      #expect(
        text.hasPrefix("config: config.json.global_pool: found '\(pool)', expected 'map'"),
        "\(text)")
      let vision = Self.changed(Self.openCLIPVision, "timm_pool", .string(pool))
      let open = Self.text(Self.openCLIP, Self.openCLIP(vision))
      #expect(open.contains("timm_pool: found '\(pool)'"), "\(open)")
    }
    let mean = Self.without(Self.timm, "attn_pool.")
    let text = Self.text(mean, Self.changed(Self.timmDescribed, "global_pool", "token"))
    #expect(
      text.hasPrefix("config: config.json.global_pool: found 'token', expected 'avg'"), "\(text)")
    let gap = Self.changed(
      Self.changed(Self.timmDescribed, "global_pool", nil), "architecture",
      "vit_base_patch16_siglip_gap_224")
    #expect(Self.text(Self.timm, gap).contains("expected 'map'"))
  }

  // MARK: - Classes

  static let unknown: [(String, String)] = [
    ("Idefics3VisionTransformer", "idefics3_vision"),
    ("SmolVLMVisionTransformer", "smolvlm_vision"),
    ("SiglipTextModel", "siglip_text_model"), ("Siglip2TextModel", "siglip2_text_model"),
    ("SomeModel", "some"),
  ]

  @Test("a class that no family has is left to whoever refuses it by name", arguments: unknown)
  func unknownClass(_ name: String, _ type: String) throws {
    let typed = Self.changed(Self.described, "model_type", .string(type))
    let both = Self.changed(typed, "architectures", [.string(name)])
    for json in [typed, both] {
      #expect(Registry.unknownClass(in: json) != nil)
      let found = try SigLIPCheckpoint(Self.names, json, .image)
      #expect(found == nil)
      #expect(throws: ModelError.self) { try SigLIPCheckpoint(Self.names, json, .layers([-1])) }
    }
  }

  static let others: [(String, JSONValue, String)] = [
    ("architectures", ["ConvNextModel"], "'ConvNextModel'"),
    ("architectures", ["CLIPVisionModel"], "'CLIPVisionModel'"),
    ("architectures", 7, "a number"), ("architectures", [7], "an array"),
    ("model_type", "clip_vision_model", "'clip_vision_model'"), ("model_type", 5, "a number"),
  ]

  @Test("another family's class is refused, and so is what is no name", arguments: others)
  func otherClass(_ key: String, _ value: JSONValue, _ found: String) {
    let text = Self.text(Self.names, Self.changed(Self.described, key, value))
    #expect(text.hasPrefix("config: config.json.\(key): found \(found)"), "\(text)")
  }

  @Test("a class beside the type of another is refused")
  func contradictingType() {
    let stated = Self.changed(Self.described, "architectures", ["SiglipVisionModel"])
    for type in ["clip_vision_model", "siglip2_vision_model"] {
      let text = Self.text(Self.names, Self.changed(stated, "model_type", .string(type)))
      #expect(text.hasPrefix("config: config.json.model_type: found '\(type)'"), "\(text)")
    }
  }

  @Test("timm's models in transformers say which they are")
  func wrapper() throws {
    var json = Self.changed(Self.timmDescribed, "model_type", "timm_wrapper")
    json = Self.changed(json, "architectures", ["TimmWrapperForImageClassification"])
    let found = try Self.feature(Self.timm, json)
    #expect(found == .attentionPooled)
    #expect(Self.text(Self.names, json).contains("architectures"))
  }

  // MARK: - Classifiers

  static let classes: [CheckpointFacts.Name] = [
    ("classifier.weight", [5, 8]), ("classifier.bias", [5]),
  ]

  @Test("a classifier has both of its tensors, and is there where the class has one")
  func halfClassifiers() throws {
    let whole = Self.names + Self.classes
    let found = try #require(try SigLIPCheckpoint(whole, Self.described, .image))
    #expect(found.config.classCount == 5 && found.config.feature == .patchMean)
    for (left, missing) in [("weight", "bias"), ("bias", "weight")] {
      let transformers = Self.text(
        Self.without(whole, "classifier.\(missing)"), Self.described)
      #expect(transformers.contains("tensor 'classifier.0.\(missing)': missing"))
      #expect(transformers.contains("'classifier.\(left)'"), "\(transformers)")
      let timm = Self.text(Self.without(Self.timm, "head.\(missing)"), Self.timmDescribed)
      #expect(timm.contains("tensor 'classifier.0.\(missing)': missing"), "\(timm)")
    }
    let none = Self.text(Self.without(Self.timm, "head."), Self.timmDescribed)
    #expect(none == "tensor 'classifier.0.weight': missing")
    let embedding = Self.changed(Self.timmDescribed, "num_classes", 0)
    let pooled = try Self.feature(Self.without(Self.timm, "head."), embedding)
    #expect(pooled == .attentionPooled)
  }

  @Test("counts of classes are the classifier's")
  func classCounts() throws {
    for count in [0, 9] {
      let text = Self.text(Self.timm, Self.changed(Self.timmDescribed, "num_classes", .int(count)))
      #expect(
        text
          == "config: config.json.num_classes: found \(count), expected 5, which the tensors have")
    }
    let model: JSONValue = [
      "architectures": ["SiglipForImageClassification"], "model_type": "siglip",
      "vision_config": Self.changed(Self.described, "model_type", nil),
      "id2label": ["0": "a", "1": "b"],
    ]
    let whole = Self.names + Self.classes
    #expect(Self.text(whole, model).hasPrefix("config: config.json.id2label: found 2, expected 5"))
    #expect(Self.text(Self.names, model) == "tensor 'classifier.0.weight': missing")
    let silent = Self.changed(model, "id2label", nil)
    // The head that its classifier does not look at may be left out.
    let bare = Self.without(whole, "vision_model.head.")
    let found = try #require(try SigLIPCheckpoint(bare, silent, .image))
    #expect(found.config.classCount == 5)
  }

  // MARK: - Fields

  static let fields: [(String, JSONValue, String)] = [
    ("layer_norm_eps", "1e-3", "a number"), ("layer_norm_eps", [1e-3], "a number"),
    ("hidden_size", "8", "an integer"), ("hidden_size", 8.5, "an integer"),
    ("hidden_size", 9.0, "8, which"), ("image_size", [50, 50], "an integer"),
    ("num_channels", 1, "3"), ("num_channels", "x", "an integer"),
    ("vision_use_head", "false", "true or false"), ("vision_use_head", 0, "true or false"),
    ("vision_config", 5, "an object"), ("vision_config", [], "an object"),
  ]

  @Test("a field of another type or with another value is refused by name", arguments: fields)
  func field(_ key: String, _ value: JSONValue, _ expected: String) {
    let text = Self.text(Self.names, Self.changed(Self.described, key, value))
    #expect(text.hasPrefix("config: config.json.\(key): found "), "\(text)")
    #expect(text.contains("expected \(expected)"), "\(text)")
  }

  @Test("whole numbers may be written as fractions, and null says nothing")
  func fractions() throws {
    var json = Self.changed(Self.described, "hidden_size", 8.0)
    json = Self.changed(json, "num_attention_heads", 4.0)
    json = Self.changed(json, "image_size", 50.0)
    json = Self.changed(json, "layer_norm_eps", .null)
    json = Self.changed(json, "vision_config", .null)
    let found = try #require(try SigLIPCheckpoint(Self.names, json, .image))
    #expect(found.config.encoder.heads == 4 && found.config.imageSize == 50)
    #expect(found.config.encoder.epsilon == 1e-6)
  }

  @Test("a description is an object, and a whole model's has the tower's inside")
  func objects() {
    let list = Self.text(Self.names, [])
    #expect(list == "config: config.json: found an array, expected an object")
    let whole = Self.text(Self.names, Self.changed(Self.described, "model_type", "siglip"))
    #expect(whole == "config: config.json.vision_config: found nothing, expected an object")
    let other: JSONValue = [
      "model_type": "siglip", "vision_config": ["model_type": "siglip2_vision_model"],
    ]
    #expect(Self.text(Self.names, other).contains("vision_config.model_type"))
  }

  @Test("open_clip's width and side are the tensors'")
  func openCLIPFields() throws {
    let sound = try #require(
      try SigLIPCheckpoint(
        Self.openCLIP,
        Self.openCLIP(Self.changed(Self.openCLIPVision, "image_size", [42, 42])), .image))
    #expect(sound.config.imageSize == 42 && sound.notes.isEmpty)
    let width = Self.text(Self.openCLIP, Self.openCLIP(Self.openCLIPVision, embedding: 99))
    #expect(width == "config: model_cfg.embed_dim: found 99, expected 24, which the tensors have")
    for size: JSONValue in [99, [42, 56], "42"] {
      let vision = Self.changed(Self.openCLIPVision, "image_size", size)
      let text = Self.text(Self.openCLIP, Self.openCLIP(vision))
      #expect(text.hasPrefix("config: vision_cfg.image_size: found "), "\(text)")
    }
    #expect(Self.text(Self.openCLIP, Self.openCLIP(3)).contains("vision_cfg"))
    let named = Self.changed(Self.openCLIPVision, "timm_model_name", 7)
    #expect(Self.text(Self.openCLIP, Self.openCLIP(named)).contains("timm_model_name"))
  }

  // MARK: - Messages

  @Test("a tensor by which the tower is told is missed by its name")
  func required() {
    for (theirs, ours) in [
      ("post_layernorm.weight", "post_norm.weight"),
      ("embeddings.patch_embedding.bias", "embeddings.patch.bias"),
    ] {
      let names = Self.without(Self.names, Self.vision + theirs)
      let text = Self.text(names, Self.described)
      #expect(text.hasPrefix("tensor '\(ours)': missing"), "\(text)")
    }
    let names = Self.without(Self.timm, "norm.weight")
    let text = Self.text(names, Self.timmDescribed)
    #expect(text.hasPrefix("tensor 'post_norm.weight': missing"), "\(text)")
  }

  @Test("only what is assumed is said to be")
  func notes() throws {
    let bare = try #require(try SigLIPCheckpoint(Self.timm, nil, .image))
    #expect(
      bare.notes == [
        Note(
          "no description beside the weights: assuming 1 head and GELU by erf, as timm's SigLIP of "
            + "this size")
      ])
    let nameless = Self.changed(Self.timmDescribed, "architecture", nil)
    let found = try #require(try SigLIPCheckpoint(Self.timm, nameless, .image))
    #expect(found.config.encoder.heads == 2)
    #expect(
      found.notes == [
        Note(
          "the description does not say which model it is: assuming GELU by erf, as timm's SigLIP "
            + "of this size")
      ])
  }

  @Test("a layer that no model has is unexpected")
  func layers() throws {
    let far = "vision_model.encoder.layers.5000000000.mlp.fc1.weight"
    let found = try #require(
      try SigLIPCheckpoint(Self.names + [(far, [16, 8])], Self.described, .image))
    #expect(found.unexpected == [far] && found.config.encoder.layers == 3)
  }

  static let containers: [JSONValue] = [.null, ["layers": []], ["layers": .null], [], 1]

  @Test("a container's classifier has layers", arguments: containers)
  func container(_ classifier: JSONValue) {
    let json = Self.changed(SigLIPCheckpointTests.config, "classifier", classifier)
    #expect(throws: ModelError.self) { try SigLIPConfig(json: json, path: "siglip") }
  }
}
