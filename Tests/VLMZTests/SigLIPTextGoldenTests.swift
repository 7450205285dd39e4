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

/// SigLIP and SigLIP 2 with their towers for texts, checkpoint → container → probabilities, against
/// transformers and open_clip; `scripts/make-siglip-fixtures` made both.
struct SigLIPTextGoldenTests {
  /// The bound that every model is held to.
  static let tolerance: Float = 1e-4

  static func check(_ found: [Float]?, _ name: String) throws {
    let want = try #require(try SigLIPGoldenTests.expected().tensor(name), "\(name)")
    let difference = maxAbsDifference(try #require(found, "\(name)"), want.values)
    #expect(difference <= tolerance * want.scale, "\(name): differs by \(difference)")
  }

  static func session(
    _ name: String, _ scheme: Scheme = .f32, in folder: TemporaryFolder
  ) throws -> Session {
    try convertedSession(SigLIPGoldenTests.path(name), scheme, in: folder)
  }

  /// Rows of ids.
  static func ids(_ name: String) throws -> [[Int]] {
    let ids = try #require(try SigLIPGoldenTests.expected().tensor("\(name).text_ids"))
    return (0..<ids.shape[0]).map { row in
      ids.values[row * ids.shape[1]..<(row + 1) * ids.shape[1]].map { Int($0) }
    }
  }

  static func texts(_ name: String) throws -> JSONValue {
    let bytes = Array(
      try Data(contentsOf: URL(fileURLWithPath: SigLIPGoldenTests.path("texts.json"))))
    return try #require(try JSONValue.parse(bytes)[name])
  }

  static let models = ["joint", "naflex", "open-clip", "open-clip-tanh"]

  @Test("every text becomes the ids that upstream's tokenizer makes of it", arguments: models)
  func tokenizers(_ name: String) throws {
    let folder = try TemporaryFolder()
    let session = try Self.session(name, in: folder)
    let reader = try #require(try session.model.textReader())
    let expected = try #require(try Self.texts(name)["ids"]?.objectValue)
    #expect(expected.members.count == 11)
    for (text, ids) in expected.members.map({ ($0.key, $0.value) }) {
      let want = try #require(ids.arrayValue).compactMap(\.intValue)
      #expect(try reader.ids(of: text) == want, "\(name): '\(text)'")
    }
  }

  /// The picture that each model's goldens are of.
  static func pixels(_ name: String) throws -> PixelTensor {
    switch name {
    case "naflex": try SigLIPGoldenTests.pixels("naflex.square.pixel_values")
    case "joint": try SigLIPGoldenTests.pixels()
    default: try SigLIPGoldenTests.pixels(side: 28)
    }
  }

  @Test("embeddings of pictures and texts, and their logits, are upstream's", arguments: models)
  func embeddings(_ name: String) throws {
    let folder = try TemporaryFolder()
    let session = try Self.session(name, in: folder)
    let place = name == "naflex" ? "naflex.square" : name
    let image = try #require(try session.run([try Self.pixels(name)]).first)
    try Self.check(image.embedding, "\(place).image_embeds")
    let texts = try session.embed(texts: try Self.ids(place))
    try Self.check(texts.flatMap { $0 }, "\(place).text_embeds")
    let clip = try #require(session.clip)
    #expect(clip.config.scores == .sigmoid)
    let logits = ZeroShot.logits(
      image: image.embedding, texts: texts, scale: clip.scale, bias: clip.bias)
    try Self.check(logits, "\(place).logits_per_image")
  }

  @Test(
    "zero-shot probabilities are those of transformers' pipeline", arguments: ["joint", "naflex"])
  func zeroShot(_ name: String) throws {
    let folder = try TemporaryFolder()
    let session = try Self.session(name, in: folder)
    let picture = try Image(contentsOf: TestFiles.fixture("preprocess/images/p0-420.jpg"))
    let golden = try Self.texts(name)
    let labels = try #require(golden["labels"]?.arrayValue).compactMap(\.stringValue)
    let classes = try session.textClasses(labels, templates: ["This is a photo of {}."])
    let found = try session.classify(picture, as: classes)
    #expect(found.scores == .sigmoid && found.candidates.count == 4)
    for candidate in found.candidates {
      let label = try #require(candidate.label)
      let want = try #require(golden["scores"]?[label]?.doubleValue)
      #expect(abs(candidate.score - want) < 2e-3, "\(label): \(candidate.score), not \(want)")
    }
  }

  @Test(
    "quantized towers keep the direction of what they embed", arguments: ["joint", "naflex"],
    [(Scheme.f16, 0.9999), (.q8, 0.998), (.q4, 0.93)])
  func quantized(_ name: String, _ bound: (scheme: Scheme, cosine: Double)) throws {
    let folder = try TemporaryFolder()
    let session = try Self.session(name, bound.scheme, in: folder)
    let place = name == "naflex" ? "naflex.square" : name
    let image = try #require(try session.run([try Self.pixels(name)]).first).embedding
    let expected = try SigLIPGoldenTests.expected()
    let picture = cosine(image, try #require(expected.tensor("\(place).image_embeds")).values)
    #expect(picture >= bound.cosine, "\(bound.scheme.name): \(picture)")
    let texts = try session.embed(texts: try Self.ids(place)).flatMap { $0 }
    let text = cosine(texts, try #require(expected.tensor("\(place).text_embeds")).values)
    #expect(text >= bound.cosine, "\(bound.scheme.name): \(text)")
  }

  // MARK: - NaFlex

  @Test(
    "pictures of any proportions are seen as transformers sees them, without their padding",
    arguments: ["square", "wide", "tall", "tiny"])
  func naFlex(_ shape: String) throws {
    let place = "naflex.\(shape)"
    let pixels = try SigLIPGoldenTests.pixels("\(place).pixel_values")
    let found = try SigLIPGoldenTests.run("naflex", pixels: pixels)
    for layer in 0...2 {
      try Self.check(found.shown["hidden.\(layer)"], "\(place).hidden.\(layer)")
    }
    try Self.check(found.shown["last_hidden_state"], "\(place).last_hidden_state")
    try Self.check(found.shown["pooler_output"], "\(place).pooler_output")
    try Self.check(found.embedding, "\(place).image_embeds")
  }

  @Test("a tower alone and a classifier take them too")
  func others() throws {
    let pixels = try SigLIPGoldenTests.pixels("naflex.wide.pixel_values")
    let tower = try SigLIPGoldenTests.run("naflex-vision", pixels: pixels)
    try Self.check(tower.shown["last_hidden_state"], "naflex-vision.last_hidden_state")
    let classifier = try SigLIPGoldenTests.run("naflex-classifier", pixels: pixels)
    try Self.check(classifier.logits, "naflex-classifier.logits")
    let source = try SourceModel.open(path: SigLIPGoldenTests.path("naflex-vision"))
    #expect(source.preprocessing?.resize == .patches(side: 5, count: 49))
    #expect(source.notes.contains { $0.contains("assuming SigLIP 2's, at 49 patches") })
    let whole = try SourceModel.open(path: SigLIPGoldenTests.path("naflex"))
    #expect(whole.preprocessing?.resize == .patches(side: 5, count: 33))
  }
}
