import Foundation
import Testing
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// SigLIP's tower, checkpoint → container → vectors, against transformers, timm and open_clip;
/// `scripts/make-siglip-fixtures` made both.
struct SigLIPGoldenTests {
  static let tolerance: Float = 1e-5
  static func path(_ name: String) -> String { TestFiles.fixture("siglip/" + name) }

  static func expected() throws -> Expected { try Expected(path("expected.safetensors")) }

  static func check(_ found: [Float]?, _ name: String) throws {
    let expected = try expected()
    let want = try #require(expected.tensor(name), "\(name)")
    let difference = maxAbsDifference(try #require(found, "\(name)"), want.values)
    #expect(difference <= tolerance * want.scale, "\(name): differs by \(difference)")
  }

  /// A picture of the fixtures; `side` cuts its upper left corner out.
  static func pixels(_ name: String = "pixel_values", side: Int? = nil) throws -> PixelTensor {
    let expected = try expected()
    let pixels = try #require(expected.tensor(name))
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
    _ checkpoint: String, _ scheme: Scheme = .f32, pixels: PixelTensor,
    kernels: KernelSet? = nil
  ) throws -> (shown: [String: [Float]], embedding: [Float], logits: [Float]?) {
    let folder = try TemporaryFolder()
    let session = try convertedSession(path(checkpoint), scheme, in: folder, kernels: kernels)
    var shown: [String: [Float]] = [:]
    let result = try #require(
      try session.run([pixels]) { shown[$0.name] = $0.planar.values }.first)
    return (shown, result.embedding, result.logits)
  }

  @Test("f32 agrees with transformers after every layer, pooled and with other sizes of picture")
  func vision() throws {
    for (place, picture) in [
      ("vision", "pixel_values"), ("larger", "larger.pixel_values"),
      ("smaller", "smaller.pixel_values"),
    ] {
      let found = try Self.run("vision", pixels: try Self.pixels(picture))
      for layer in 0...3 {
        try Self.check(found.shown["hidden.\(layer)"], "\(place).hidden.\(layer)")
      }
      try Self.check(found.shown["last_hidden_state"], "\(place).last_hidden_state")
      try Self.check(found.embedding, "\(place).pooler_output")
      #expect(found.logits == nil)
    }
  }

  @Test("a model without a pooling head embeds by the mean of its tokens")
  func headless() throws {
    let found = try Self.run("headless", pixels: try Self.pixels())
    for layer in 0...2 {
      try Self.check(found.shown["hidden.\(layer)"], "headless.hidden.\(layer)")
    }
    let last = try #require(try Self.expected().tensor("headless.last_hidden_state"))
    try Self.check(found.shown["last_hidden_state"], "headless.last_hidden_state")
    let (rows, columns) = (last.shape[1], last.shape[2])
    let mean = (0..<columns).map { column in
      (0..<rows).reduce(Float(0)) { $0 + last.values[$1 * columns + column] } / Float(rows)
    }
    #expect(maxAbsDifference(found.embedding, mean) <= Self.tolerance * last.scale)
  }

  @Test("a whole SigLIP embeds pictures at length 1")
  func whole() throws {
    let found = try Self.run("model", pixels: try Self.pixels())
    try Self.check(found.shown["pooler_output"], "model.pooler_output")
    try Self.check(found.embedding, "model.image_embeds")
    let source = try SourceModel.open(path: Self.path("model"))
    #expect(source.notes.contains { $0.contains("takes token ids only") })
    // No file says how pictures are prepared: as SigLIP's own processor does, not CLIP's.
    let alone = try SourceModel.open(path: Self.path("vision"))
    #expect(source.preprocessing?.normalization == .half)
    #expect(source.preprocessing?.crop == nil)
    #expect(source.notes.contains { $0.contains("assuming SigLIP's, at a side of") })
    #expect(source.preprocessing?.fixedSize?.width == alone.preprocessing?.fixedSize?.width)
  }

  @Test("a classifier looks at the mean of the tokens, and has the steps of its processor")
  func classifier() throws {
    let found = try Self.run("classifier", pixels: try Self.pixels())
    try Self.check(found.logits, "classifier.logits")
    let source = try SourceModel.open(path: Self.path("classifier"))
    #expect(source.labels == ["tabby", "horse", "owl"])
    #expect(source.preprocessing?.normalization == .half)
    #expect(source.preprocessing?.fixedSize?.width == 30)
  }

  @Test("where nothing is beside the weights the steps are those of SigLIP's processor")
  func steps() throws {
    let source = try SourceModel.open(path: Self.path("vision"))
    let stated = try SourceModel.open(path: Self.path("classifier"))
    #expect(source.preprocessing == stated.preprocessing)
    #expect(source.notes.contains { $0.contains("assuming SigLIP's, at a side of 30") })
  }

  static let timmModels = ["open-clip", "open-clip-tanh", "timm-map", "timm-gap"]

  @Test("timm's and open_clip's files give what their own code computes", arguments: timmModels)
  func timm(_ name: String) throws {
    let found = try Self.run(name, pixels: try Self.pixels(side: 28))
    try Self.check(found.shown["last_hidden_state"], "\(name).last_hidden_state")
    try Self.check(found.shown["pooler_output"], "\(name).pooler_output")
    if name.hasPrefix("timm") {
      try Self.check(found.logits, "\(name).logits")
    } else {
      #expect(found.logits == nil)
    }
  }

  @Test(
    "quantized weights keep the direction of the vector",
    arguments: [(Scheme.f16, 0.9999), (.bf16, 0.999), (.q8, 0.999), (.q4, 0.98)])
  func quantized(_ bound: (scheme: Scheme, cosine: Double)) throws {
    let pixels = try Self.pixels()
    let want = try #require(try Self.expected().tensor("vision.pooler_output"))
    let found = try Self.run("vision", bound.scheme, pixels: pixels)
    let similarity = cosine(found.embedding, want.values)
    #expect(similarity >= bound.cosine, "cosine \(similarity)")
  }

  @Test("every instruction set agrees with the scalar kernels", arguments: [Scheme.f32, .q8])
  func instructionSets(_ scheme: Scheme) throws {
    let pixels = try Self.pixels()
    let scalar = try #require(KernelSet(named: "scalar"))
    let reference = try Self.run("vision", scheme, pixels: pixels, kernels: scalar)
    let scale = reference.embedding.reduce(1) { max($0, abs($1)) }
    for kernels in KernelSet.all where kernels.name != "scalar" {
      let found = try Self.run("vision", scheme, pixels: pixels, kernels: kernels)
      let difference = maxAbsDifference(found.embedding, reference.embedding)
      #expect(
        difference <= (scheme == .f32 ? 1e-4 : 2e-2) * scale,
        "\(kernels.name): differs by \(difference)")
    }
  }

  @Test(
    "a LLaVA sees with it, in transformers' names and in those of LLaVA's own code",
    arguments: ["llava", "llava-upstream"])
  func llava(_ name: String) throws {
    let folder = try TemporaryFolder()
    let tower = name == "llava" ? nil : Self.path("llava-upstream/tower")
    let session = try conversation(Self.path(name), .f32, in: folder, visionTower: tower)
    let picture = try session.encode(try Self.pixels())
    try Self.check(picture.rows.array(), "llava.projector")
    var logits: [Float]?
    try session.inspect([1, 5, 7, ImagePrompt.sentinel, 11, 13], images: [picture]) {
      name, _, values in
      if name == "logits" { logits = values }
    }
    try Self.check(logits, "llava.logits")
  }
}
