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

/// Films, as SmolVLM2's processor shows them.
struct SmolVLMFilmTests {
  private typealias Fixture = SmolVLMFixture

  private static let question = "What happens?"

  private static func frames(_ steps: Preprocessing, rate: Double) throws -> [Int] {
    guard case .splitting(let splitting)? = steps.tiling else { return [] }
    return try #require(splitting.film).frames(of: 6, rate: rate)
  }

  @Test("prompt and answer are transformers' at every rate", arguments: [2.0, 1, 0.5])
  func answers(_ rate: Double) throws {
    let name = "trained.video." + (rate == 0.5 ? "0.5" : "\(Int(rate))")
    let folder = try TemporaryFolder()
    let session = try conversation(Fixture.path("trained"), .f32, in: folder)
    let frames = try Self.frames(session.preprocessing, rate: rate)
    let wanted = try Fixture.tiles("\(name).tiles")
    #expect(frames.count == wanted.count)
    var geometry = PictureGeometry()
    geometry.isFrame = true
    var images: [VisualTokens] = []
    for (frame, tile) in zip(frames, wanted) {
      let prepared = try session.language.prepare(
        try Fixture.picture("frame-\(frame)"), name: "frame", geometry: geometry)
      #expect(prepared.layout.isWhole)
      // torchvision's filter rounds otherwise than Pillow's.
      let difference = maxAbsDifference(
        prepared.overview.values, session.preprocessing.values(of: tile).values)
      #expect(difference <= 0.025, "frame \(frame): \(difference)")
      images.append(try session.encode(prepared))
    }
    let text = VideoPrompt.text(Self.question, frames: frames, of: 6, rate: rate)
    let ids = try session.ids(text, pictures: frames.count)
    let expected = try Fixture.Case(name)
    #expect(try session.expanded(ids, images) == expected.ids)
    let answer = try session.generate(
      ids, images: images,
      GenerationOptions(maximumTokens: expected.greedy.count, stopTokens: []))
    #expect(answer.tokens == expected.greedy)
    #expect(answer.text.hasPrefix(" First green, then yellow."))
  }

  @Test("the library asks about a film as the command does, frames chosen and timed")
  func library() throws {
    let folder = try TemporaryFolder()
    _ = try conversation(Fixture.path("trained"), .f32, in: folder)
    let model = try Model(opening: folder.path("model.vlmz"))
    let frames = try (0..<6).map { number in
      try VLMZ.Image(contentsOf: Fixture.path("pictures/frame-\(number).png"))
    }
    let expected = try Fixture.Case("trained.video.1")
    var options = AnswerOptions()
    options.maximumTokens = expected.greedy.count
    options.temperature = 0
    let asking = try Conversation(with: model)
    let answer = try asking.ask(
      Self.question, aboutFilm: frames, framesPerSecond: 1, options: options)
    #expect(answer.tokens.starts(with: expected.greedy.prefix(answer.tokens.count)))
    #expect(answer.text.hasPrefix(" First green, then yellow."))
    #expect(answer.promptTokenCount + answer.visualTokenCount == expected.ids.count)
    for (question, pictures, rate) in [
      ("<image>?", frames, 1.0), ("?", [], 1.0), ("?", frames, 0), ("?", frames, .infinity),
    ] {
      let error = thrownError(VLMZError.self) {
        try asking.ask(question, aboutFilm: pictures, framesPerSecond: rate)
      }
      #expect(error?.code == .invalidArgument, "\(question)")
    }
  }

