import Foundation
import Testing
import VLMCheckpoint
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// ConvNeXts of every structure that timm has, tiny and saved by timm itself, against what its code
/// makes of them; `scripts/make-upstream-fixtures` made both.
struct UpstreamConvNeXtTests {
  static let structures = [
    "simple-norm", "rms-norm", "rms-norm-first", "stride-8", "gray", "rgba", "five-channels",
  ]

  private func session(_ name: String) throws -> Session {
    try convertedSession(
      UpstreamFixtureTests.path("timm-" + name), .f32, in: try TemporaryFolder())
  }

  @Test("timm's structures give its features and logits", arguments: structures)
  func logits(_ name: String) throws {
    var features: [Float]?
    let pixels = try UpstreamFixtureTests.pixels("timm-\(name).pixel_values")
    let result = try session(name).run([pixels]) { seen in
      if seen.name == "features" { features = seen.planar.values }
    }
    try UpstreamFixtureTests.check(features, "timm-\(name).features")
    try UpstreamFixtureTests.check(result[0].logits, "timm-\(name).logits")
  }

  @Test(
    "pictures are seen in gray or with their opacity as Pillow and timm make them",
    arguments: [
      "gray", "rgba",
    ])
  func pictures(_ name: String) throws {
    let session = try session(name)
    let steps = session.preprocessing
    #expect(steps.color == (name == "gray" ? .gray : .rgba))
    let picture = try ImageDecoder.decode(
      path: UpstreamFixtureTests.path("rgba.png"), color: steps.color, policy: .pillow)
    let pixels = try steps.apply(picture, name: "rgba.png")
    let want = try UpstreamFixtureTests.expected("timm-").tensor("timm-\(name).picture")
    #expect(maxAbsDifference(pixels.channelsFirst(), try #require(want).values) <= 1e-6)
    let result = try session.run([pixels])
    try UpstreamFixtureTests.check(result[0].logits, "timm-\(name).picture_logits")
    // What was stored is what was meant.
    #expect(try Preprocessing(json: steps.json(), name: "json") == steps)
  }

  @Test("an image of other channels than the model's is refused")
  func otherChannels() throws {
    let session = try session("five-channels")
    #expect(session.inputChannels == 5)
    let picture = PixelTensor(
      height: 40, width: 40, values: [Float](repeating: 0, count: 3 * 40 * 40))
    let error = thrownError(ModelError.self) { try session.run([picture]) }
    #expect(error?.problem == .image(found: "3 channels", expected: "5, the model's"))
  }

  private func facts(
    _ name: String, _ change: (inout JSONObject) -> Void
  ) throws -> CheckpointFacts {
    let path = UpstreamFixtureTests.path("timm-" + name)
    let catalog = try Checkpoint.read(path: path)
    var description = try #require(try TestFiles.json(path + "/config.json").objectValue)
    var arguments = description["model_args"]?.objectValue ?? JSONObject()
    change(&arguments)
    description.set("model_args", .object(arguments))
    return CheckpointFacts(
      names: catalog.tensors.map { (name: $0.name, shape: $0.shape) },
      description: .object(description))
  }

  static let contradictions: [(String, String, JSONValue)] = [
    ("simple-norm", "norm_layer", .null), ("simple-norm", "norm_layer", "batchnorm2d"),
    ("simple-norm", "norm_layer", "layernorm"), ("gray", "norm_layer", "rmsnorm"),
    ("gray", "global_pool", "max"), ("gray", "global_pool", ""), ("gray", "act_layer", "mish"),
    ("gray", "depths", [1, 1, 1, 1]),
  ]

  @Test(
    "an option that the tensors contradict, or that is not known, is refused and named",
    arguments: contradictions)
  func refused(_ name: String, _ key: String, _ value: JSONValue) throws {
    let facts = try facts(name) { $0.set(key, value) }
    let error = thrownError(ModelError.self) { try ModelCheckpoint.recognise(facts) }
    let text = try #require(error).description
    #expect(text.contains(key) || key == "act_layer" && text.contains("activation"), "\(text)")
  }

