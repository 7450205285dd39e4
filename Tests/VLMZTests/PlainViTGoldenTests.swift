import Foundation
import Testing
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMZ

/// DINOv2, DINOv3 and timm's ViTs, checkpoint → container → vectors, against transformers and timm;
/// `scripts/make-dinov2-fixtures` made both.
struct PlainViTGoldenTests {
  static let tolerance: Float = 2e-5
  static func path(_ name: String, in group: String = "dinov2") -> String {
    TestFiles.fixture("\(group)/\(name)")
  }

  static func check(_ found: [Float]?, _ name: String, in group: String = "dinov2") throws {
    let want = try #require(
      try Expected(path("expected.safetensors", in: group)).tensor(name), "\(name)")
    let difference = maxAbsDifference(try #require(found, "\(name)"), want.values)
    #expect(difference <= tolerance * want.scale, "\(name): differs by \(difference)")
  }

  /// A picture of the fixtures; `side` cuts its upper left corner out.
  static func pixels(_ name: String = "pixel_values", side: Int? = nil) throws -> PixelTensor {
    let pixels = try #require(try Expected(path("expected.safetensors")).tensor(name))
    let (height, width) = (pixels.shape[2], pixels.shape[3])
    var values = pixels.values
    if let side {
      values = []
      for row in 0..<3 * height where row % height < side {
        values += pixels.values[row * width..<row * width + side]
      }
    }
    return PixelTensor(height: side ?? height, width: side ?? width, channelsFirst: values)
  }

