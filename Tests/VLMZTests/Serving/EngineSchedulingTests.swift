import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMZ

/// Who is computed when, what is shared, and what becomes of those who leave.
@Suite("Scheduling of a batch engine")
struct EngineSchedulingTests {
  @Test("a prompt that begins like an earlier one takes over its full pages")
  func prefix() async throws {
    let served = try ServedModel.stories()
    let (shared, options) = (story(words: 80), AnswerOptions(maximumTokens: 12))
    let first = try await served.answer(GenerationRequest(.text(shared), options: options))
    let length = try #require(first.end?.usage.promptTokens)
    #expect(first.end?.usage.cachedTokens == 0)
    let again = try await served.answer(GenerationRequest(.text(shared), options: options))
    #expect(again.text == first.text)
    #expect(again.end?.usage.cachedTokens == (length - 1) / ServedModel.page * ServedModel.page)
    let other = try await served.answer(
      GenerationRequest(.text(shared + " and a dog"), options: options))
    #expect(
      (other.end?.usage.cachedTokens ?? 0) >= length / ServedModel.page * ServedModel.page / 2)
    #expect(try other.text == served.alone(shared + " and a dog", options).text)
    let counts = served.engine.statistics
    #expect(counts.prefixHits == 2)
    #expect(counts.pagesInUse == 0 && counts.pagesKept > 0)
  }

  @Test("a prompt that several ask at once is computed once")
  func together() async throws {
    let served = try ServedModel.stories(BatchEngineOptions(prefillRows: 16))
    let options = AnswerOptions(maximumTokens: 2)
    let found = try await served.answers(
      (0..<4).map { _ in GenerationRequest(.text(story(words: 100)), options: options) })
    let length = try #require(found[0].end?.usage.promptTokens)
    let full = (length - 1) / ServedModel.page * ServedModel.page
    let counts = served.engine.statistics
    #expect(full > 2 * ServedModel.page)
    #expect(counts.cachedTokens == 3 * full)
    // What is computed: the prompt once, the last page's beginning four times, a token of each.
    #expect(counts.passRows == full + 4 * (length - full) + 4)
    #expect(Set(found.map(\.text)).count == 1)
  }

  @Test("the answer is part of what a next turn takes over")
  func nextTurn() async throws {
    let served = try ServedModel.stories()
    let ids = [1] + (0..<39).map { 300 + $0 }
    let first = try await served.answer(
      GenerationRequest(.tokens(ids), options: AnswerOptions(maximumTokens: 40)))
    let all = ids + first.tokens.map(\.id)
    let next = try await served.answer(
      GenerationRequest(.tokens(all + [305]), options: AnswerOptions(maximumTokens: 1)))
    // The last token of an answer was not run.
    #expect(
      next.end?.usage.cachedTokens == (all.count - 1) / ServedModel.page * ServedModel.page)
  }

  @Test("pages are shared with nobody, or among a client's requests, as the options say")
  func sharing() async throws {
    let request = { (client: String) in
      GenerationRequest(
        .text(story(words: 80)), options: AnswerOptions(maximumTokens: 1), client: client)
    }
    let nobody = try ServedModel.stories(BatchEngineOptions(prefixSharing: .none))
    _ = try await nobody.answer(request("a"))
    #expect(try await nobody.answer(request("a")).end?.usage.cachedTokens == 0)
    #expect(nobody.engine.statistics.pagesKept == 0)
    let own = try ServedModel.stories(BatchEngineOptions(prefixSharing: .perClient))
    _ = try await own.answer(request("a"))
    #expect(try await own.answer(request("b")).end?.usage.cachedTokens == 0)
    #expect(try await own.answer(request("a")).end?.usage.cachedTokens ?? 0 > 0)
  }

  @Test("pages that are kept make room for answers, and those used last stay")
  func eviction() async throws {
    // Room for one context of 128 positions and nothing beside it.
    var options = BatchEngineOptions(contextLength: 128)
    let bytes = try ServedModel.stories(options).engine.statistics.pageBytes
    options.keyValueBytes = 4 * bytes
    let served = try ServedModel.stories(options)
    #expect(served.engine.statistics.pages == 4)
    for first in ["Once", "One", "Two", "Once"] {
      let asked = AnswerOptions(maximumTokens: 20)
      let text = story(words: 50, first)
      let found = try await served.answer(GenerationRequest(.text(text), options: asked))
      #expect(try found.text == served.alone(text, asked).text)
    }
    #expect(served.engine.statistics.pagesInUse == 0)
  }

  @Test("a short prompt is answered while a long one is being read")
  func shortPrompt() throws {
    let served = try ServedModel.stories(BatchEngineOptions(prefillRows: 16))
    let long = try served.engine.submit(
      GenerationRequest(.text(story(words: 200)), options: AnswerOptions(maximumTokens: 1)))
    served.engine.core.turn()
    let short = try served.engine.submit(
      GenerationRequest(.text("The"), options: AnswerOptions(maximumTokens: 8)))
    served.engine.core.turn()
    #expect(served.engine.statistics.completionTokens == 1)
    // One token a pass, with a quarter of the rows for the prompt.
    for _ in 0..<6 { served.engine.core.turn() }
    #expect(served.engine.statistics.completionTokens == 7)
    #expect(served.engine.statistics.active == 2)
    withExtendedLifetime((long, short)) {}
    served.finish()
  }

  @Test("cancelling, and letting a stream go, free pages and leave the others alone")
  func cancelling() async throws {
    let served = try ServedModel.stories(BatchEngineOptions(prefixSharing: .none))
    let options = AnswerOptions(maximumTokens: 100, temperature: 1, seed: 1)
    let stays = try served.engine.submit(GenerationRequest(.text("Once upon"), options: options))
    let leaves = try served.engine.submit(GenerationRequest(.text("The dog"), options: options))
    do {
      let dropped = try served.engine.submit(GenerationRequest(.text("Tom"), options: options))
      for _ in 0..<4 { served.engine.core.turn() }
      withExtendedLifetime(dropped) {}
    }
    #expect(served.engine.statistics.pagesInUse == 3)
    leaves.cancel()
    served.engine.core.turn()
    #expect(served.engine.statistics.active == 1)
    #expect(served.engine.statistics.pagesInUse == 1)
    let ended = try await leaves.result()
    #expect(ended.end?.reason == .cancelled)
    #expect(ended.tokens.count == 4 && ended.end?.completionTokens == 4)
    served.finish()
    #expect(try await stays.result().text == served.alone("Once upon", options).text)
    #expect(served.engine.statistics.ended[.cancelled] == 2)
    #expect(served.engine.statistics.pagesInUse == 0)
  }

  @Test("what waits longer than it may, or is answered too slowly, ends with its deadline")
  func deadlines() async throws {
    let served = try ServedModel.stories(
      BatchEngineOptions(maximumActive: 1, deadline: .seconds(100)))
    let options = AnswerOptions(maximumTokens: 60, temperature: 1, seed: 4)
    let slow = try served.engine.submit(
      GenerationRequest(.text("Once"), options: options, deadline: .seconds(10)))
    let waits = try served.engine.submit(
      GenerationRequest(.text("Once"), options: options, deadline: .seconds(5)))
    let last = try served.engine.submit(GenerationRequest(.text("Once"), options: options))
    served.engine.core.turn()
    served.engine.core.turn()
    served.clock.pass(seconds: 6)
    served.engine.core.turn()
    #expect(try await waits.result().end?.reason == .deadline)
    served.clock.pass(seconds: 6)
    served.finish()
    let slowest = try await slow.result()
    #expect(slowest.end?.reason == .deadline && slowest.tokens.count == 3)
    #expect(try await last.result().text == served.alone("Once", options).text)
    #expect(served.engine.statistics.firstToken.count == 2)
  }

  @Test("a request too many is refused with the time after which to come again")
  func bound() async throws {
    let served = try ServedModel.stories(BatchEngineOptions(maximumActive: 1, maximumWaiting: 1))
    let request = GenerationRequest(.text("Once"), options: AnswerOptions(maximumTokens: 4))
    let first = try served.engine.submit(request)
    let second = try served.engine.submit(request)
    var refusal: EngineError?
    do { _ = try served.engine.submit(request) } catch { refusal = error }
    guard case .busy(let after)? = refusal else {
      Issue.record("the third request was taken: \(String(describing: refusal))")
      return
    }
    #expect(after >= .seconds(1) && after <= .seconds(60))
    #expect(served.engine.statistics.refused == 1 && served.engine.statistics.waiting == 2)
    served.finish()
    #expect(try await first.result().text == second.result().text)
    _ = try await served.answer(request)
  }

  @Test("as many requests at once are taken as are computed and as may wait")
  func burst() async throws {
    let served = try ServedModel.stories(BatchEngineOptions(maximumActive: 2, maximumWaiting: 1))
    #expect(served.engine.capacity == 3)
    let request = GenerationRequest(.text("Once"), options: AnswerOptions(maximumTokens: 4))
    var streams: [GenerationStream] = []
    for _ in 0..<6 {
      if let stream = try? served.engine.submit(request) { streams.append(stream) }
    }
    #expect(streams.count == 3)
    served.finish()
    for stream in streams { _ = try await stream.result() }
    #expect(served.engine.statistics.refused == 3)
  }

  @Test("clients take turns, each in the order of its requests")
  func fairness() {
    var queue = FairQueue<String>()
    for (client, name) in [
      ("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("b", "b2"),
    ] {
      queue.append(name, client: client)
    }
    #expect(queue.removeAll { $0 == "a2" ? 1 : nil }.map(\.element) == ["a2"])
    var order: [String] = []
    while let next = queue.popFirst() { order.append(next) }
    #expect(order == ["a1", "b1", "c1", "a3", "b2"])
    #expect(queue.isEmpty)
  }

  @Test("what is put back is next, and what gives way lets every other client go first")
  func puttingBack() throws {
    var queue = FairQueue<String>()
    for name in ["a1", "a2", "b1", "c1"] { queue.append(name, client: String(name.prefix(1))) }
    let refused = queue.popFirst()
    queue.putBack(try #require(refused), client: "a")
    #expect(queue.count == 4)
    let yielding = queue.popFirst()
    queue.giveWay(try #require(yielding), client: "a")
    var order: [String] = []
    while let next = queue.popFirst() { order.append(next) }
    #expect(order == ["b1", "c1", "a1", "a2"])
  }

  @Test("an element whose reason to leave comes while the queue is looked through is not lost")
  func reasonThatComesMeanwhile() {
    var queue = FairQueue<String>()
    for name in ["a1", "a2", "a3"] { queue.append(name, client: "a") }
    var asked: [String] = []
    let removed = queue.removeAll { name -> Int? in
      // As a flag that another thread sets behind the first look at it.
      defer { asked.append(name) }
      return asked.contains(name) ? 1 : nil
    }
    #expect(removed.isEmpty && asked == ["a1", "a2", "a3"])
    #expect(queue.count == 3)
    var left: [String] = []
    while let next = queue.popFirst() { left.append(next) }
    #expect(left == ["a1", "a2", "a3"])
  }

  @Test("a request that is cancelled while it is let in takes nobody else's place")
  func cancelledAtTheDoor() async throws {
    let served = try ServedModel.stories()
    let options = AnswerOptions(maximumTokens: 4)
    let first = try served.engine.submit(GenerationRequest(.text("Once"), options: options))
    let second = try served.engine.submit(GenerationRequest(.text("The dog"), options: options))
    // Time is asked for as a round begins, and for each request that is let in.
    let core = served.engine.core
    served.clock.onLook(2) {
      first.cancel()
      core.prepareNext()
    }
    core.turn()
    served.finish()
    #expect(try await first.result().end?.reason == .cancelled)
    #expect(try await second.result().text == served.alone("The dog", options).text)
    #expect(served.engine.statistics.waiting == 0)
    #expect(served.engine.statistics.ended == [.cancelled: 1, .length: 1])
  }

  @Test("a draining engine answers what it took, and takes nothing more")
  func drain() async throws {
    let models = try LibraryModels.stories()
    let engine = try BatchEngine(
      model: models.open(), options: BatchEngineOptions(maximumActive: 2))
    let request = GenerationRequest(.text("Once"), options: AnswerOptions(maximumTokens: 16))
    let streams = try (0..<5).map { _ in try engine.submit(request) }
    await engine.drain()
    #expect(engine.statistics.ended == [.length: 5])
    for stream in streams { #expect(try await stream.result().tokens.count == 16) }
    var refusal: EngineError?
    do { _ = try engine.submit(request) } catch { refusal = error }
    guard case .stopped? = refusal else {
      Issue.record("a request was taken: \(String(describing: refusal))")
      return
    }
  }

  @Test("a stopped engine ends what it took as cancelled")
  func stop() async throws {
    let served = try ServedModel.stories(BatchEngineOptions(maximumActive: 2))
    let options = AnswerOptions(maximumTokens: 100, temperature: 2, seed: 3)
    let streams = try (0..<4).map { _ in
      try served.engine.submit(GenerationRequest(.text("Once"), options: options))
    }
    served.engine.core.turn()
    served.engine.stop()
    served.finish()
    for stream in streams { #expect(try await stream.result().end?.reason == .cancelled) }
    await served.engine.drain()
    #expect(served.engine.statistics.ended == [.cancelled: 4])
    #expect(served.engine.statistics.pagesInUse == 0)
  }
}