  @Test("released models of timm, whose files state no options, are known by their names")
  func named() throws {
    let names = [("convnext_zepto_rms_ols", NormKind.simple), ("convnext_atto_rms", .rms)]
    for (name, kind) in names {
      let facts = try facts("simple-norm") { $0.set("norm_layer", .null) }
      var description = try #require(facts.description?.objectValue)
      description.set("architecture", .string(name))
      let found = try ModelCheckpoint.recognise(
        CheckpointFacts(names: facts.names, description: .object(description)))
      guard let config = found?.description.config as? ConvNeXtConfig else {
        Issue.record("no ConvNeXt")
        return
      }
      #expect(config.norm == kind)
      #expect(try ConvNeXtConfig(json: config.json) == config)
    }
  }
}

/// CLIPs of transformers and open_clip, likewise.
struct UpstreamCLIPTests {
  private func session(_ name: String) throws -> Session {
    try convertedSession(UpstreamFixtureTests.path(name), .f32, in: try TemporaryFolder())
  }

  @Test("a vision tower with its projection gives image_embeds, of length 1")
  func projection() throws {
    let session = try session("clip-projection")
    var raw: [Float]?
    let pixels = try UpstreamFixtureTests.pixels("clip.pixel_values")
    let result = try session.run([pixels]) { seen in
      if seen.name == "image_embedding_raw" { raw = seen.planar.values }
    }
    try UpstreamFixtureTests.check(raw, "clip-projection.image_embeds")
    let projected = try #require(raw)
    #expect(result[0].embedding == ZeroShot.normalised(projected))
    #expect(session.model.vision?.isJoint == true && session.clip == nil)
  }

  @Test(
    "a whole CLIP likens images to texts as its own code does",
    arguments: ["clip-model", "open-clip-vit", "open-clip-quick"])
  func whole(_ name: String) throws {
    let session = try session(name)
    let expected = try Expected(UpstreamFixtureTests.path("expected.safetensors"))
    let ids = try #require(expected.tensor("clip-model.input_ids"))
    let count = ids.shape[1]
    let rows = (0..<ids.shape[0]).map { row in
      ids.values[row * count..<(row + 1) * count].map { Int($0) }
    }
    let texts = try session.embed(texts: rows)
    try UpstreamFixtureTests.check(texts.flatMap { $0 }, "\(name).text_embeds")
    let image = try session.run([try UpstreamFixtureTests.pixels("clip.pixel_values")])[0]
    try UpstreamFixtureTests.check(image.embedding, "\(name).image_embeds")
    let scale = try #require(session.clip).scale
    let logits = ZeroShot.logits(image: image.embedding, texts: texts, scale: scale)
    try UpstreamFixtureTests.check(logits, "\(name).logits")
    // Neither the first text's end nor the second's is its largest id.
    guard let config = session.description.config as? CLIPConfig else {
      Issue.record("\(session.description)")
      return
    }
    #expect(config.textTower.endToken == (name == "clip-model" ? 7 : nil))
    #expect(try CLIPConfig(json: config.json) == config)
  }

  @Test("a whole CLIP without its text tower's parts is its vision tower")
  func parts() throws {
    let path = UpstreamFixtureTests.path("clip-model")
    let catalog = try Checkpoint.read(path: path)
    let description = try TestFiles.json(path + "/config.json")
    func found(without part: String) throws -> ModelDescription? {
      let names = catalog.tensors.filter { !$0.name.hasPrefix(part) }
        .map { (name: $0.name, shape: $0.shape) }
      return try ModelCheckpoint.recognise(
        CheckpointFacts(names: names, description: description))?.description
    }
    for part in ["logit_scale", "text_projection", "text_model.", "visual_projection"] {
      guard let config = try found(without: part)?.config as? ViTConfig else {
        Issue.record("\(part): no vision tower")
        continue
      }
      #expect(config.projection == (part == "visual_projection" ? nil : 10))
      #expect(config.encoder.heads == 12)
      #expect(try ViTConfig(json: config.json) == config)
    }
  }