  /// Every intermediate of one picture by name, with the embedding and the logits.
  static func run(
    _ checkpoint: String, _ scheme: Scheme = .f32, _ pixels: PixelTensor,
    kernels: KernelSet? = nil, in group: String = "dinov2"
  ) throws -> (shown: [String: [Float]], embedding: [Float], logits: [Float]?) {
    let folder = try TemporaryFolder()
    let session = try convertedSession(
      path(checkpoint, in: group), scheme, in: folder, kernels: kernels)
    var shown: [String: [Float]] = [:]
    let result = try #require(
      try session.run([pixels]) { shown[$0.name] = $0.planar.values }.first)
    return (shown, result.embedding, result.logits)
  }

  /// A folder of transformers', whose values it has, and how many layers there are.
  static let models = [
    ("model", "model", 3), ("giant", "giant", 2), ("giant-split", "giant", 2),
    ("registers", "registers", 3), ("dinov3", "dinov3", 2), ("dinov3-gated", "dinov3-gated", 2),
  ]

  @Test("f32 agrees with transformers after every layer", arguments: models)
  func layers(_ model: (folder: String, expected: String, layers: Int)) throws {
    let found = try Self.run(model.folder, .f32, try Self.pixels())
    for layer in 0...model.layers {
      try Self.check(found.shown["hidden.\(layer)"], "\(model.expected).hidden.\(layer)")
    }
    try Self.check(found.shown["last_hidden_state"], "\(model.expected).last_hidden_state")
    try Self.check(found.embedding, "\(model.expected).pooler_output")
  }

  @Test(
    "positions are resampled for other sizes and proportions",
    arguments: ["model", "registers", "dinov3", "dinov3-gated"])
  func larger(_ name: String) throws {
    let found = try Self.run(name, .f32, try Self.pixels("larger.pixel_values"))
    try Self.check(found.shown["hidden.1"], "\(name).larger.hidden.1")
    try Self.check(found.shown["last_hidden_state"], "\(name).larger.last_hidden_state")
  }

  @Test(
    "a classifier reads the class token and the mean of the patches",
    arguments: ["classifier", "registers-classifier"])
  func classifier(_ name: String) throws {
    let found = try Self.run(name, .f32, try Self.pixels())
    try Self.check(found.logits, "\(name).logits")
    #expect(found.embedding.count == 42)
    let source = try SourceModel.open(path: Self.path(name))
    #expect(source.labels == ["tabby", "horse", "owl"])
  }

  @Test("the steps of a processor beside the weights are taken, else DINOv2's")
  func steps() throws {
    let stated = try SourceModel.open(path: Self.path("classifier")).preprocessing
    #expect(stated?.fixedSize?.width == 31)
    let source = try SourceModel.open(path: Self.path("model"))
    #expect(source.preprocessing?.fixedSize?.width == 224)
    #expect(source.notes.contains { $0.contains("assuming DINOv2's") })
  }

  static let timmModels = ["timm", "timm-registers", "timm-giant", "timm-vit", "timm-vit-mean"]

  @Test("timm's files give what its own code computes", arguments: timmModels)
  func timm(_ name: String) throws {
    let found = try Self.run(name, .f32, try Self.pixels(side: 30))
    try Self.check(found.shown["last_hidden_state"], "\(name).last_hidden_state")
    try Self.check(found.embedding, "\(name).pooler_output")
    if found.logits != nil || name.hasPrefix("timm-vit") || name == "timm" {
      try Self.check(found.logits, "\(name).logits")
    }
  }

  @Test("timm smooths the positions that it resamples")
  func timmLarger() throws {
    let found = try Self.run("timm", .f32, try Self.pixels("larger.pixel_values"))
    try Self.check(found.shown["last_hidden_state"], "timm.larger.last_hidden_state")
  }

  /// A folder of a DINOv3 that timm or facebookresearch saved, and whose values it has.
  static let dinov3s = [
    ("timm-dinov3", "timm-dinov3"), ("timm-dinov3-gated", "timm-dinov3-gated"),
    ("facebook-dinov3", "timm-dinov3-gated"),
  ]

  @Test("a DINOv3 of timm's or facebookresearch's agrees with timm's code", arguments: dinov3s)
  func otherDINOv3s(_ model: (folder: String, expected: String)) throws {
    for (place, pixels) in [
      (model.expected, try Self.pixels(side: 30)),
      (model.expected + ".larger", try Self.pixels("larger.pixel_values")),
    ] {
      let found = try Self.run(model.folder, .f32, pixels)
      for layer in 0...2 {
        try Self.check(found.shown["hidden.\(layer)"], "\(place).hidden.\(layer)")
      }
      try Self.check(found.shown["last_hidden_state"], "\(place).last_hidden_state")
      try Self.check(found.embedding, "\(place).pooler_output")
      if model.folder == "timm-dinov3" { try Self.check(found.logits, "\(place).logits") }
    }
  }

  @Test("facebookresearch's files are timm's but for the token of hidden patches")
  func facebook() throws {
    let found = try Self.run("facebook", .f32, try Self.pixels(side: 30))
    try Self.check(found.embedding, "facebook.pooler_output")
    let source = try SourceModel.open(path: Self.path("facebook"))
    #expect(source.notes.contains { $0.contains("assuming 1 head") })
    let newer = try SourceModel.open(path: Self.path("facebook-dinov3"))
    #expect(newer.notes.contains { $0.contains("assuming 1 head") })
    #expect(newer.notes.contains { $0.contains("assuming DINOv3's, at a side of 256") })
    #expect(newer.preprocessing?.fixedSize?.width == 256)
  }

  /// timm's `pretrained_cfg` of `vit_small_patch16_dinov3` and its kin.
  @Test("weights of timm's DINOv3 alone are shown what timm shows them")
  func bareDINOv3() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.copyItem(
      atPath: Self.path("timm-dinov3/model.safetensors"), toPath: folder.path("bare.safetensors"))
    let source = try SourceModel.open(path: folder.path("bare.safetensors"))
    let stated = try JSONValue.parse(
      #"{"input_size": [3, 256, 256], "crop_pct": 1.0, "interpolation": "bicubic"}"#)
    #expect(try source.preprocessing == Preprocessing(checkpointConfig: stated, name: "timm"))
    #expect(source.notes.contains { $0.contains("timm's for such models, a short side of 256") })
  }

  @Test(
    "quantized weights keep the direction of the vector",
    arguments: [(Scheme.f16, 0.9999), (.bf16, 0.999), (.q8, 0.999), (.q4, 0.97)])
  func quantized(_ bound: (scheme: Scheme, cosine: Double)) throws {
    for name in ["model", "giant", "timm-dinov3"] {
      let want = try #require(
        try Expected(Self.path("expected.safetensors")).tensor("\(name).pooler_output"))
      let side = name.hasPrefix("timm") ? 30 : nil
      let found = try Self.run(name, bound.scheme, try Self.pixels(side: side))
      let similarity = cosine(found.embedding, want.values)
      #expect(similarity >= bound.cosine, "\(name): cosine \(similarity)")
    }
  }

  @Test("every instruction set agrees with the scalar kernels", arguments: ["giant", "registers"])
  func instructionSets(_ name: String) throws {
    let scalar = try #require(KernelSet(named: "scalar"))
    let pixels = try Self.pixels()
    let reference = try Self.run(name, .f32, pixels, kernels: scalar)
    let scale = reference.embedding.reduce(1) { max($0, abs($1)) }
    for kernels in KernelSet.all where kernels.name != "scalar" {
      let found = try Self.run(name, .f32, pixels, kernels: kernels)
      let difference = maxAbsDifference(found.embedding, reference.embedding)
      #expect(difference <= 1e-4 * scale, "\(kernels.name): differs by \(difference)")
    }
  }
}
