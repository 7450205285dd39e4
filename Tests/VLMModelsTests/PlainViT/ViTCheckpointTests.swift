import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMModels

/// What is made of the names and descriptions of transformers' ViTs and DeiTs.
struct ViTCheckpointTests {
  typealias Names = [CheckpointFacts.Name]

  static func names(_ folder: String) throws -> Names {
    let path = TestFiles.fixture("vit/\(folder)")
    return try Checkpoint.read(path: path).tensors.map { ($0.name, $0.shape) }
  }

  static func described(_ type: String, _ name: String? = nil) -> JSONValue {
    var object = JSONObject()
    object.set("model_type", .string(type))
    if let name { object.set("architectures", [.string(name)]) }
    object.set("hidden_size", 21)
    object.set("num_attention_heads", 3)
    object.set("image_size", 31)
    object.set("patch_size", 6)
    return .object(object)
  }

  @Test("each tensor of the manifest comes from the file, and none is left over")
  func manifest() throws {
    for (folder, json) in [
      ("pooled", Self.described("vit")), ("plain", Self.described("vit")), ("pooled", nil),
      ("classifier", Self.described("vit", "ViTForImageClassification")),
      ("distilled", Self.described("deit", "DeiTModel")), ("distilled-classifier", nil),
      ("two-classifiers", Self.described("deit", "DeiTForImageClassificationWithTeacher")),
      ("modules", nil), ("timm-distilled", nil), ("timm-deit3", nil),
    ] as [(String, JSONValue?)] {
      let names = try Self.names(folder)
      let found = try #require(try PlainViTCheckpoint(names, json), "\(folder)")
      let specs = try ModelDescription(PlainViTFamily.self, found.config).manifest()
      #expect(Set(specs.map(\.path)) == Set(found.tensors.keys), "\(folder)")
      for spec in specs { #expect(found.tensors[spec.path]?.shape == spec.shape, "\(spec.path)") }
      #expect(found.unexpected.isEmpty && found.unused.isEmpty, "\(folder)")
      let json = found.config.json
      #expect(try PlainViTConfig(json: json) == found.config, "\(folder)")
    }
  }

  @Test("what shapes tell: tokens, poolers, classifiers")
  func shapes() throws {
    func config(_ folder: String) throws -> PlainViTConfig {
      try #require(try PlainViTCheckpoint(try Self.names(folder), nil), "\(folder)").config
    }
    let pooled = try config("pooled")
    #expect(pooled.pooler.count == 2 && pooled.pooling == .classToken && pooled.prefix == 1)
    #expect(pooled.resampling == .bicubic && pooled.encoder.epsilon == 1e-12)
    let distilled = try config("distilled")
    #expect(distilled.hasDistillationToken && distilled.prefix == 2)
    #expect(distilled.tableRows == 27 && distilled.vectorWidth == 10)
    #expect(try config("distilled-classifier").pooling == .classToken)
    #expect(try config("two-classifiers").pooling == .classAndDistillation)
    let timm = try config("timm-distilled")
    #expect(timm.pooling == .classAndDistillation && timm.resampling == .antialiased)
    let deit3 = try config("timm-deit3")
    #expect(!deit3.hasClassPosition && deit3.usesLayerScale)
  }

  @Test("a pooler beside a classifier is left out, as no class of transformers reads both")
  func poolerBesideClassifier() throws {
    let names =
      try Self.names("classifier")
      + [("vit.pooler.dense.weight", [21, 21]), ("vit.pooler.dense.bias", [21])]
    let found = try #require(try PlainViTCheckpoint(names, nil))
    #expect(found.config.pooler.isEmpty && found.unused.count == 2)
    #expect(found.unexpected.isEmpty)
  }

  @Test("a tensor that a class always has is missed by name")
  func missing() throws {
    for (folder, name, missed) in [
      ("pooled", "pooler.dense.bias", "pooler.0.bias"),
      ("classifier", "classifier.bias", "classifier.0.bias"),
      ("two-classifiers", "distillation_classifier.bias", "distilled_classifier.0.bias"),
    ] {
      let rest = try Self.names(folder).filter { $0.name != name }
      var text = PlainViTCheckpointTests.text(rest, nil)
      if text == "nothing" {
        let found = try #require(try PlainViTCheckpoint(rest, nil), "\(folder)")
        let specs = try ModelDescription(PlainViTFamily.self, found.config).manifest()
        text = Set(specs.map(\.path)).subtracting(found.tensors.keys).joined(separator: " ")
      }
      #expect(text.contains(missed), "\(folder): \(text)")
    }
    let one = try Self.names("two-classifiers").filter { !$0.name.hasPrefix("distillation_") }
    let stated = Self.described("deit", "DeiTForImageClassificationWithTeacher")
    let found = try #require(try PlainViTCheckpoint(one, stated))
    #expect(found.config.pooling == .classAndDistillation)
    #expect(found.tensors["distilled_classifier.0.weight"] == nil)
  }

  @Test("a description that contradicts the tensors, or is another model's, is refused")
  func contradictions() throws {
    let names = try Self.names("pooled")
    let cases: [(key: String, value: JSONValue)] = [
      ("hidden_size", 22), ("num_hidden_layers", 4), ("image_size", 50), ("patch_size", 7),
      ("num_attention_heads", 2), ("intermediate_size", 38), ("qkv_bias", false),
      ("layer_norm_eps", 2), ("hidden_act", "tanh"), ("pooler_act", "softmax"),
      ("pooler_output_size", 22), ("num_channels", 1), ("rope_theta", 100),
    ]
    for (key, value) in cases {
      let json = PlainViTCheckpointTests.changed(Self.described("vit"), key, value)
      let text = PlainViTCheckpointTests.text(names, json)
      #expect(text.contains(key), "\(key): \(text)")
    }
    for other in ["beit", "vit_mae", "yolos", "data2vec-vision"] {
      #expect(try PlainViTCheckpoint(names, Self.described(other)) == nil, "\(other)")
    }
    let rows = try Self.names("distilled").map { name in
      name.name == "embeddings.position_embeddings" ? (name.name, [1, 26, 21]) : name
    }
    #expect(PlainViTCheckpointTests.text(rows, nil).contains("expected 2 more than the square"))
  }

  @Test("numbers of a container that contradict each other are refused")
  func hostile() throws {
    let found = try #require(try PlainViTCheckpoint(try Self.names("two-classifiers"), nil))
    let pooled = try #require(try PlainViTCheckpoint(try Self.names("pooled"), nil))
    let cases: [(config: PlainViTConfig, key: String, value: JSONValue)] = [
      (found.config, "distillation_token", false), (found.config, "class_position", false),
      (found.config, "pooler", pooled.config.json["pooler"] ?? .null),
      (pooled.config, "pooling", "class_and_distillation"), (pooled.config, "pooler", 1),
      (pooled.config, "distillation_token", 1),
    ]
    for (config, key, value) in cases {
      let changed = PlainViTCheckpointTests.changed(config.json, key, value)
      #expect(thrownError(ModelError.self) { try PlainViTConfig(json: changed) } != nil, "\(key)")
    }
  }
}
