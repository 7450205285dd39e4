import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMText

/// Every stage around the merges of a `tokenizer.json`: ids and texts of the `tokenizers` library.
@Suite("Stages of tokenizer.json")
struct TokenizerStageTests {
  /// A tokenizer of `stages.json`: a base with some members replaced.
  struct Stage: Sendable, CustomTestStringConvertible {
    let name: String
    let json: JSONValue

    var testDescription: String { name }

    func tokenizer() throws -> Tokenizer {
      let base = try #require(json["base"]?.stringValue)
      let whole = try TokenizerFixtures.json(TokenizerFixtures.own("\(base).tokenizer.json"))
      var object = try #require(whole.objectValue)
      for member in try #require(json["changes"]?.objectValue).members {
        object.set(member.key, member.value)
      }
      return try Tokenizer(
        tokenizerJSON: Array(JSONValue.object(object).serialized().utf8), file: name)
    }
  }

  static let stages: [Stage] = {
    let json = try? TokenizerFixtures.json(TokenizerFixtures.own("stages.json"))
    return (json?.arrayValue ?? []).compactMap { entry in
      entry["name"]?.stringValue.map { Stage(name: $0, json: entry) }
    }
  }()

  @Test("the fixture has all stages")
  func count() { #expect(Self.stages.count == 20) }

  @Test("ids and texts are the library's, also from a container", arguments: stages)
  func stage(_ stage: Stage) throws {
    let read = try stage.tokenizer()
    let tokenizer = try Tokenizer(container: read.serialized(), file: stage.name)
    for entry in try #require(stage.json["cases"]?.arrayValue) {
      let parts = try #require(entry.arrayValue)
      try #require(parts.count == 2 || parts.count == 4)
      let text = try #require(parts[0].stringValue)
      let ids = try #require(parts[1].arrayValue).compactMap(\.intValue)
      #expect(try tokenizer.encode(text, bos: false) == ids, "\(text.debugDescription)")
      guard parts.count == 4 else { continue }
      let whole = try #require(parts[2].stringValue)
      #expect(tokenizer.decode(ids, skipsSpecial: false).hasSameBytes(as: whole))
      let bare = try #require(parts[3].stringValue)
      #expect(tokenizer.decode(ids).hasSameBytes(as: bare))
    }
  }
}
