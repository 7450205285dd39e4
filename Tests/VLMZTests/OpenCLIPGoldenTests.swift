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

/// open_clip's pair of towers, checkpoint → container → probabilities, against open_clip.
struct OpenCLIPGoldenTests {
  static let checkpoints = [
    "open_clip_model.safetensors", "open_clip_pytorch_model_customtext.bin",
  ]

  /// Rows of `text_ids` that are labels, zeros behind the end left out.
  static func labels(_ expected: Expected, count: Int) throws -> [[Int]] {
    let ids = try #require(expected.tensor("text_ids"))
    let width = ids.shape[1]
    return (0..<count).map { row in
      ids.values[row * width..<(row + 1) * width].map { Int($0) }
    }
  }

  @Test(
    "image, texts and probabilities are open_clip's under both namings",
    arguments: checkpoints)
  func agrees(_ checkpoint: String) throws {
    let expected = try Expected(TestFiles.golden("openclip-convnext/expected.safetensors"))
    let folder = try TemporaryFolder()
    let session = try convertedSession(
      TestFiles.golden("openclip-convnext/\(checkpoint)"), .f32, in: folder)
    guard let config = session.description.config as? CLIPConfig else {
      Issue.record("no pair of towers")
      return
    }
    #expect(config.textTower.encoder.heads == 2)
    let pixels = try #require(expected.tensor("pixel_values"))
    let image = try #require(
      try session.run([PixelTensor(height: 64, width: 64, channelsFirst: pixels.values)]).first)
    try CLIPViTGoldenTests.check(image.embedding, "image_embedding", expected)
    let texts = try session.embed(texts: try Self.labels(expected, count: 5))
    try CLIPViTGoldenTests.check(texts.flatMap { $0 }, "text_embedding", expected)
    let scale = try #require(session.clip).scale
    #expect(abs(scale - 12.182494) < 1e-4)
    let logits = ZeroShot.logits(image: image.embedding, texts: texts, scale: scale)
    try CLIPViTGoldenTests.check(logits, "logits", expected)
    let chances = ClassScores.probabilities(logits.map(Double.init), as: .softmax).map { Float($0) }
    try CLIPViTGoldenTests.check(chances, "probs", expected)
  }

  @Test("what follows a text's end does not matter, and ids out of range are refused")
  func ids() throws {
    let expected = try Expected(TestFiles.golden("openclip-convnext/expected.safetensors"))
    let folder = try TemporaryFolder()
    let session = try convertedSession(
      TestFiles.golden("openclip-convnext/open_clip_model.safetensors"), .q8, in: folder)
    let padded = try #require(try Self.labels(expected, count: 1).first)
    let short = Array(padded[...(try #require(padded.firstIndex(of: 49_407)))])
    let both = try session.embed(texts: [padded, short])
    #expect(both[0] == both[1])
    for wrong in [[], [49_408], [-1], [Int](repeating: 1, count: 78)] {
      #expect(throws: ModelError.self) { try session.embed(texts: [wrong]) }
    }
  }

  /// A tokenizer of letters, with CLIP's marks of begin and end.
  static func letters() -> JSONValue {
    var vocabulary = JSONObject()
    for (index, letter) in "abcdefghijklmnopqrstuvwxyz".enumerated() {
      vocabulary.set(String(letter), .int(index))
      vocabulary.set("\(letter)</w>", .int(26 + index))
    }
    vocabulary.set("<|startoftext|>", 49_406)
    vocabulary.set("<|endoftext|>", 49_407)
    return [
      "model": [
        "type": "BPE", "end_of_word_suffix": "</w>", "vocab": .object(vocabulary), "merges": [],
      ]
    ]
  }

  /// A folder with the golden's weights and its description, changed.
  static func source(_ change: (inout JSONObject) -> Void) throws -> TemporaryFolder {
    let source = try TemporaryFolder()
    try FileManager.default.copyItem(
      atPath: TestFiles.golden("openclip-convnext/open_clip_model.safetensors"),
      toPath: source.path("open_clip_model.safetensors"))
    let config = try TestFiles.json(TestFiles.golden("openclip-convnext/open_clip_config.json"))
    var object = try #require(config.objectValue)
    change(&object)
    try source.write(
      "open_clip_config.json", Array(JSONValue.object(object).serialized().utf8))
    return source
  }

  @Test(
    "texts become classes by CLIP's vocabulary, which the folder need not bring",
    arguments: checkpoints)
  func ownVocabulary(_ checkpoint: String) throws {
    let golden = try TestFiles.json(TestFiles.golden("openclip-convnext/expected.json"))
    func strings(_ key: String) -> [String] {
      (golden[key]?.arrayValue ?? []).compactMap(\.stringValue)
    }
    let expected = try Expected(TestFiles.golden("openclip-convnext/expected.safetensors"))
    let folder = try TemporaryFolder()
    let session = try convertedSession(
      TestFiles.golden("openclip-convnext/\(checkpoint)"), .f32, in: folder)
    let tokenizer = try #require(try session.container.tokenizer(of: session.description))
    let texts = strings("labels") + strings("extra_strings")
    let ids = try Self.labels(expected, count: texts.count)
    let found = try texts.map { try tokenizer.encodePadded($0) }
    #expect(texts.count == 11 && found == ids)
    try session.setTextClasses(strings("labels"))
    let pixels = try #require(expected.tensor("pixel_values"))
    let image = try #require(
      try session.run([PixelTensor(height: 64, width: 64, channelsFirst: pixels.values)]).first)
    try CLIPViTGoldenTests.check(image.logits ?? [], "logits", expected)
  }

  @Test("a text tower that names another tokenizer gets none, and says so")
  func otherVocabulary() throws {
    let source = try Self.source { config in
      var model = config["model_cfg"]?.objectValue ?? JSONObject()
      var text = model["text_cfg"]?.objectValue ?? JSONObject()
      text.set("hf_tokenizer_name", "someone/roberta")
      model.set("text_cfg", .object(text))
      config.set("model_cfg", .object(model))
    }
    let opened = try SourceModel.open(path: source.url.path)
    #expect(opened.sections.isEmpty)
    #expect(opened.notes.contains { $0.contains("token ids only") })
    let folder = try TemporaryFolder()
    let session = try convertedSession(source.url.path, .f32, in: folder)
    #expect(throws: GenerationError.self) { try session.setTextClasses(["a cat"]) }
  }

  @Test("a folder's own tokenizer is the one that counts")
  func classes() throws {
    let source = try Self.source { _ in }
    try source.write("tokenizer.json", Array(Self.letters().serialized().utf8))
    let second = try TemporaryFolder()
    let session = try convertedSession(source.url.path, .f32, in: second)
    try session.setTextClasses(["a cat", "Coin"])
    #expect(session.labels == ["a cat", "Coin"])
    let expected = try Expected(TestFiles.golden("openclip-convnext/expected.safetensors"))
    let pixels = try #require(expected.tensor("pixel_values"))
    let image = try #require(
      try session.run([PixelTensor(height: 64, width: 64, channelsFirst: pixels.values)]).first)
    let texts = try session.embed(texts: [
      [49_406, 26, 2, 0, 26 + 19, 49_407], [49_406, 2, 14, 8, 26 + 13, 49_407],
    ])
    let scale = try #require(session.clip).scale
    let logits = ZeroShot.logits(image: image.embedding, texts: texts, scale: scale)
    #expect(image.logits == logits)
  }

  @Test(
    "quantized weights keep what an image is",
    arguments: [(Scheme.q8, 0.999), (.q4, 0.99)])
  func quantized(_ bound: (scheme: Scheme, cosine: Double)) throws {
    let expected = try Expected(TestFiles.golden("openclip-convnext/expected.safetensors"))
    let folder = try TemporaryFolder()
    let session = try convertedSession(
      TestFiles.golden("openclip-convnext/open_clip_model.safetensors"), bound.scheme, in: folder)
    let texts = try session.embed(texts: try Self.labels(expected, count: 5))
    let want = try #require(expected.tensor("text_embedding"))
    #expect(cosine(texts.flatMap { $0 }, want.values) >= bound.cosine)
  }
}

/// CLIP's vision transformer as a model by itself.
struct CLIPViTSessionTests {
  @Test(
    "a folder and a whole CLIP's file convert to the same model, whose embedding is the pooled one")
  func converts() throws {
    let expected = try Expected(TestFiles.golden("clip-vit/expected.safetensors"))
    let pixels = try #require(expected.tensor("pixel_values"))
    let folder = try TemporaryFolder()
    let session = try convertedSession(TestFiles.golden("clip-vit/hf"), .f32, in: folder)
    var names: [String] = []
    let input = PixelTensor(height: 112, width: 112, channelsFirst: pixels.values)
    let result = try #require(
      try session.run([input]) { names.append($0.name) }.first)
    try CLIPViTGoldenTests.check(result.embedding, "pooler_output", expected)
    #expect(names.contains("hidden.4") && names.contains("last_hidden_state"))
    #expect(session.preprocessing.fixedSize?.width == 112)
  }
}