  @Test("an animated GIF is a film of its own rate, whichever way it is given")
  func animated() throws {
    let model = try LibraryModels.films().open()
    let path = Fixture.path("pictures/film.gif")
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    let named = try Film(contentsOf: path)
    let held = try Film(encoded: bytes, framesPerSecond: 1)
    #expect(named.frameCount == 5 && named.framesPerSecond == 10)
    #expect(held.frameCount == 5 && held.framesPerSecond == 1)
    // In any order, each frame is what Pillow shows.
    let wanted = try Fixture.tiles("film")
    for number in [0, 2, 1, 4, 4, 0] {
      let found = try held.frame(number)
      #expect(found.width == wanted[number].width && found.height == wanted[number].height)
    }
    var options = AnswerOptions()
    options.maximumTokens = 4
    options.temperature = 0
    let pictures = try wanted.map {
      try VLMZ.Image(pixels: $0.pixels, width: $0.width, height: $0.height, format: .rgb8)
    }
    let first = try Conversation(with: model).ask(Self.question, about: held, options: options)
    let second = try Conversation(with: model).ask(
      Self.question, aboutFilm: pictures, framesPerSecond: 1, options: options)
    #expect(first.tokens == second.tokens && first.visualTokenCount == second.visualTokenCount)
    let error = thrownError(VLMZError.self) {
      try Film(contentsOf: Fixture.path("pictures/frame-0.png"))
    }
    #expect(error?.code == .badData)
    #expect(error?.message.contains("found PNG, expected an animated GIF") == true)
    for length in stride(from: 0, to: bytes.count, by: 7) {
      // Whatever is cut off, what is left is a film or is refused.
      guard let part = try? Film(encoded: Array(bytes.prefix(length))) else { continue }
      let error = thrownError(VLMZError.self) { try part.frame(part.frameCount - 1) }
      #expect(error == nil || error?.code == .badData)
    }
  }

  @Test("what a folder says of films is read in the forms of all versions")
  func forms() throws {
    let source = try SourceModel.open(path: Fixture.path("trained"))
    guard case .splitting(let splitting)? = source.preprocessing?.tiling else {
      Issue.record("found no tiles")
      return
    }
    #expect(
      splitting.film == FrameSampling(longestEdge: 30, framesPerSecond: 1, maximumFrames: 4))
    let first = try SourceModel.open(path: Fixture.path("random"))
    guard case .splitting(let bare)? = first.preprocessing?.tiling else {
      Issue.record("found no tiles")
      return
    }
    #expect(bare.film == nil && bare.longestEdge == 72 && bare.splits)
  }

  @Test("the frames of an animated GIF are those that Pillow shows")
  func animation() throws {
    let bytes = [UInt8](
      try Data(contentsOf: URL(fileURLWithPath: Fixture.path("pictures/film.gif"))))
    #expect(GIFFilm.isGIF(bytes))
    var film = try GIFFilm(bytes: bytes, name: "film.gif")
    let wanted = try Fixture.tiles("film")
    #expect(film.count == wanted.count && wanted.count == 5)
    for (number, image) in wanted.enumerated() {
      let found = try film.next()
      #expect(found == image, "frame \(number)")
    }
    let behind = try film.next()
    #expect(behind == nil)
    // Whatever is cut off, what is left is shown to who accepts damage.
    let accepting = ImageLimits(acceptsDamage: true)
    for length in stride(from: 0, to: bytes.count, by: 3) {
      let cut = Array(bytes.prefix(length))
      guard var part = try? GIFFilm(bytes: cut, name: "part", limits: accepting) else { continue }
      var shown = 0
      while try part.next() != nil { shown += 1 }
      #expect(shown == part.count && shown <= 5)
    }
  }

  @Test("a damaged animated GIF is refused, but for one whose end alone is missing")
  func damagedAnimation() throws {
    func shown(_ bytes: [UInt8]) throws(ImageError) -> Int {
      var film = try GIFFilm(bytes: bytes, name: "film.gif")
      var count = 0
      while try film.next() != nil { count += 1 }
      return count
    }
    let bytes = [UInt8](
      try Data(contentsOf: URL(fileURLWithPath: Fixture.path("pictures/film.gif"))))
    let whole = try shown(bytes.dropLast())
    #expect(whole == 5)
    var refused = 0
    for length in stride(from: bytes.count / 3, to: bytes.count - 2, by: 7) {
      let cut = Array(bytes.prefix(length))
      if let error = thrownError(ImageError.self, by: { try shown(cut) }) {
        #expect(error.description.contains("film.gif: damaged GIF: "), "\(error)")
        refused += 1
      }
    }
    // Some cuts fall between two pictures.
    #expect(refused > (bytes.count / 7) / 2)
  }
}
