import Synchronization
import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMZ

/// Short prompts that come while a pass is under way.
@Suite("Arrivals between the layers of a pass")
struct EngineArrivalTests {
  /// Streams that a hook has submitted.
  private final class Submitted: Sendable {
    private let engine: BatchEngine
    private let all = Mutex<[GenerationStream]>([])

    init(to served: ServedModel) { engine = served.engine }

    func submit(_ text: String, tokens: Int) {
      let request = GenerationRequest(.text(text), options: AnswerOptions(maximumTokens: tokens))
      guard let stream = try? engine.submit(request) else {
        Issue.record("the engine takes no request")
        return
      }
      all.withLock { $0.append(stream) }
    }

    var streams: [GenerationStream] { all.withLock { $0 } }
  }

  /// Two answers under way, of which one token each is written in every round.
  private func writing(
    _ served: ServedModel, tokens: Int = 24
  ) throws -> [GenerationStream] {
    let options = AnswerOptions(maximumTokens: tokens)
    let streams = try ["Once upon a time", "One day"].map {
      try served.engine.submit(GenerationRequest(.text($0), options: options))
    }
    for _ in 0..<3 { served.engine.core.turn() }
    return streams
  }

  @Test("one has its first token in the pass that it comes in, and all texts are those alone")
  func shortPrompt() async throws {
    let served = try ServedModel.stories(BatchEngineOptions(speculatedTokens: 0))
    let first = try writing(served)
    let before = served.engine.statistics
    let come = Submitted(to: served)
    served.layers.set { count in
      if count == 2 { come.submit("The dog", tokens: 8) }
    }
    served.engine.core.turn()
    served.layers.set(nil)
    let after = served.engine.statistics
    #expect(after.interludes == 1 && before.interludes == 0)
    #expect(after.completionTokens == before.completionTokens + 3)
    #expect(after.passes == before.passes + 2)
    served.finish()
    let asked = ["Once upon a time", "One day", "The dog"]
    for (text, stream) in zip(asked, first + come.streams) {
      let options = AnswerOptions(maximumTokens: text == "The dog" ? 8 : 24)
      let found = try await stream.result()
      let alone = try served.alone(text, options)
      #expect(found.text == alone.text)
    }
    #expect(come.streams.count == 1)
  }

  @Test("a pass waits once, and for a piece of a prompt at most")
  func once() throws {
    let served = try ServedModel.stories(
      BatchEngineOptions(prefillRows: 64, speculatedTokens: 0))
    let first = try writing(served)
    let come = Submitted(to: served)
    served.layers.set { count in
      // More than a quarter of the rows: it is read in pieces, beside the others.
      if count == 1 { come.submit(story(words: 40), tokens: 4) }
      // Asked twice where somebody was let in.
      if count == 3 { come.submit("The dog", tokens: 4) }
    }
    let before = served.engine.statistics.completionTokens
    served.engine.core.turn()
    served.layers.set(nil)
    let counts = served.engine.statistics
    #expect(counts.interludes == 1)
    #expect(counts.completionTokens == before + 3)
    #expect(counts.active == 4 && counts.waiting == 0)
    withExtendedLifetime((first, come.streams)) {}
    served.finish()
    #expect(served.engine.statistics.ended[.length] == 4)
  }

  @Test("a prompt that is being read waits for a shorter one, not for one of its length")
  func prompts() async throws {
    for (words, interludes) in [(100, 1), (3, 0)] {
      let served = try ServedModel.stories(BatchEngineOptions(prefillRows: 256))
      let long = story(words: words)
      let options = AnswerOptions(maximumTokens: 6)
      let first = try served.engine.submit(GenerationRequest(.text(long), options: options))
      let come = Submitted(to: served)
      served.layers.set { count in
        if count == 1 { come.submit("The dog and a", tokens: 6) }
      }
      served.engine.core.turn()
      served.layers.set(nil)
      #expect(served.engine.statistics.interludes == interludes)
      served.finish()
      let second = try #require(come.streams.first)
      let (found, short) = (try await first.result(), try await second.result())
      let (alone, shortAlone) = (
        try served.alone(long, options), try served.alone("The dog and a", options)
      )
      #expect(found.text == alone.text)
      #expect(short.text == shortAlone.text)
    }
  }

  @Test("one that is cancelled meanwhile, or finds no room, is not read")
  func noRoom() throws {
    let served = try ServedModel.stories(
      BatchEngineOptions(maximumActive: 2, speculatedTokens: 0))
    let first = try writing(served)
    let come = Submitted(to: served)
    served.layers.set { count in
      if count == 1 { come.submit("The dog", tokens: 4) }
    }
    served.engine.core.turn()
    served.layers.set(nil)
    #expect(served.engine.statistics.interludes == 0)
    #expect(served.engine.statistics.waiting == 1)
    let last = try #require(come.streams.first)
    last.cancel()
    first[0].cancel()
    first[1].cancel()
    served.finish()
    #expect(served.engine.statistics.ended[.cancelled] == 3)
    withExtendedLifetime((first, come.streams)) {}
  }

  @Test("answers that repeat themselves are the same with others in between")
  func repeated() async throws {
    let served = try ServedModel.stories()
    let text = "One day one day one day one day one day"
    let options = AnswerOptions(maximumTokens: 40)
    let stream = try served.engine.submit(GenerationRequest(.text(text), options: options))
    let come = Submitted(to: served)
    served.layers.set { count in
      if count % 7 == 0, count < 80 { come.submit("The dog", tokens: 3) }
    }
    served.finish()
    served.layers.set(nil)
    let (found, alone) = (try await stream.result(), try served.alone(text, options))
    #expect(found.text == alone.text)
    #expect(served.engine.statistics.interludes > 2)
    let short = try served.alone("The dog", AnswerOptions(maximumTokens: 3))
    for stream in come.streams {
      let found = try await stream.result()
      #expect(found.text == short.text)
    }
  }
}
