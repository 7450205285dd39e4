import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMZ

/// Answers of an engine are those of conversations, whoever else is being answered.
@Suite("Batch engine")
struct BatchEngineTests {
  /// Different lengths, seeds and ways to draw.
  static let asked: [(text: String, options: AnswerOptions)] = [
    ("Once upon a time", AnswerOptions(maximumTokens: 40)),
    ("Lily and Tom", AnswerOptions(maximumTokens: 60, temperature: 0.8, seed: 7)),
    (story(words: 60), AnswerOptions(maximumTokens: 30, temperature: 1, topK: 20, seed: 3)),
    ("The dog", AnswerOptions(maximumTokens: 50, temperature: 0.9, topP: 0.9, seed: 11)),
    (story(words: 90, "One"), AnswerOptions(maximumTokens: 45, repeatPenalty: 1.2)),
    ("A big red ball", AnswerOptions(maximumTokens: 33, temperature: 1.2, minP: 0.05, seed: 5)),
    ("Once upon a time", AnswerOptions(maximumTokens: 64, stopStrings: ["girl", ". "])),
    ("Mom said", AnswerOptions(maximumTokens: 1, temperature: 0.7, seed: 9)),
  ]

  @Test("eight answers at once are those of conversations", arguments: [256, 7, 1])
  func company(prefillRows: Int) async throws {
    let served = try ServedModel.stories(BatchEngineOptions(prefillRows: prefillRows))
    let found = try await served.answers(
      Self.asked.map { GenerationRequest(.text($0.text), options: $0.options) })
    for (found, asked) in zip(found, Self.asked) {
      let alone = try served.alone(asked.text, asked.options)
      #expect(found.text == alone.text)
      #expect(found.tokens.map(\.id) == alone.tokens)
      #expect(found.end?.reason == alone.ending.reason)
      #expect(found.end?.usage.promptTokens == alone.promptTokenCount)
      #expect(found.end?.completionTokens == alone.tokens.count)
    }
    #expect(served.engine.statistics.active == 0)
  }

  @Test("more requests than may be active are answered as well, and as before")
  func waiting() async throws {
    let served = try ServedModel.stories(BatchEngineOptions(maximumActive: 3, prefillRows: 16))
    let found = try await served.answers(
      Self.asked.map { GenerationRequest(.text($0.text), options: $0.options) })
    for (found, asked) in zip(found, Self.asked) {
      #expect(try found.text == served.alone(asked.text, asked.options).text)
    }
  }

  @Test("messages, texts and tokens are the same prompt for a model without a template")
  func prompts() async throws {
    let served = try ServedModel.stories()
    let options = AnswerOptions(maximumTokens: 20)
    let ids = try Conversation(with: served.model).promptIDs("Once upon a time")
    let found = try await served.answers([
      GenerationRequest(.messages([.init(.user, "Once upon a time")]), options: options),
      GenerationRequest(.text("Once upon a time"), options: options),
      GenerationRequest(.tokens(ids), options: options),
    ])
    #expect(found[0].text == found[1].text && found[1].text == found[2].text)
    #expect(!found[0].text.isEmpty)
  }

  @Test("each choice has a seed of its own, the first one the request's")
  func choices() async throws {
    let served = try ServedModel.stories()
    let options = AnswerOptions(maximumTokens: 24, temperature: 1.1, seed: 40)
    let found = try await served.answers(
      (0..<3).map { GenerationRequest(.text("The cat"), options: options, choice: $0) })
    for (choice, found) in found.enumerated() {
      var own = options
      own.seed += UInt64(choice)
      #expect(try found.text == served.alone("The cat", own).text)
    }
    #expect(Set(found.map(\.text)).count == 3)
  }

  @Test("a context that is full ends an answer where a conversation's ends")
  func fullContext() async throws {
    let served = try ServedModel.stories(BatchEngineOptions(contextLength: 50))
    let options = AnswerOptions(maximumTokens: 500, temperature: 1.5, seed: 2)
    let found = try await served.answer(GenerationRequest(.text("Once"), options: options))
    let alone = try await Conversation(with: served.model, options: .init(contextLength: 50))
      .ask("Once", options: options)
    #expect(found.tokens.map(\.id) == alone.tokens)
    #expect(found.end?.reason == .length)
  }

