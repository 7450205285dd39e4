import Testing
import VLMTensor
import VLMTestSupport
import VLMZ

/// The example of the library's front page, word for word.
func describe(_ picture: String, with file: String) throws -> String {
  let model = try Model(opening: file)
  let image = try Image(contentsOf: picture)
  guard model.capabilities.contains(.seesPictures) else {
    return try Session(of: model).classify(image, top: 1).candidates.first?.label ?? "no name"
  }
  let conversation = try Conversation(with: model)
  let encoded = try conversation.encode(image)
  let answer = try conversation.ask("What is in the picture?", about: [encoded])
  return answer.text
}

@Suite("The example of the front page")
struct ExampleTests {
  @Test("a model that answers says what is in a picture, and a classifier names it")
  func both() throws {
    let folder = try TemporaryFolder()
    let picture = TestFiles.golden("convllava-trained/cup.png")
    _ = try conversation(
      TestFiles.golden("convllava-trained/hf-A-safetensors"), .q4, in: folder)
    #expect(try describe(picture, with: folder.path("model.vlmz")) == "A cup of coffee on a table.")
    _ = try convertedSession(SchemeQualityTests.checkpoint, .q8, in: folder)
    let horse = TestFiles.root.appendingPathComponent("docs/images/horse.png").path
    #expect(try describe(horse, with: folder.path("model.vlmz")) == "horse")
  }
}
