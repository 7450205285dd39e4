import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMZ

/// Questions about pictures, answered together.
@Suite("Pictures of a batch engine")
struct EnginePictureTests {
  @Test("answers about pictures are a conversation's, and a picture is encoded and computed once")
  func pictures() async throws {
    let served = try ServedModel(.sighted(), BatchEngineOptions(prefillRows: 48))
    let options = AnswerOptions(maximumTokens: 24)
    func asked(_ file: String, _ question: String) throws -> GenerationRequest {
      let picture = GenerationRequest.Picture.image(try LibraryModels.picture(file))
      return GenerationRequest(
        .messages([.init(.user, question, pictures: [picture])]), options: options)
    }
    let found = try await served.answers([
      try asked("cup.png", "What is in the picture?"),
      try asked("cup.png", "Describe the image in detail."),
      GenerationRequest(.messages([.init(.user, "What is a cup?")]), options: options),
    ])
    #expect(found[0].text == "A cup of coffee on a table.")
    let conversation = try Conversation(with: served.model)
    let cup = try await conversation.encode(LibraryModels.picture("cup.png"))
    #expect(try found[1].text == alone(served, "Describe the image in detail.", [cup], options))
    #expect(try found[2].text == alone(served, "What is a cup?", [], options))
    let counts = served.engine.statistics
    #expect(counts.picturesEncoded == 1 && counts.pictureHits == 1)
    #expect(found[0].end?.usage.visualTokens == cup.tokenCount)
    #expect(counts.cachedTokens > 0)
    // The same as a picture that was encoded elsewhere.
    let again = try await served.answer(
      GenerationRequest(
        .messages([.init(.user, "What is in the picture?", pictures: [.encoded(cup)])]),
        options: options))
    #expect(again.text == found[0].text)
  }

  private func alone(
    _ served: ServedModel, _ question: String, _ pictures: [EncodedImage], _ options: AnswerOptions
  ) throws -> String {
    try Conversation(with: served.model).ask(question, about: pictures, options: options).text
  }

  @Test("a second turn is a conversation's second turn")
  func turns() async throws {
    let served = try ServedModel(.sighted())
    let options = AnswerOptions(maximumTokens: 24)
    let conversation = try Conversation(with: served.model)
    let cup = try await conversation.encode(LibraryModels.picture("cup.png"))
    let first = try await conversation.ask(
      "What is in the picture?", about: [cup], options: options)
    let second = try await conversation.ask("Is it hot?", options: options)
    let found = try await served.answer(
      GenerationRequest(
        .messages([
          .init(.user, "What is in the picture?", pictures: [.encoded(cup)]),
          .init(.assistant, first.text), .init(.user, "Is it hot?"),
        ]), options: options))
    #expect(found.text == second.text)
    #expect(found.end?.usage.promptTokens == second.promptTokenCount + second.visualTokenCount)
  }

  @Test("an answer that is begun goes on as the model would have, and alone as in company")
  func begun() async throws {
    let served = try ServedModel(.sighted())
    let options = AnswerOptions(maximumTokens: 24)
    let picture = GenerationRequest.Picture.image(try LibraryModels.picture("cup.png"))
    let asked = GenerationRequest.Message(.user, "What is in the picture?", pictures: [picture])
    func request(_ beginning: String) -> GenerationRequest {
      GenerationRequest(.messages([asked, .init(.assistant, beginning)]), options: options)
    }
    let found = try await served.answers([
      request("A cup of"), request("A cup of coffee"), request(""),
    ])
    #expect(
      found.map(\.text) == [
        " coffee on a table.", " on a table.", "A cup of coffee on a table.",
      ])
    let again = try await served.answer(request("A cup of"))
    #expect(again.text == found[0].text && again.tokens.map(\.id) == found[0].tokens.map(\.id))
  }

  @Test("a damaged picture fails its own request alone")
  func damaged() async throws {
    let served = try ServedModel(.sighted())
    let file = URL(fileURLWithPath: TestFiles.golden("convllava-trained/cup.png"))
    let bytes = [UInt8](try Data(contentsOf: file))
    let broken = try Image(encoded: Array(bytes.prefix(bytes.count / 2)))
    let options = AnswerOptions(maximumTokens: 24)
    let fails = try served.engine.submit(
      GenerationRequest(
        .messages([.init(.user, "What is it?", pictures: [.image(broken)])]), options: options))
    let whole = GenerationRequest.Picture.image(try LibraryModels.picture("cup.png"))
    let works = try served.engine.submit(
      GenerationRequest(
        .messages([.init(.user, "What is in the picture?", pictures: [whole])]), options: options))
    served.finish()
    var failure: EngineError?
    do { _ = try await fails.result() } catch { failure = error }
    guard case .failed(let error)? = failure else {
      Issue.record("half a picture was answered about: \(String(describing: failure))")
      return
    }
    #expect(error.code == .badData)
    #expect(try await works.result().text == "A cup of coffee on a table.")
    #expect(served.engine.statistics.failed == 1)
  }
}
