import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMModels

/// Checkpoints of SigLIPs with a tower for texts.
struct SigLIPModelTests {
  /// Transformers' names, of towers of unlike widths.
  static let names: [CheckpointFacts.Name] = {
    var names = SigLIPCheckpointTests.names
    names += [
      ("logit_scale", [1]), ("logit_bias", []),
      ("text_model.embeddings.token_embedding.weight", [30, 6]),
      ("text_model.embeddings.position_embedding.weight", [80, 6]),
      ("text_model.embeddings.position_ids", [1, 80]),
      ("text_model.final_layer_norm.weight", [6]), ("text_model.final_layer_norm.bias", [6]),
      ("text_model.head.weight", [8, 6]), ("text_model.head.bias", [8]),
      ("text_model.encoder.layers.0.mlp.fc1.weight", [9, 6]),
    ]
    return names
  }()

  static let described: JSONValue = [
    "model_type": "siglip",
    "vision_config": [
      "model_type": "siglip_vision_model", "hidden_size": 8, "num_attention_heads": 2,
      "image_size": 50, "patch_size": 14, "num_hidden_layers": 3, "intermediate_size": 16,
    ],
    "text_config": [
      "model_type": "siglip_text_model", "hidden_size": 6, "num_attention_heads": 3,
      "num_hidden_layers": 1, "intermediate_size": 9, "vocab_size": 30,
      "max_position_embeddings": 80, "projection_size": 8, "pad_token_id": 1,
    ],
  ]

  static func model(
    _ names: [CheckpointFacts.Name], _ description: JSONValue?
  ) throws -> (config: CLIPConfig, model: ModelCheckpoint) {
    let model = try #require(
      try ModelCheckpoint.recognise(CheckpointFacts(names: names, description: description)))
    return (try #require(model.description.config as? CLIPConfig), model)
  }

  @Test("both towers are one model, whose texts are padded to 64 and told by their last token")
  func whole() throws {
    let (config, model) = try Self.model(Self.names, Self.described)
    let (image, text) = (try #require(config.imageTower as? SigLIPConfig), config.textTower)
    #expect(image.isJoint && image.feature == .attentionPooled && config.scores == .sigmoid)
    #expect(text.encoder.heads == 3 && text.encoder.hidden == 9 && text.embedding == 8)
    #expect(text.encoder.activation == .geluTanh && text.encoder.epsilon == 1e-6)
    #expect(text.pooling == .last && !text.isCausal && text.hasProjectionBias)
    #expect(text.contextLength == 80 && text.tokenCount == 64)
    #expect(model.tensors["logit_bias"]?.shape == [1])
    #expect(model.tensors["text.projection_bias"]?.original == "text_model.head.bias")
    #expect(model.unexpected.isEmpty && model.notes.isEmpty)
    #expect(try ModelDescription(json: model.description.json) == model.description)
    // What a container says of it is checked.
    for (key, value) in [
      ("pooling", "first"), ("padded_length", 0), ("padded_length", 81), ("projection_bias", 1),
    ] as [(String, JSONValue)] {
      let text = SigLIPCheckpointTests.changed(config.textTower.json, key, value)
      #expect(throws: ModelError.self) { try TextTowerConfig(json: text) }
    }
  }

  @Test("numbers that are left out are transformers' defaults, which this model does not have")
  func defaults() throws {
    // Twelve heads do not divide six columns.
    let silent = SigLIPCheckpointTests.changed(
      Self.described, "text_config", ["model_type": "siglip_text_model", "hidden_size": 6])
    #expect(throws: ModelError.self) { try Self.model(Self.names, silent) }
    let (bare, _) = try Self.model(Self.names, nil)
    #expect(bare.textTower.encoder.heads == 1 && bare.textTower.pooling == .last)
  }

  static let contradictions: [(String, JSONValue)] = [
    ("hidden_size", 8), ("num_hidden_layers", 2), ("vocab_size", 31), ("projection_size", 6),
    ("max_position_embeddings", 64), ("num_attention_heads", 4), ("hidden_act", "relu"),
    ("layer_norm_eps", 2), ("intermediate_size", 10), ("model_type", "clip_text_model"),
    ("rope_theta", 10_000),
  ]

  @Test("a text tower that the description contradicts is refused", arguments: contradictions)
  func contradiction(_ key: String, _ value: JSONValue) throws {
    let text = try #require(Self.described["text_config"])
    let described = SigLIPCheckpointTests.changed(
      Self.described, "text_config", SigLIPCheckpointTests.changed(text, key, value))
    #expect(throws: ModelError.self) { try Self.model(Self.names, described) }
  }

  @Test(
    "a part that is missing is named",
    arguments: [
      "logit_scale", "logit_bias", "text_model.head.weight", "text_model.head.bias",
      "text_model.final_layer_norm.weight", "text_model.embeddings.position_embedding.weight",
    ])
  func missing(_ name: String) {
    let names = Self.names.filter { $0.name != name }
    let error = thrownError(ModelError.self) { try Self.model(names, Self.described) }
    #expect(error?.description.contains("missing") == true, "\(String(describing: error))")
  }

  @Test("tensors of a text tower that nothing explains are said to be")
  func unexpected() throws {
    let more: [CheckpointFacts.Name] = [("text_model.encoder.gate.weight", [6])]
    let (_, model) = try Self.model(Self.names + more, Self.described)
    #expect(model.unexpected == ["text_model.encoder.gate.weight"])
    #expect(model.notes.isEmpty)
  }
}
