import Testing
import VLMConversion
import VLMFoundation
import VLMImages
import VLMTensor
import VLMTestSupport
import VLMZ

/// transformers' ViTs and DeiTs and timm's DeiTs, checkpoint → container → vectors, against their own
/// code; `scripts/make-dinov2-fixtures` made both.
struct ViTGoldenTests {
  typealias Goldens = PlainViTGoldenTests
  static let group = "vit"

  static func check(_ found: [Float]?, _ name: String) throws {
    try Goldens.check(found, name, in: group)
  }

  static func run(
    _ checkpoint: String, _ scheme: Scheme = .f32, _ pixels: PixelTensor
  ) throws -> (shown: [String: [Float]], embedding: [Float], logits: [Float]?) {
    try Goldens.run(checkpoint, scheme, pixels, in: group)
  }

  static let models = ["pooled", "plain", "distilled"]

  @Test("f32 agrees with transformers after every layer, and in the pooler", arguments: models)
  func layers(_ name: String) throws {
    let found = try Self.run(name, .f32, try Goldens.pixels())
    for layer in 0...2 {
      try Self.check(found.shown["hidden.\(layer)"], "\(name).hidden.\(layer)")
    }
    try Self.check(found.shown["last_hidden_state"], "\(name).last_hidden_state")
    try Self.check(found.embedding, "\(name).pooler_output")
    #expect(found.embedding.count == (name == "distilled" ? 10 : 21))
  }

  @Test("positions are resampled for other sizes and proportions", arguments: models)
  func larger(_ name: String) throws {
    let found = try Self.run(name, .f32, try Goldens.pixels("larger.pixel_values"))
    try Self.check(found.shown["hidden.1"], "\(name).larger.hidden.1")
    try Self.check(found.shown["last_hidden_state"], "\(name).larger.last_hidden_state")
    try Self.check(found.embedding, "\(name).larger.pooler_output")
  }

  @Test(
    "a classifier reads the class token, or each of two its own, whose logits are averaged",
    arguments: [
      ("classifier", "classifier"), ("distilled-classifier", "distilled-classifier"),
      ("two-classifiers", "two-classifiers"), ("modules", "two-classifiers"),
    ])
  func classifiers(_ model: (folder: String, expected: String)) throws {
    let found = try Self.run(model.folder, .f32, try Goldens.pixels())
    try Self.check(found.logits, "\(model.expected).logits")
    #expect(found.embedding.count == 21)
    let source = try SourceModel.open(path: Goldens.path(model.folder, in: Self.group))
    #expect(source.labels == ["tabby", "horse", "owl"])
  }

  @Test(
    "timm's DeiTs give what its own code computes", arguments: ["timm-distilled", "timm-deit3"])
  func timm(_ name: String) throws {
    let found = try Self.run(name, .f32, try Goldens.pixels(side: 30))
    try Self.check(found.shown["last_hidden_state"], "\(name).last_hidden_state")
    try Self.check(found.embedding, "\(name).pooler_output")
    try Self.check(found.logits, "\(name).logits")
    let larger = try Self.run(name, .f32, try Goldens.pixels("larger.pixel_values"))
    try Self.check(larger.shown["last_hidden_state"], "\(name).larger.last_hidden_state")
  }

  @Test(
    "quantized weights keep the direction of the vector",
    arguments: [(Scheme.f16, 0.9999), (.bf16, 0.999), (.q8, 0.999), (.q4, 0.97)])
  func quantized(_ bound: (scheme: Scheme, cosine: Double)) throws {
    for name in Self.models {
      let expected = try Expected(Goldens.path("expected.safetensors", in: Self.group))
      let want = try #require(expected.tensor("\(name).pooler_output"))
      let found = try Self.run(name, bound.scheme, try Goldens.pixels())
      let similarity = cosine(found.embedding, want.values)
      #expect(similarity >= bound.cosine, "\(name): cosine \(similarity)")
    }
  }

  @Test(
    "the steps of a processor beside the weights are taken, else the class's at the model's side")
  func steps() throws {
    let stated = try SourceModel.open(path: Goldens.path("classifier", in: Self.group))
    #expect(stated.preprocessing?.fixedSize?.width == 31)
    #expect(stated.notes.allSatisfy { !$0.contains("assuming") })
    let plain = try SourceModel.open(path: Goldens.path("pooled", in: Self.group))
    #expect(plain.preprocessing?.fixedSize?.width == 31)
    #expect(plain.preprocessing?.normalization == .half)
    #expect(plain.notes.contains { $0.contains("assuming ViT's, at a side of 31") })
    let distilled = try SourceModel.open(path: Goldens.path("distilled", in: Self.group))
    #expect(distilled.preprocessing?.fixedSize?.width == 31)
    #expect(distilled.preprocessing?.normalization == .imageNet)
  }
}
