import Foundation
import Testing
import VLMTestSupport
import VLMZ

/// One model, used by many at once.
@Suite("A model that is shared")
struct LibrarySharingTests {
  /// The pictures that the trained model was asked about.
  private static func pictures() throws -> [Image] {
    try Set(TrainedConvLLaVATests.questions.map(\.image)).sorted().map {
      try LibraryModels.picture($0)
    }
  }

  private func alone(_ model: Model, _ pictures: [Image]) throws -> [(Classification, Embedding)] {
    let session = try Session(of: model)
    return try pictures.map { (try session.classify($0), try session.embed($0)) }
  }

  @Test("many sessions at once give the bits that each gives alone")
  func sessions() async throws {
    let made = try LibraryModels.classifier()
    let model = try made.open()
    let pictures = try Self.pictures() + [LibraryModels.horse()]
    let want = try alone(model, pictures)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for worker in 0..<6 {
        group.addTask {
          // Some with threads of their own.
          let session = try Session(of: model, options: .init(threads: worker % 3 == 0 ? 1 : nil))
          for turn in 0..<6 {
            let index = (worker + turn) % pictures.count
            let classes = try await session.classify(pictures[index])
            let embedding = try await session.embed(pictures[index])
            #expect(classes == want[index].0 && embedding == want[index].1)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(want.count == pictures.count && pictures.count > 2)
  }

  private func answers(_ model: Model, _ encoded: EncodedImage) throws -> [String] {
    let conversation = try Conversation(with: model)
    return [
      try conversation.ask("What is in the picture?", about: [encoded]).text,
      try conversation.ask("Describe the image in detail.").text,
    ]
  }

  @Test("many conversations at once, about one encoded picture, give what each gives alone")
  func conversations() async throws {
    let made = try LibraryModels.sighted()
    let model = try made.open()
    let encoded = try await Session(of: model).encode(LibraryModels.picture("cup.png"))
    let want = try answers(model, encoded)
    try await withThrowingTaskGroup(of: [String].self) { group in
      for _ in 0..<4 {
        group.addTask {
          let conversation = try Conversation(with: model)
          let first = try await conversation.ask("What is in the picture?", about: [encoded])
          let second = try await conversation.ask("Describe the image in detail.")
          return [first.text, second.text]
        }
      }
      for try await found in group { #expect(found == want) }
    }
    #expect(want[0] == "A cup of coffee on a table.")
  }

  @Test("a picture that was encoded once is asked about as one that is encoded anew")
  func encodedOnce() throws {
    let model = try LibraryModels.sighted().open()
    let cup = try LibraryModels.picture("cup.png")
    let once = try Session(of: model).encode(cup)
    let want = try answers(model, once)
    for _ in 0..<2 {
      let again = try Conversation(with: model).encode(cup)
      #expect(again.values() == once.values())
      #expect(again.tokenCount == again.gridWidth * again.gridHeight)
      #expect(try answers(model, again) == want)
    }
    let conversation = try Conversation(with: model)
    _ = try conversation.ask("What is in the picture?", about: [once])
    try conversation.clear()
    let second = try conversation.ask("What is in the picture?", about: [once])
    #expect(second.text == want[0])
    // All but the last position of the same prompt is still there.
    #expect(second.timings.promptTokens == 1)
  }

  @Test("an answer is cancelled from another thread, and what was written of it stays")
  func cancellation() throws {
    let conversation = try Conversation(
      with: LibraryModels.stories().open(), options: .init(contextLength: 256, template: .none))
    var shown = ""
    let answer = try conversation.ask("Once", options: .init(maximumTokens: 200)) { piece in
      shown += piece
      guard shown.count > 20 else { return }
      let done = DispatchSemaphore(value: 0)
      Thread {
        conversation.cancel()
        done.signal()
      }.start()
      done.wait()
    }
    #expect(answer.ending == .cancelled)
    #expect(answer.text == shown && !shown.isEmpty)
    #expect(answer.tokens.count < 200)
    // Nothing is left of it for the next.
    let next = try conversation.ask(" a", options: .init(maximumTokens: 3))
    #expect(next.ending == .length)
  }

  @Test("pictures are cancelled between one batch and the next")
  func cancelledPictures() throws {
    let session = try Session(of: LibraryModels.classifier().open())
    let pictures = [Image](repeating: try LibraryModels.horse(), count: 400)
    var calls = 0
    let error = libraryError {
      _ = try session.classify(pictures) { done, all in
        #expect(done > 0 && done < all && all == 400)
        calls += 1
        session.cancel()
      }
    }
    #expect(error?.code == .cancelled)
    #expect(calls == 1)
    #expect(try session.classify(pictures[0], top: 1).candidates.count == 1)
  }

  private func whole(_ conversation: Conversation) throws -> Answer {
    defer { try? conversation.clear() }
    return try conversation.ask("Once", options: .init(maximumTokens: 20))
  }

  @Test("a stream gives the pieces of the answer, and then all of it")
  func stream() async throws {
    let conversation = try Conversation(
      with: LibraryModels.stories().open(), options: .init(template: .none))
    let want = try whole(conversation)
    var pieces = ""
    var last: Answer?
    for try await part in conversation.stream("Once", options: .init(maximumTokens: 20)) {
      switch part {
      case .text(let text):
        #expect(last == nil)
        pieces += text
      case .end(let answer): last = answer
      }
    }
    #expect(pieces == want.text && last?.text == want.text && last?.tokens == want.tokens)
  }

  @Test("a description names the model, its schemes and its labels")
  func description() throws {
    let text = try LibraryModels.classifier().open().describe()
    for part in [
      "\"architecture\":\"convnext\"", "\"classifies_images\"", "\"q8\":", "\"horse\"",
      "\"classes\":10", "\"scores\":\"softmax\"",
    ] {
      #expect(text.contains(part), "\(part): \(text)")
    }
    let sighted = try LibraryModels.sighted().open()
    #expect(sighted.capabilities == [.seesPictures, .writesText])
    #expect(try LibraryModels.stories().open().capabilities == .writesText)
    let clip = try LibraryModels.clip().open().capabilities
    #expect(clip == [.embedsImages, .embedsTexts, .classifiesByText])
  }
}
