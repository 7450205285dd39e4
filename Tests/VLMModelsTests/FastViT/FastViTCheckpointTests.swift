import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMModels

/// What is made of a FastViT's names and description.
struct FastViTCheckpointTests {
  typealias Names = [CheckpointFacts.Name]

  static func names(_ folder: String) throws -> Names {
    let path = TestFiles.fixture("fastvit/\(folder)/model.safetensors")
    return try SafetensorsFile.read(path: path).tensors.map { ($0.name, $0.shape) }
  }

  static let described: JSONValue = [
    "architecture": "fastvit_mci0", "num_classes": 3,
    "model_args": ["layers": [1, 1, 2, 1], "embed_dims": [4, 8, 32, 64]],
  ]

  static func text(_ names: Names, _ json: JSONValue?) -> String {
    let error = thrownError(ModelError.self) { try FastViTCheckpoint(names, json, .image) }
    return error?.description ?? "nothing"
  }

  static func changed(_ json: JSONValue, _ key: String, _ value: JSONValue) -> JSONValue {
    var object = json.objectValue ?? JSONObject()
    object.set(key, value)
    return .object(object)
  }

  @Test("each tensor of the manifest comes from the file, and none is left over")
  func manifest() throws {
    for folder in ["timm-batch", "timm-fused", "timm-repmixer"] {
      let names = try Self.names(folder)
      let found = try #require(try FastViTCheckpoint(names, nil, .image), "\(folder)")
      let specs = try ModelDescription(FastViTFamily.self, found.config).manifest()
      #expect(Set(specs.map(\.path)) == Set(found.tensors.keys), "\(folder)")
      for spec in specs { #expect(found.tensors[spec.path]?.shape == spec.shape, "\(spec.path)") }
      #expect(found.unexpected.isEmpty, "\(folder)")
      let read = Set(found.tensors.values.flatMap(\.stored))
      #expect(read.isDisjoint(with: found.unused), "\(folder)")
      #expect(read.count + found.unused.count == names.count, "\(folder)")
    }
  }

  @Test("a classifier without a bias is missed where the model is named, else told of")
  func classifierBias() throws {
    let names = try Self.names("timm-batch").filter { $0.name != "head.fc.bias" }
    try #require(names.contains { $0.name == "head.fc.weight" })
    #expect(Self.text(names, Self.described).contains("head.fc.bias"))
    let found = try #require(try FastViTCheckpoint(names, nil, .image))
    #expect(found.config.head?.bias == false)
    #expect(found.notes.contains { $0.description.contains("'head.fc.weight' has no bias") })
  }

  @Test("what is trained in branches has the configuration of what is fused")
  func forms() throws {
    let trained = try #require(
      try FastViTCheckpoint(try Self.names("timm-batch"), Self.described, .image))
    let fused = try #require(
      try FastViTCheckpoint(try Self.names("timm-fused"), Self.described, .image))
    #expect(trained.config == fused.config)
    #expect(trained.config.norm == .batch)
    #expect(trained.config.activatesDownsampling)
    #expect(trained.config.stages.map(\.squeeze) == [nil, nil, 8, 16])
    #expect(trained.tensors["stem.1.weight"]?.fold?.branches.count == 2)
    #expect(trained.tensors["stages.0.blocks.0.mixer.weight"]?.fold?.branches.count == 5)
    #expect(fused.tensors["stem.1.weight"]?.fold == nil)
  }

  @Test("the name of the model says whether a GELU follows the large convolutions")
  func activation() throws {
    let names = try Self.names("timm-repmixer")
    let description: JSONValue = ["architecture": "fastvit_t8", "num_classes": 4]
    let found = try #require(try FastViTCheckpoint(names, description, .image))
    #expect(!found.config.activatesDownsampling)
    #expect(found.notes.isEmpty)
    let stated = Self.changed(description, "model_args", ["lkc_use_act": true])
    #expect(
      try FastViTCheckpoint(names, stated, .image)?.config.activatesDownsampling == true)
    let silent = try #require(try FastViTCheckpoint(names, nil, .image))
    #expect(silent.notes.contains { "\($0)".contains("no activation behind the large") })
  }

  @Test("a description that contradicts the tensors is refused by its field")
  func contradictions() throws {
    let names = try Self.names("timm-batch")
    let cases: [(key: String, value: JSONValue, part: String)] = [
      ("layers", [1, 1, 3, 1], "model_args.layers"),
      ("embed_dims", [4, 8, 32, 96], "model_args.embed_dims"),
      ("num_classes", 5, "num_classes"), ("down_stride", 3, "down_stride"),
      ("norm_layer", "rmsnorm", "norm_layer"), ("lkc_use_act", "yes", "lkc_use_act"),
      ("in_chans", 1, "in_chans"), ("global_pool", "max", "global_pool"),
    ]
    for (key, value, part) in cases {
      let text = Self.text(names, Self.changed(Self.described, "model_args", [key: value]))
      #expect(text.contains(part), "\(text)")
    }
    #expect(
      Self.text(names, Self.changed(Self.described, "num_classes", 4)).contains("num_classes"))
  }

  @Test("a branch whose tensors do not fit the others is refused by its name")
  func misfits() throws {
    let names = try Self.names("timm-batch")
    func replaced(_ suffix: String, _ shape: [Int]?) -> Names {
      names.compactMap { name in
        guard name.name.hasSuffix(suffix) else { return name }
        return shape.map { (name.name, $0) }
      }
    }
    let shapes: [(suffix: String, shape: [Int])] = [
      ("stem.1.conv_scale.conv.weight", [4, 1, 5, 5]), ("stem.1.conv_scale.conv.weight", [4, 4]),
      ("stem.0.conv_kxk.0.bn.running_var", [5]),
      ("stages.0.blocks.0.token_mixer.layer_scale.gamma", [8, 1, 1]),
      ("stages.3.pos_emb.pos_enc.bias", [32]),
    ]
    for (suffix, shape) in shapes {
      #expect(Self.text(replaced(suffix, shape), Self.described).contains(suffix), "\(suffix)")
    }
    for suffix in [
      "stem.2.conv_kxk.0.bn.bias", "stages.0.blocks.0.token_mixer.norm.identity.running_mean",
      "stages.1.blocks.0.layer_scale.gamma", "final_conv.se.fc1.weight",
      "stages.1.blocks.0.token_mixer.layer_scale.gamma",
    ] {
      #expect(Self.text(replaced(suffix, nil), Self.described).contains(suffix), "\(suffix)")
    }
  }

  @Test("numbers that no FastViT has are refused, wherever a container states them")
  func hostile() throws {
    let config = try #require(
      try FastViTCheckpoint(try Self.names("timm-batch"), Self.described, .image)
    ).config
    let json = config.json
    #expect(try FastViTConfig(json: json) == config)
    let cases: [(key: String, value: JSONValue)] = [
      ("outputs", 1_099_511_627_776), ("outputs", 65), ("squeeze", 0), ("mixer_kernel", 4),
      ("downsample_kernel", -7), ("image_size", 0), ("stages", []), ("norm", "none"),
      ("feature", "map"), ("head", ["kind": "classes", "count": 0, "bias": true]),
    ]
    for (key, value) in cases {
      let changed = Self.changed(json, key, value)
      #expect(thrownError(ModelError.self) { try FastViTConfig(json: changed) } != nil, "\(key)")
    }
    let stages = try #require(json["stages"]?.arrayValue)
    let parts: [(key: String, value: JSONValue)] = [
      ("channels", 0), ("channels", 48), ("depth", -1), ("hidden", 1_073_741_824),
      ("downsamples", false), ("squeeze", 0),
    ]
    for (key, value) in parts {
      var changed = stages
      changed[3] = Self.changed(stages[3], key, value)
      let whole = Self.changed(json, "stages", .array(changed))
      #expect(thrownError(ModelError.self) { try FastViTConfig(json: whole) } != nil, "\(key)")
    }
  }
}
