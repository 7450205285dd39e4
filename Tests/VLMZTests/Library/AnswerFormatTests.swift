import Foundation
import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport
import VLMZ

/// Answers of a trained model that knows nothing of JSON, held to a form.
struct AnswerFormatTests {
  private static let schema = """
    {"type": "object", "properties": {
      "name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 1, "maximum": 99},
      "friends": {"type": "array", "items": {"enum": ["Lily", "Tim"]}, "maxItems": 3}},
     "required": ["name", "age", "friends"], "additionalProperties": false}
    """

  @Test("stories260K held to a schema writes JSON that has what it asks", arguments: [0, 1.5])
  func schema(_ temperature: Double) throws {
    let models = try LibraryModels.stories()
    let conversation = try Conversation(with: try models.open())
    for seed in UInt64(0)..<3 {
      try conversation.clear()
      let answer = try conversation.ask(
        "Once upon a time",
        options: AnswerOptions(
          maximumTokens: 450, temperature: temperature, seed: seed, format: .jsonSchema(Self.schema)
        ))
      #expect(answer.ending == .complete, "\(answer.text)")
      let object = try #require(
        try JSONSerialization.jsonObject(with: Data(answer.text.utf8)) as? [String: Any],
        "\(answer.text)")
      #expect(Set(object.keys) == ["name", "age", "friends"])
      #expect(try #require(object["name"] as? String).unicodeScalars.count <= 12)
      #expect((1...99).contains(try #require(object["age"] as? Int)))
      let friends = try #require(object["friends"] as? [String])
      #expect(friends.count <= 3 && Set(friends).isSubset(of: ["Lily", "Tim"]))
    }
  }

  @Test("a grammar that allows everything changes no token", arguments: [0, 0.9])
  func everything(_ temperature: Double) throws {
    let models = try LibraryModels.stories()
    let conversation = try Conversation(with: try models.open())
    func tokens(_ format: AnswerFormat) throws -> [Int] {
      try conversation.clear()
      let options = AnswerOptions(
        maximumTokens: 60, temperature: temperature, seed: 3, format: format)
      return try conversation.ask("Once upon a time", options: options).tokens
    }
    let free = try tokens(.text)
    #expect(free.count == 60)
    #expect(try tokens(.grammar("root ::= .*")) == free)
  }

  @Test("a text ends by the grammar, and goes on in a conversation")
  func grammar() throws {
    let models = try LibraryModels.stories()
    let conversation = try Conversation(with: try models.open())
    for _ in 0..<2 {
      let answer = try conversation.ask(
        "Is it so?", options: AnswerOptions(format: .grammar("root ::= \" \"? (\"yes\" | \"no\")")))
      #expect(["yes", "no", " yes", " no"].contains(answer.text))
      #expect(answer.ending == .complete)
    }
    let object = try conversation.ask(
      "{", options: AnswerOptions(maximumTokens: 5, format: .jsonObject))
    #expect(object.text.hasPrefix("{") && [.length, .complete].contains(object.ending))
  }

  @Test("a format that cannot be read is an invalid argument, before anything is computed")
  func invalid() throws {
    let models = try LibraryModels.stories()
    let conversation = try Conversation(with: try models.open())
    for (format, message) in [
      (AnswerFormat.grammar("root ::= a"), "grammar: line 1, column 10: found 'a'"),
      (.jsonSchema("{\"not\": {}}"), "schema: #/not: 'not' is not supported"),
    ] {
      let error = libraryError {
        _ = try conversation.ask("Hello", options: AnswerOptions(format: format))
      }
      #expect(error?.code == .invalidArgument)
      #expect(error?.message.hasPrefix(message) ?? false)
      #expect(libraryError { try format.validate() }?.message == error?.message)
    }
    try AnswerFormat.jsonObject.validate()
  }
}
