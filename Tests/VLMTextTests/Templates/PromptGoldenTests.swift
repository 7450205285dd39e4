import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMText

/// Every mode of `conv_templates` with every chat of the goldens: text, ids and stop string.
@Suite("Prompt goldens")
struct PromptGoldenTests {
  static let sources = ["conv-llava", "LLaVA-HR"]

  @Test("prompts, ids and stop strings are the reference's", arguments: sources)
  func prompts(_ source: String) throws {
    let json = try TokenizerFixtures.json(TestFiles.fixture("prompts/\(source).json"))
    try check(json, source, TokenizerFixtures.spmSmall) { _, _, entry in entry["legacy_input_ids"] }
  }

  @Test(
    "and so are the ids of LLaMA's own tokenizer",
    .enabled(if: TokenizerFixtures.hasLlama, TokenizerFixtures.llamaReason), arguments: sources)
  func llama(_ source: String) throws {
    let json = try TokenizerFixtures.json(TokenizerFixtures.shared("prompts/\(source).json"))
    let others = json["legacy_tokenizer_input_ids_where_different"]
    try check(json, source, TokenizerFixtures.llama) { mode, chat, _ in others?[mode]?[chat] }
  }

  /// - Parameter legacy: ids of the reading that puts a space before each stretch, where others.
  private func check(
    _ json: JSONValue, _ source: String, _ tokenizer: (PrefixRule) throws -> Tokenizer,
    legacy: (_ mode: String, _ chat: String, _ entry: JSONValue) -> JSONValue?
  ) throws {
    let chats = try Self.chats(json)
    let isHR = source == "LLaVA-HR"
    let modern = try tokenizer(isHR ? .strippedAfterFirst : .firstSegment)
    let older = try tokenizer(.everySegment)
    var checked = 0
    for mode in try #require(json["modes"]?.objectValue).members {
      let name = isHR && mode.key == "llama_2" ? "llama_2_hr" : mode.key
      let template = try #require(ConversationTemplate.named(name))
      for entry in try #require(mode.value.arrayValue) {
        // Where the reference fails there is nothing to compare with.
        guard let expected = entry["prompt"]?.stringValue else { continue }
        let chat = try #require(entry["chat"]?.stringValue)
        let prompt = template.prompt(try #require(chats[chat]))
        #expect(prompt.text.hasSameBytes(as: expected), "\(name), \(chat)")
        #expect(template.stop == entry["stop_str"]?.stringValue)
        // The reference treats `<image>` in a message as a placeholder.
        let spelled = prompt.parsingSpecial()
        let ids = try #require(entry["input_ids"]?.arrayValue).compactMap(\.intValue)
        let found = try ImagePrompt.ids(spelled, modern)
        #expect(found == ids, "\(name), \(chat)")
        let others = legacy(mode.key, chat, entry)?.arrayValue?.compactMap(\.intValue)
        let legacyIDs = try ImagePrompt.ids(spelled, older)
        #expect(legacyIDs == others ?? ids, "\(name), \(chat), legacy")
        checked += 1
      }
    }
    #expect(checked == (isHR ? 153 : 130))
  }

  /// Turns by the chat's name; a null is the answer to be written.
  private static func chats(
    _ json: JSONValue
  ) throws -> [String: [ConversationTemplate.Turn]] {
    var chats: [String: [ConversationTemplate.Turn]] = [:]
    for chat in try #require(json["chats"]?.arrayValue) {
      var turns: [ConversationTemplate.Turn] = []
      for turn in try #require(chat["turns"]?.arrayValue) {
        let pair = try #require(turn.arrayValue)
        turns.append(.init(.user, pair[0].stringValue))
        turns.append(.init(.assistant, pair[1].stringValue))
      }
      chats[try #require(chat["name"]?.stringValue)] = turns
    }
    return chats
  }
}
