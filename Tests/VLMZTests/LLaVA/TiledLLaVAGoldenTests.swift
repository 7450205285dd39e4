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

/// LLaVA-NeXT and LLaVA-OneVision, picture → tiles → rows → answers, against transformers.
@Suite("LLaVAs that see in tiles")
struct TiledLLaVAGoldenTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test(
    "f32 agrees with transformers on the tiles' pixels, their tokens, the merged rows and the logits",
    arguments: TiledLLaVA.names)
  func stages(_ name: String) throws {
    let golden = try TiledLLaVA(name)
    let session = try conversation(golden.path, .f32, in: folder)
    for picture in TiledLLaVA.pictures {
      let prepared = try session.prepare(golden.image(picture), name: picture)
      try golden.check(
        prepared.tiles.flatMap { $0.channelsFirst() }, picture + ".pixel_values", 1e-6)
      var overview: [Float] = []
      let tokens = try session.encode(prepared) { seen in
        if seen.name == "projector" { overview = seen.planar.values }
      }
      let projected = try #require(golden.expected.tensor(picture + ".projected"))
      let first = Array(projected.values.prefix(overview.count))
      #expect(maxAbsDifference(overview, first) <= 1e-4 * projected.scale && !overview.isEmpty)
      try golden.check(tokens.rows.array(), picture + ".merged")
      var logits: [Float] = []
      try session.inspect(golden.ids(picture), images: [tokens]) { name, _, values in
        if name == "logits" { logits = values }
      }
      try golden.check(logits, picture + ".logits")
    }
  }

  /// A picture's rows are multiplied as those of tokens are.
  @Test("what enters a Granite under a tower is multiplied, as in transformers")
  func granite() throws {
    let golden = try TiledLLaVA("granite")
    let session = try conversation(golden.path, .f32, in: folder)
    try check(session, golden, logitsTimes: Self.graniteDivisor)
  }

  /// transformers' class around a language model leaves out Granite's division of logits.
  private static let graniteDivisor: Float = 2.5

  /// Rows and logits of the picture "odd".
  private func check(_ session: LoadedModel, _ golden: TiledLLaVA, logitsTimes factor: Float) throws
  {
    let prepared = try session.prepare(golden.image("odd"), name: "odd")
    let tokens = try session.encode(prepared)
    try golden.check(tokens.rows.array(), "odd.merged")
    var logits: [Float] = []
    try session.inspect(golden.ids("odd"), images: [tokens]) { name, _, values in
      if name == "logits" { logits = values }
    }
    try golden.check(logits.map { $0 * factor }, "odd.logits")
  }

  /// As Granite Vision does: of a SigLIP under a Granite, whose projector has no biases here, and of
  /// a CLIP, whose class token is left out. What enters the first layer may be all, too.
  @Test(
    "several layers' features are read side by side, and the embeddings alone, as in transformers",
    arguments: ["layers-siglip", "layers-clip", "embeddings-siglip", "embeddings-clip"])
  func layers(_ name: String) throws {
    let golden = try TiledLLaVA(name)
    let source = try SourceModel.open(path: golden.path)
    let session = try conversation(golden.path, .f32, in: folder)
    #expect(try SourceModel.open(path: folder.path("model.vlmz")).description == source.description)
    try check(session, golden, logitsTimes: name != "layers-clip" ? Self.graniteDivisor : 1)
  }

  @Test("a layer that there is not is refused by the name that the file has for it")
  func refusedLayer() throws {
    let values: [JSONValue] = [2, -3, [4, 0], "1"]
    for value in values {
      let changed = try TemporaryFolder()
      try TiledLLaVA("embeddings-clip").copy(
        to: changed, config: [("vision_feature_layer", value)])
      let error = TiledLLaVA.refusal { try SourceModel.open(path: changed.url.path) }
      let text = error?.description ?? "none"
      #expect(text.contains("config.json.vision_feature_layer: found"), "\(text)")
      if value.intValue != nil { #expect(text.contains("expected -2 to 1"), "\(text)") }
    }
  }

  @Test("a list of layers that there are not is refused, and so are biases that are not stated")
  func refusedLayers() throws {
    let lists: [JSONValue] = [[2, 0, 4], [2, 0, -5], [2, 0], [], [2, 0.5, 3], [0, 0, 0]]
    for list in lists {
      let changed = try TemporaryFolder()
      try TiledLLaVA("layers-siglip").copy(to: changed, config: [("vision_feature_layer", list)])
      let error = TiledLLaVA.refusal { try SourceModel.open(path: changed.url.path) }
      #expect(error is ModelError, "\(list)")
    }
    let changed = try TemporaryFolder()
    try TiledLLaVA("layers-clip").copy(
      to: changed, config: [("multimodal_projector_bias", false)])
    let error = TiledLLaVA.refusal { try SourceModel.open(path: changed.url.path) }
    #expect(error?.description.contains("multimodal_projector_bias") == true)
  }

  /// LLaVA-NeXT sees each in tiles, LLaVA-OneVision each as one padded square.
  @Test(
    "of several pictures each becomes what it does upstream", arguments: TiledLLaVA.names)
  func several(_ name: String) throws {
    let golden = try TiledLLaVA(name)
    let session = try conversation(golden.path, .f32, in: folder)
    let pictures = try ["odd", "tall"].map { picture in
      try session.prepare(
        golden.image(picture), name: picture, geometry: PictureGeometry(isOneOfSeveral: true))
    }
    #expect(pictures.map(\.layout.isWhole) == [name == "onevision", name == "onevision"])
    if name == "onevision" {
      try golden.check(
        pictures.flatMap { $0.tiles.flatMap { $0.channelsFirst() } }, "several.pixel_values", 1e-6)
    }
    let tokens = try pictures.map { try session.encode($0) }
    try golden.check(tokens.flatMap { $0.rows.array() }, "several.merged")
    var logits: [Float] = []
    try session.inspect(golden.ids("several"), images: tokens) { name, _, values in
      if name == "logits" { logits = values }
    }
    try golden.check(logits, "several.logits")
  }

  @Test(
    "the processor's template makes upstream's prompts, and every scheme answers as f32 does",
    arguments: TiledLLaVA.names, [Scheme.f32, .q8, .q4])
  func answers(_ name: String, _ scheme: Scheme) throws {
    let golden = try TiledLLaVA(name)
    let session = try conversation(golden.path, scheme, in: folder)
    let template = try TemplateChoice(
      session.model, session.language, arguments: JSONObject()
    ).own().template
    for picture in TiledLLaVA.pictures {
      let conversation = try Conversation(
        with: session.model, session.generator, template: template)
      let tokens = try session.encode(session.prepare(golden.image(picture), name: picture))
      conversation.add(tokens)
      #expect(try conversation.promptIDs(golden.question) == golden.ids(picture))
      let answer = try conversation.answer(
        golden.question, GenerationOptions(maximumTokens: 16))
      #expect(try answer.text == golden.answer(picture), "\(name) \(picture) \(scheme.name)")
      #expect(answer.visualTokenCount == tokens.count)
      if scheme == .q8 {
        let want = try #require(golden.expected.tensor(picture + ".merged"))
        #expect(cosine(tokens.rows.array(), want.values) >= 0.999)
      }
    }
  }

  @Test("a size of the user's is refused by name where the model has tiles of its own")
  func geometry() throws {
    let golden = try TiledLLaVA("next")
    let session = try conversation(golden.path, .f32, in: folder)
    for geometry in [PictureGeometry(resolution: 42), PictureGeometry(keepsAspect: true)] {
      let error = thrownError(GenerationError.self) {
        try session.prepare(golden.image("odd"), name: "odd", geometry: geometry)
      }
      #expect(error?.description.contains("tiles of its own size") == true)
    }
  }

  @Test("what a container says of tiles is read back, and a conversion of it keeps them")
  func container() throws {
    for name in TiledLLaVA.names {
      let source = try SourceModel.open(path: TiledLLaVA.path(name))
      let steps = try #require(source.preprocessing)
      let again = try Preprocessing(json: steps.json(), name: "preprocess")
      #expect(again == steps && again.tiling != nil)
      let session = try conversation(TiledLLaVA.path(name), .f32, in: folder)
      #expect(session.preprocessing == steps)
      let other = try SourceModel.open(path: folder.path("model.vlmz"))
      #expect(other.preprocessing == steps)
      #expect(other.description == source.description)
    }
  }
}
