import Testing
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// SmolVLM, checkpoint → container → answer, against what transformers computed.
struct SmolVLMGoldenTests {
  private typealias Fixture = SmolVLMFixture

  private static let question = "What colour is it?"
  static let cases = [
    "split.wide", "split.tall", "split.square", "split.dot", "whole.wide", "larger.tall",
  ]

  @Test("a tile agrees with transformers behind every layer, the norm and the connector")
  func stages() throws {
    let folder = try TemporaryFolder()
    let session = try conversation(Fixture.path("random"), .f32, in: folder)
    let tile = try #require(try Fixture.tiles("random.tile").first)
    var shown: [String: [Float]] = [:]
    let tokens = try session.encode(session.preprocessing.values(of: tile)) { seen in
      shown[seen.name] = seen.value.array()
    }
    for name in ["hidden.0", "hidden.1", "hidden.2", "last_hidden_state"] {
      try Fixture.check(shown["tower.\(name)"], "random.tile.\(name)")
    }
    try Fixture.check(shown["projector"], "random.tile.projector")
    #expect(tokens.count == 16 && tokens.gridHeight == 4 && tokens.gridWidth == 4)
  }

  @Test("padding is looked at by nobody, and positions spread over what is left")
  func masked() throws {
    let folder = try TemporaryFolder()
    let session = try conversation(Fixture.path("random"), .f32, in: folder)
    let tower = try #require(session.language.pictures?.tower)
    let shape = FeatureShape(batch: 1, height: 24, width: 24, channels: 3)
    let context = try #require(
      try tower.context(
        shape, pool: session.model.pool, kernels: KernelSet.selected()) as? SmolVLMContext)
    let tile = try #require(try Fixture.tiles("random.tile").first)
    var pixels = session.preprocessing.values(of: tile).values
    for index in pixels.indices where index / 3 / 24 >= 16 || index / 3 % 24 >= 11 {
      pixels[index] = 0
    }
    try context.restrict(height: 16, width: 11)
    // A second pass is as good as the first.
    for _ in 0..<2 {
      context.pixels.assign(pixels)
      var shown: [String: [Float]] = [:]
      let observe: TowerObserver = { shown[$0.name] = $0.value.array() }
      let grid = try context.features(observe: observe, cancelled: nil)
      for name in ["hidden.0", "hidden.1", "hidden.2", "last_hidden_state"] {
        try Fixture.check(shown[name], "random.masked.\(name)")
      }
      #expect(grid.shape == FeatureShape(batch: 1, height: 4, width: 4, channels: 128))
    }
    #expect(throws: ModelError.self) { try context.restrict(height: 25, width: 1) }
  }

  @Test("tiles and overview are those of Pillow, bit by bit", arguments: cases)
  func tiles(_ name: String) throws {
    let parts = name.split(separator: ".").map(String.init)
    let source = try SourceModel.open(path: Fixture.path("random"))
    let steps = try Fixture.steps(try #require(source.preprocessing), parts[0])
    let prepared = try steps.prepare(try Fixture.picture(parts[1]), name: name)
    let wanted = try Fixture.tiles("random.\(name).tiles")
    #expect(prepared.tiles == wanted.map { steps.values(of: $0) })
    #expect(prepared.layout.count == wanted.count)
    #expect(prepared.layout.overview == wanted.count - 1)
    let size = try Fixture.picture(parts[1])
    #expect(steps.layout(height: size.height, width: size.width) == prepared.layout)
  }

  @Test("tokens, prompt, logits and greedy answer are transformers'", arguments: cases)
  func answer(_ name: String) throws {
    let parts = name.split(separator: ".").map(String.init)
    let folder = try TemporaryFolder()
    let session = try conversation(Fixture.path("random"), .f32, in: folder)
    let steps = try Fixture.steps(session.preprocessing, parts[0])
    let tokens = try session.encode(
      try steps.prepare(try Fixture.picture(parts[1]), name: name))
    try Fixture.check(tokens.rows.array(), "random.\(name).projector")
    try Self.checkAnswer("random.\(name)", Self.question, [tokens], session)
  }

  private static func checkAnswer(
    _ name: String, _ question: String, _ images: [VisualTokens], _ session: LoadedModel
  ) throws {
    let wanted = try Fixture.Case(name)
    let ids = try session.ids(question, pictures: images.count)
    #expect(try session.expanded(ids, images) == wanted.ids, "\(name)")
    try Fixture.check(try session.logits(ids, images), "\(name).logits", tolerance: 1e-4)
    let found = try session.generate(
      ids, images: images,
      GenerationOptions(maximumTokens: wanted.greedy.count, stopTokens: []))
    #expect(found.tokens == wanted.greedy, "\(name)")
  }

  @Test("each of several pictures has its own tiles where the question names it")
  func several() throws {
    let folder = try TemporaryFolder()
    let session = try conversation(Fixture.path("random"), .f32, in: folder)
    let images = try ["wide", "tall"].map { name in
      try session.encode(try session.prepare(try Fixture.picture(name), name: name))
    }
    // A line break behind a picture's mark is the template's affair.
    try Self.checkAnswer(
      "random.several", "<image>\nand<image>\n\(Self.question)", images, session)
  }

  static let colours = ["red", "green", "blue", "yellow"]

  @Test(
    "a trained model names the colour of a picture in every precision",
    arguments: [Scheme.f32, .q8, .q4])
  func trained(_ scheme: Scheme) throws {
    let folder = try TemporaryFolder()
    let session = try conversation(Fixture.path("trained"), scheme, in: folder)
    for colour in Self.colours {
      let picture = try session.encode(
        try session.prepare(try Fixture.picture(colour), name: colour))
      let wanted = try Fixture.Case("trained.\(colour)")
      let ids = try session.ids(Self.question, pictures: 1)
      #expect(try session.expanded(ids, [picture]) == wanted.ids)
      let logits = try #require(try session.logits(ids, [picture]))
      let expected = try #require(try Fixture.expected().tensor("trained.\(colour).logits"))
      if scheme == .f32 {
        try Fixture.check(logits, "trained.\(colour).logits", tolerance: 1e-4)
      } else {
        #expect(cosine(logits, expected.values) >= (scheme == .q8 ? 0.999 : 0.95), "\(colour)")
      }
      let answer = try session.generate(
        ids, images: [picture], GenerationOptions(maximumTokens: 20))
      #expect(answer.text == " It is \(colour).")
    }
  }

  @Test("quantized towers keep the direction of the visual tokens")
  func directions() throws {
    for (scheme, bound) in [(Scheme.q8, 0.999), (.q4, 0.97)] {
      let folder = try TemporaryFolder()
      let session = try conversation(Fixture.path("random"), scheme, in: folder)
      let tokens = try session.encode(
        try session.prepare(try Fixture.picture("wide"), name: "wide"))
      let want = try #require(try Fixture.expected().tensor("random.split.wide.projector"))
      let similarity = cosine(tokens.rows.array(), want.values)
      #expect(similarity >= bound, "\(scheme.name): cosine \(similarity)")
    }
  }

  @Test("llama.cpp's two halves make the tokens and answers of transformers' layout")
  func halves() throws {
    let folder = try TemporaryFolder()
    let session = try conversation(Fixture.path("gguf"), .f32, in: folder)
    let whole = try conversation(Fixture.path("trained"), .f32, in: try TemporaryFolder())
    for colour in Self.colours {
      let prepared = try session.prepare(try Fixture.picture(colour), name: colour)
      let picture = try session.encode(prepared)
      let same = try whole.encode(prepared)
      #expect(maxAbsDifference(picture.rows.array(), same.rows.array()) <= 1e-4)
      let ids = try session.ids(Self.question, pictures: 1)
      #expect(try session.expanded(ids, [picture]) == Fixture.Case("trained.\(colour)").ids)
      let answer = try session.generate(
        ids, images: [picture], GenerationOptions(maximumTokens: 20))
      #expect(answer.text == " It is \(colour).")
    }
    let half = thrownError(ConversionError.self) {
      try SourceModel.open(path: Fixture.path("gguf/mmproj-model.gguf"))
    }
    #expect(half?.problem == .visionHalf)
  }
}