  @Test("probabilities are those of the logits, and the drawn token's is among them")
  func probabilities() async throws {
    let served = try ServedModel.stories()
    let found = try await served.answer(
      GenerationRequest(
        .text("Once upon"), options: AnswerOptions(maximumTokens: 8, temperature: 0),
        alternatives: 5))
    #expect(found.tokens.count == 8)
    for token in found.tokens {
      let probability = try #require(token.probability)
      #expect(probability.id == token.id && probability == token.alternatives.first)
      #expect(token.alternatives.count == 5)
      let logarithms = token.alternatives.map(\.logarithm)
      #expect(logarithms == logarithms.sorted(by: >) && logarithms.allSatisfy { $0 < 0 })
    }
    let bytes = found.tokens.flatMap { $0.probability?.bytes ?? [] }
    #expect(String(decoding: bytes, as: UTF8.self) == found.text)
  }

  @Test("an answer keeps to its format, and those beside it are not affected")
  func format() async throws {
    let served = try ServedModel.stories()
    let options = AnswerOptions(
      maximumTokens: 50, temperature: 1, format: .grammar(#"root ::= " " [a-c]{6}"#))
    let found = try await served.answers([
      GenerationRequest(.text("Once"), options: options),
      GenerationRequest(.text("Once"), options: AnswerOptions(maximumTokens: 50)),
    ])
    #expect(found[0].text.wholeMatch(of: /\x20?[abc]{6}/) != nil, "\(found[0].text)")
    #expect(found[0].end?.reason == .stop)
    #expect(try found[0].text == served.alone("Once", options).text)
    #expect(try found[1].text == served.alone("Once", AnswerOptions(maximumTokens: 50)).text)
  }

  @Test("requests that cannot be answered are refused with the library's codes")
  func refused() throws {
    let served = try ServedModel.stories(BatchEngineOptions(contextLength: 64))
    func code(_ request: GenerationRequest) -> VLMZError.Code? {
      do { _ = try served.engine.submit(request) } catch {
        if case .failed(let error) = error { return error.code }
      }
      return nil
    }
    let picture = try Image(
      pixels: [1, 2, 3], width: 1, height: 1, bytesPerRow: 3, format: .rgb8)
    #expect(code(GenerationRequest(.text(story(words: 400)))) == .invalidArgument)
    #expect(code(GenerationRequest(.tokens([]))) == .invalidArgument)
    #expect(code(GenerationRequest(.tokens([1, 512]))) == .invalidArgument)
    #expect(code(GenerationRequest(.tokens([-200]))) == .invalidArgument)
    #expect(code(GenerationRequest(.messages([]))) == .invalidArgument)
    #expect(code(GenerationRequest(.messages([.init(.assistant, "a")]))) == .invalidArgument)
    #expect(
      code(GenerationRequest(.text("a"), options: AnswerOptions(temperature: -1)))
        == .invalidArgument)
    #expect(
      code(GenerationRequest(.messages([.init(.user, "a", pictures: [.image(picture)])])))
        == .notCapable)
    #expect(!served.engine.core.hasWork)
    let system = GenerationRequest(.messages([.init(.system, "s"), .init(.user, "a")]))
    let error = thrownError(EngineError.self) { _ = try served.engine.submit(system) }
    guard case .failed(let fault)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(fault.message.contains("found a system's too, as tools make one"), "\(fault.message)")
  }

  @Test("a context that does not fit is told with what keys and values may take")
  func contextLimit() throws {
    let layers = try ServedModel.stories().model.requireLanguage().layers
    let error = thrownError(ModelError.self) {
      _ = try PagePlan(
        layers, BatchEngineOptions(contextLength: 4096), usual: 512, planned: 1 << 20,
        pagePositions: 16)
    }
    guard case .memory(let what, let needed, let limit, .shorterContext?)? = error?.problem else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(what == "a context of 4096 positions")
    #expect(limit == "512 KiB of keys and values")
    #expect(needed ?? 0 > 512 << 10)
  }
}