  @Test("vision_config_dict wins over vision_config whole, as in transformers")
  func doubleDescription() throws {
    let path = UpstreamFixtureTests.path("clip-model")
    let catalog = try Checkpoint.read(path: path)
    var description = try #require(try TestFiles.json(path + "/config.json").objectValue)
    func tower(_ double: JSONValue) throws -> TransformerConfig? {
      description.set("vision_config_dict", double)
      let found = try ModelCheckpoint.recognise(
        CheckpointFacts(
          names: catalog.tensors.map { (name: $0.name, shape: $0.shape) },
          description: .object(description)))
      guard let config = found?.description.config as? CLIPConfig,
        let tower = config.imageTower as? ViTConfig
      else { return nil }
      return tower.encoder
    }
    let other = try tower(["hidden_size": 24, "num_attention_heads": 6, "hidden_act": "gelu"])
    #expect(other?.heads == 6 && other?.activation == .gelu)
    let silent = try tower(["hidden_size": 24])
    #expect(silent?.heads == 12 && silent?.activation == .quickGELU)
    #expect(try tower(.null)?.heads == 12)
  }

  @Test("of two descriptions in a folder the one that goes with the weights is read")
  func descriptions() throws {
    let folder = try TemporaryFolder()
    for (name, copy) in [
      ("open-clip-quick/open_clip_model.safetensors", "open_clip_model.safetensors"),
      ("open-clip-quick/open_clip_config.json", "open_clip_config.json"),
      ("clip-projection/model.safetensors", "model.safetensors"),
      ("clip-projection/config.json", "config.json"),
    ] {
      try FileManager.default.copyItem(
        atPath: UpstreamFixtureTests.path(name), toPath: folder.path(copy))
    }
    let both = try SourceModel.open(path: folder.url.path)
    guard let config = both.description.config as? CLIPConfig,
      let tower = config.imageTower as? ViTConfig
    else {
      Issue.record("no open_clip model")
      return
    }
    #expect(tower.encoder.activation == .quickGELU && tower.encoder.heads == 3)
    #expect(
      config.textTower.encoder.activation == .quickGELU && config.textTower.encoder.heads == 4)
    try FileManager.default.removeItem(atPath: folder.path("open_clip_model.safetensors"))
    let other = try SourceModel.open(path: folder.url.path)
    #expect(other.description.architecture == "clip_vit")
  }

  static let refused: [(String, String, JSONValue)] = [
    ("vision_cfg", "pool_type", "avg"), ("vision_cfg", "attentional_pool", true),
    ("text_cfg", "pool_type", "first"),
    ("text_cfg", "hf_model_name", "roberta-base"),
  ]

  @Test(
    "an option of open_clip's that makes another model is refused and named", arguments: refused)
  func options(_ part: String, _ key: String, _ value: JSONValue) throws {
    let path = UpstreamFixtureTests.path("open-clip-vit")
    let catalog = try Checkpoint.read(path: path)
    let json = try TestFiles.json(path + "/open_clip_config.json")
    var model = try #require(json["model_cfg"]?.objectValue)
    var tower = try #require(model[part]?.objectValue)
    tower.set(key, value)
    model.set(part, .object(tower))
    let facts = CheckpointFacts(
      names: catalog.tensors.map { (name: $0.name, shape: $0.shape) },
      description: ["model_cfg": .object(model)])
    let error = thrownError(ModelError.self) { try ModelCheckpoint.recognise(facts) }
    let text = try #require(error).description
    #expect(text.contains("\(part).\(key)"))
  }

  @Test("image towers that open_clip has besides are refused by name")
  func otherTowers() throws {
    for (name, found) in [
      ("visual.trunk.blocks.0.attn.qkv.weight", "a model of timm's"),
      ("visual.attnpool.positional_embedding", "a ResNet"),
    ] {
      let facts = CheckpointFacts(names: [(name, [4, 4]), ("logit_scale", [])])
      let error = thrownError(ModelError.self) { try ModelCheckpoint.recognise(facts) }
      let text = try #require(error).description
      #expect(text.contains(found))
    }
    let siglip = CheckpointFacts(
      names: [("vision_model.embeddings.patch_embedding.weight", [8, 3, 7, 7])],
      description: ["model_type": "siglip"])
    let error = thrownError(ModelError.self) { try ModelCheckpoint.recognise(siglip) }
    let text = try #require(error).description
    #expect(text.contains("found 'siglip'"))
  }
}
