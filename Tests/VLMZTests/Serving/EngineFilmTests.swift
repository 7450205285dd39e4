import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMZ

/// Questions about films, answered together.
@Suite("Films of a batch engine")
struct EngineFilmTests {
  private static let question = "What happens?"

  private static func film(rate: Double) throws -> Film {
    let frames = try (0..<6).map { number in
      try Image(contentsOf: SmolVLMFixture.path("pictures/frame-\(number).png"))
    }
    return try Film(frames: frames, framesPerSecond: rate)
  }

  private static func request(
    _ text: String, _ pictures: [GenerationRequest.Picture]
  ) -> GenerationRequest {
    var options = AnswerOptions()
    options.maximumTokens = 8
    options.temperature = 0
    return GenerationRequest(
      .messages([.init(.user, text, pictures: pictures)]), options: options)
  }

  @Test("answers are a conversation's, and frames that two films share are encoded once")
  func films() async throws {
    let served = try ServedModel(.films())
    #expect(served.engine.seesFilms)
    let (slow, quick) = (try Self.film(rate: 1), try Self.film(rate: 2))
    let found = try await served.answers([
      Self.request(Self.question, [.film(slow)]), Self.request(Self.question, [.film(quick)]),
    ])
    for (result, film) in zip(found, [slow, quick]) {
      var options = AnswerOptions()
      options.maximumTokens = 8
      options.temperature = 0
      let alone = try await Conversation(with: served.model).ask(
        Self.question, about: film, options: options)
      #expect(result.text == alone.text)
      #expect(result.end?.usage.visualTokens == alone.visualTokenCount)
      #expect(
        result.end?.usage.promptTokens == alone.promptTokenCount + alone.visualTokenCount)
    }
    #expect(found[0].text.hasPrefix(" First green, then yellow."))
    let counts = served.engine.statistics
    #expect(counts.picturesEncoded <= 6 && counts.pictureHits > 0)
  }

  @Test("an animation is no frame of a film")
  func animations() throws {
    let picture = try Image(contentsOf: SmolVLMFixture.path("pictures/green.png"))
    let path = TestFiles.root.appendingPathComponent("Tests/Fixtures/pictures/gif-animated.gif")
    let animation = try Image(contentsOf: path.path)
    for frames in [[animation], [picture, animation]] {
      let error = thrownError(VLMZError.self) {
        _ = try Film(frames: frames, framesPerSecond: 1)
      }
      #expect(error?.code == .invalidArgument)
      #expect(error?.message.contains("found a GIF of") ?? false)
    }
    let still = TestFiles.root.appendingPathComponent(
      "Tests/Fixtures/pictures/gif-interlaced.gif")
    let film = try Film(frames: [try Image(contentsOf: still.path)], framesPerSecond: 1)
    #expect(film.frameCount == 1)
  }

  @Test("a film stands where the text says, beside pictures")
  func places() async throws {
    let served = try ServedModel(.films())
    let film = try Self.film(rate: 2)
    let picture = try Image(contentsOf: SmolVLMFixture.path("pictures/green.png"))
    let before = try await served.answer(
      Self.request("What happens behind this?", [.image(picture), .film(film)]))
    let named = try await served.answer(
      Self.request(
        "<image>\n<image>What happens behind this?", [.image(picture), .film(film)]))
    #expect(before.end?.usage.promptTokens == named.end?.usage.promptTokens)
    #expect(before.text == named.text)
    let wrong = thrownError(EngineError.self) {
      try served.engine.submit(Self.request("<image> <image> <image>", [.film(film)]))
    }
    guard case .failed(let error)? = wrong else {
      Issue.record("found \(String(describing: wrong))")
      return
    }
    #expect(error.code == .invalidArgument)
  }

  @Test("a model that was trained on none refuses films")
  func notCapable() throws {
    let served = try ServedModel(.sighted())
    #expect(!served.engine.seesFilms)
    let film = try Self.film(rate: 1)
    let error = thrownError(EngineError.self) {
      try served.engine.submit(Self.request(Self.question, [.film(film)]))
    }
    guard case .failed(let error)? = error else {
      Issue.record("an error of the request")
      return
    }
    #expect(error.code == .notCapable)
  }
}
