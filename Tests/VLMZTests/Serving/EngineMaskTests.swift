import Synchronization
import Testing
import VLMTestSupport

@testable import VLMZ

/// Answers that are held to a form, whose next tokens another thread finds out.
@Suite("Forms of a batch engine's answers")
struct EngineMaskTests {
  /// An engine whose masks are found by nobody before nothing else is to be done.
  private func served() throws -> ServedModel {
    try ServedModel(.stories(), masks: MaskWorker(usesThread: false))
  }

  @Test("while it is not known what a form allows, other answers go on")
  func othersGoOn() async throws {
    let served = try served()
    let held = AnswerOptions(maximumTokens: 30, format: .grammar(#"root ::= " " [a-c]{6}"#))
    let free = AnswerOptions(maximumTokens: 12)
    let waits = try served.engine.submit(GenerationRequest(.text("Once"), options: held))
    let goesOn = try served.engine.submit(GenerationRequest(.text("Once"), options: free))
    for _ in 0..<12 { served.engine.core.turn() }
    #expect(served.engine.statistics.ended == [.length: 1])
    #expect(served.engine.statistics.completionTokens == 12)
    #expect(served.engine.statistics.active == 1)
    served.finish()
    #expect(try await waits.result().text == served.alone("Once", held).text)
    #expect(try await goesOn.result().text == served.alone("Once", free).text)
  }

  @Test("a form that is complete with the last token that an answer may have ends it as complete")
  func completeAtTheEnd() async throws {
    for masks in [MaskWorker(usesThread: false), MaskWorker()] {
      let served = try ServedModel(.stories(), masks: masks)
      let format = AnswerFormat.grammar(#"root ::= " " [a-c]{6}"#)
      let whole = try served.alone("Once", AnswerOptions(maximumTokens: 30, format: format))
      let options = AnswerOptions(maximumTokens: whole.tokens.count, format: format)
      let found = try await served.answer(GenerationRequest(.text("Once"), options: options))
      #expect(found.text == whole.text)
      #expect(found.end?.reason == .stop)
      let short = AnswerOptions(maximumTokens: whole.tokens.count - 1, format: format)
      let cut = try await served.answer(GenerationRequest(.text("Once"), options: short))
      #expect(cut.end?.reason == .length)
    }
  }

  @Test("an answer that leaves while its form is looked at leaves nothing behind")
  func leaving() async throws {
    let served = try served()
    let held = AnswerOptions(maximumTokens: 30, format: .grammar(#"root ::= [a-z]+"#))
    let leaves = try served.engine.submit(GenerationRequest(.text("Once"), options: held))
    served.engine.core.turn()
    leaves.cancel()
    served.finish()
    #expect(try await leaves.result().end?.reason == .cancelled)
    #expect(served.engine.statistics.pagesInUse == 0)
    #expect(!served.engine.core.hasWork)
  }

  @Test("a job is done once, with a thread and without")
  func jobs() {
    for usesThread in [true, false] {
      let worker = MaskWorker(usesThread: usesThread)
      let count = Counter()
      for _ in 0..<100 { worker.add { count.add() } }
      while count.value < 100 { worker.awaitOne() }
      worker.awaitOne()
      #expect(count.value == 100)
      worker.stop()
    }
  }

  @Test("grammars whose texts are canonically equal are two grammars")
  func exactFormats() throws {
    let served = try served()
    let language = try served.model.requireLanguage()
    let (one, two) = ("root ::= \"\u{e9}\"", "root ::= \"e\u{301}\"")
    #expect(one == two)
    let first = try #require(try language.grammar(of: .grammar(one)))
    let second = try #require(try language.grammar(of: .grammar(two)))
    #expect(first != second)
    #expect(second.grammar.matches(Array("e\u{301}".utf8)))
    #expect(try language.grammar(of: .grammar(one)) == first)
  }
}

private final class Counter: Sendable {
  private let count = Atomic<Int>(0)
  var value: Int { count.load(ordering: .relaxed) }
  func add() { count.add(1, ordering: .relaxed) }
}
