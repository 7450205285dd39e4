import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMZ

/// Several tokens of an answer in a pass, beside other answers: the texts stay those of conversations.
@Suite("Speculation of a batch engine")
struct EngineSpeculationTests {
  static let free = PassCosts([Double](repeating: 1, count: PassCosts.maximumRows), learns: false)

  private func served(
    _ options: BatchEngineOptions = BatchEngineOptions(), masks: MaskWorker = MaskWorker()
  ) throws -> ServedModel {
    try ServedModel(.stories(), options, masks: masks, costs: Self.free)
  }

  /// What conversations say that propose nothing.
  private func check(
    _ served: ServedModel, _ asked: [(text: String, options: AnswerOptions)]
  ) async throws {
    let found = try await served.answers(
      asked.map { GenerationRequest(.text($0.text), options: $0.options) })
    for (found, asked) in zip(found, asked) {
      var options = asked.options
      options.speculatedTokens = 0
      let alone = try served.alone(asked.text, options)
      #expect(found.text == alone.text)
      #expect(found.tokens.map(\.id) == alone.tokens)
      #expect(found.end?.reason == alone.ending.reason)
      #expect(found.end?.completionTokens == alone.tokens.count)
    }
    #expect(served.engine.statistics.active == 0)
    #expect(served.engine.statistics.pagesInUse == 0)
  }

  @Test("answers in company are those of conversations", arguments: [1, 2, 3, 7, 8])
  func company(active: Int) async throws {
    let served = try served(BatchEngineOptions(maximumActive: active))
    try await check(
      served, BatchEngineTests.asked + [(story(words: 40), AnswerOptions(maximumTokens: 90))])
    #expect(served.engine.statistics.proposedTokens > served.engine.statistics.acceptedTokens)
    #expect(served.engine.statistics.acceptedTokens > 0)
  }

  @Test("fewer passes are needed than there are tokens, and none fewer where that is switched off")
  func passes() async throws {
    func passes(_ engine: Int, _ request: Int) async throws -> (passes: Int, tokens: Int) {
      let served = try served(BatchEngineOptions(speculatedTokens: engine))
      let options = AnswerOptions(maximumTokens: 150, speculatedTokens: request)
      _ = try await served.answer(GenerationRequest(.text(story(words: 40)), options: options))
      let counts = served.engine.statistics
      #expect(counts.passRows >= counts.passes)
      return (counts.passes, counts.completionTokens)
    }
    let (plain, fast) = (try await passes(0, 7), try await passes(7, 7))
    #expect(plain.tokens == 150 && fast.tokens == 150)
    #expect(plain.passes == 150)
    #expect(fast.passes < plain.passes)
    #expect(try await passes(7, 0).passes == 150)
  }

  @Test("pages that are kept hold what was answered, not what was proposed")
  func pages() async throws {
    let served = try served()
    let (text, options) = (story(words: 40), AnswerOptions(maximumTokens: 70))
    let first = try await served.answer(GenerationRequest(.text(text), options: options))
    #expect(served.engine.statistics.proposedTokens > served.engine.statistics.acceptedTokens)
    let ids = try Conversation(with: served.model).promptIDs(text) + first.tokens.map(\.id)
    let next = try await served.answer(
      GenerationRequest(.tokens(ids + [305]), options: options))
    #expect(
      next.end?.usage.cachedTokens == (ids.count - 1) / ServedModel.page * ServedModel.page)
    let other = try self.served(BatchEngineOptions(prefixSharing: .none, speculatedTokens: 0))
    let alone = try await other.answer(GenerationRequest(.tokens(ids + [305]), options: options))
    #expect(next.text == alone.text)
  }

  @Test("probabilities are the same", arguments: [0.0, 0.9])
  func probabilities(temperature: Double) async throws {
    var found: [[GeneratedToken]] = []
    for tokens in [0, 7] {
      let served = try served(BatchEngineOptions(speculatedTokens: tokens))
      let result = try await served.answer(
        GenerationRequest(
          .text(story(words: 40)),
          options: AnswerOptions(maximumTokens: 60, temperature: temperature, seed: 3),
          alternatives: 3))
      found.append(result.tokens)
    }
    #expect(found[0].count == 60)
    #expect(found[0] == found[1])
  }

  @Test("answers that keep to a grammar are the same, however slowly it is looked at")
  func grammars() async throws {
    let source = #"root ::= ("Once upon a time, " | "there was " | "a little girl. "){1,12}"#
    let options = AnswerOptions(maximumTokens: 90, format: .grammar(source))
    for usesThread in [true, false] {
      let served = try served(masks: MaskWorker(usesThread: usesThread))
      try await check(
        served, [(story(words: 30), options), (story(words: 50), AnswerOptions(maximumTokens: 90))])
    }
  }

  @Test("a full context, and an engine with room for hardly any rows, end answers where they would")
  func bounds() async throws {
    var proposed = 0
    for length in [60, 64, 71, 200] {
      let served = try served(
        BatchEngineOptions(maximumActive: 1, contextLength: length, prefillRows: 2))
      let asked = AnswerOptions(maximumTokens: 500)
      let found = try await served.answer(
        GenerationRequest(.text(story(words: 20)), options: asked))
      var plain = asked
      plain.speculatedTokens = 0
      let alone = try await Conversation(with: served.model, options: .init(contextLength: length))
        .ask(story(words: 20), options: plain)
      #expect(found.tokens.map(\.id) == alone.tokens)
      #expect(found.end?.reason == .length)
      proposed += served.engine.statistics.proposedTokens
    }
    #expect(proposed > 0)
  }

  @Test("questions about pictures are answered as without")
  func pictures() async throws {
    let image = try LibraryModels.picture("cup.png")
    var texts: [String] = []
    for tokens in [0, 7] {
      let served = try ServedModel(
        .sighted(), BatchEngineOptions(speculatedTokens: tokens), costs: Self.free)
      let asked = "What is in the picture? What is in the picture? What is in the picture?"
      let found = try await served.answer(
        GenerationRequest(
          .messages([.init(.user, asked, pictures: [.image(image)])]),
          options: AnswerOptions(maximumTokens: 50)))
      texts.append(found.text)
    }
    #expect(texts[0] == texts[1] && !texts[0].isEmpty)
  }
}
