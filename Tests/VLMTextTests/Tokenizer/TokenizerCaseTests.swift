import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMText

private enum Cases {
  static let folder = TestFiles.shared.appendingPathComponent("cases/checkpoints").path
}

/// Folders from reports in the field, beside the project: ids of transformers 4.57.
@Suite(
  "Tokenizers of reported cases",
  .enabled(if: TestFiles.exists(Cases.folder), "needs ../shared/cases, not here"))
struct TokenizerCaseTests {
  private func file(_ name: String) -> String { "\(Cases.folder)/\(name)" }

  private func settings(_ name: String) throws -> TokenizerSettings {
    let added = file(name + "/added_tokens.json")
    return try TokenizerSettings(
      configuration: TokenizerFixtures.json(file(name + "/tokenizer_config.json")),
      addedTokens: TestFiles.exists(added) ? TokenizerFixtures.json(added) : nil,
      model: TokenizerFixtures.json(file(name + "/config.json")))
  }

  private func tokenizer(_ name: String) throws -> Tokenizer {
    var notes: [Note] = []
    return try Tokenizer(
      tokenizerJSON: TokenizerFixtures.json(file(name + "/tokenizer.json")),
      settings: settings(name), file: name, notes: &notes)
  }

  @Test("added tokens beside tokenizer.model")
  func added() throws {
    let name = "added-tokens-ignored-beside-tokenizer.model"
    var notes: [Note] = []
    let tokenizer = try Tokenizer(
      sentencePiece: TokenizerFixtures.bytes(file(name + "/tokenizer.model")),
      prefix: .firstSegment, settings: settings(name), file: name, notes: &notes)
    let ids = try tokenizer.encode(
      "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n", bos: false)
    #expect(ids == [1280, 1028, 13, 1060, 334, 323, 1281, 13, 1280, 380, 1050, 371, 529, 13])
    #expect(tokenizer.eos == 1281 && tokenizer.addsBOS)
  }

  @Test("BOS where LlamaTokenizerFast puts it")
  func bos() throws {
    let tokenizer = try tokenizer("add-bos-token-ignored")
    let ids = try tokenizer.encode("hi there")
    #expect(ids == [1500, 72, 73, 330, 824])
    #expect(tokenizer.eos == 1501 && !tokenizer.addsEOS)
  }

  @Test("the expression of Mistral Nemo")
  func tekken() throws {
    let tokenizer = try tokenizer("mistral-nemo-tekken")
    let ids = try tokenizer.encode("HTTPServer camelCase don't 12345  你好 e\u{301}\r\n\n /*x")
    #expect(
      ids == [
        40, 52, 52, 48, 51, 262, 519, 280, 382, 76, 35, 565, 314, 260, 1343, 221, 17, 18, 19, 20,
        21,
        221, 221, 161, 122, 255, 162, 99, 122, 319, 137, 224, 202, 199, 199, 1040, 10, 88,
      ])
  }
}
