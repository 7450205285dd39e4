import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMText

/// Files beside a tokenizer that add tokens, or define BOS and EOS: ids and texts of transformers
/// 4.57.
@Suite("Files beside a tokenizer")
struct TokenizerFolderTests {
  struct Folder: Sendable, CustomTestStringConvertible {
    let name: String
    let json: JSONValue

    var testDescription: String { name }

    func tokenizer(_ notes: inout [Note]) throws -> Tokenizer {
      let beside = json["beside"]
      let settings = try TokenizerSettings(
        configuration: beside?["tokenizer_config.json"],
        specialTokens: beside?["special_tokens_map.json"],
        addedTokens: beside?["added_tokens.json"], model: beside?["config.json"])
      let file = try #require(json["file"]?.stringValue)
      let bytes = try TokenizerFixtures.bytes(TokenizerFixtures.own(file))
      guard file.hasSuffix(".model") else {
        return try Tokenizer(
          tokenizerJSON: try JSONValue.parse(bytes), settings: settings, file: file, notes: &notes)
      }
      let isLegacy = beside?["tokenizer_config.json"]?["legacy"]?.boolValue == true
      return try Tokenizer(
        sentencePiece: bytes, prefix: isLegacy ? .everySegment : .firstSegment, settings: settings,
        file: file, notes: &notes)
    }
  }

  static let folders: [Folder] = {
    let json = try? TokenizerFixtures.json(TokenizerFixtures.own("folders.json"))
    return (json?.arrayValue ?? []).compactMap { entry in
      entry["name"]?.stringValue.map { Folder(name: $0, json: entry) }
    }
  }()

  @Test("the fixture has all folders")
  func count() { #expect(Self.folders.count == 32) }

  @Test("ids and texts are the library's, also from a container", arguments: folders)
  func ids(_ folder: Folder) throws {
    var notes: [Note] = []
    let read = try folder.tokenizer(&notes)
    let tokenizer = try Tokenizer(container: read.serialized(), file: folder.name)
    for entry in try #require(folder.json["cases"]?.arrayValue) {
      let parts = try #require(entry.arrayValue)
      try #require(parts.count == 3)
      let text = try #require(parts[0].stringValue)
      let ids = try #require(parts[1].arrayValue).compactMap(\.intValue)
      let found = try tokenizer.encode(text)
      #expect(found == ids, "\(text.debugDescription)")
      let decoded = try #require(parts[2].stringValue)
      #expect(tokenizer.decode(ids) == decoded)
    }
    let roles = try #require(folder.json["roles"]?.arrayValue)
    let names = folder.json["beside"]?["tokenizer_config.json"]
    if names?["bos_token"] != nil { #expect(tokenizer.bos == roles[0].intValue) }
    if names?["eos_token"] != nil { #expect(tokenizer.eos == roles[1].intValue) }
    #expect(notes.isEmpty == !folder.name.hasSuffix("holes"))
  }

  @Test("without special tokens they are letters", arguments: folders)
  func letters(_ folder: Folder) throws {
    var notes: [Note] = []
    let tokenizer = try folder.tokenizer(&notes)
    let text = "x<|im_start|> <pad>y</s>"
    let ids = try tokenizer.encode(text, bos: false, eos: false, parsesSpecial: false)
    #expect(!ids.contains { tokenizer.isSpecial($0) })
    #expect(tokenizer.decode(ids) == text)
  }

  @Test("ids of holes and of tokens far behind the vocabulary")
  func holes() throws {
    let settings = try TokenizerSettings(
      configuration: [
        "added_tokens_decoder": [
          "1300": ["content": "<|im_start|>", "special": true],
          "300": ["content": "<own>", "special": false],
        ]
      ])
    var notes: [Note] = []
    let bytes = try TokenizerFixtures.bytes(TokenizerFixtures.own("spm-small.model"))
    let tokenizer = try Tokenizer(
      sentencePiece: bytes, prefix: .firstSegment, settings: settings, file: "m", notes: &notes)
    #expect(tokenizer.count == 1301)
    let ids = try tokenizer.encode("<|im_start|><own>", bos: false)
    #expect(ids == [1300, 300])
    #expect(tokenizer.decode([300, 1290]) == "<own>")
    #expect(tokenizer.isSpecial(1300) && !tokenizer.isSpecial(300))
    #expect(tokenizer.piece(1290)?.isEmpty == true)
    let read = try Tokenizer(container: tokenizer.serialized(), file: "m")
    #expect(try read.encode("<|im_start|><own>", bos: false) == ids)
  }

  @Test("a token in the place of a byte is refused")
  func byte() throws {
    let settings = try TokenizerSettings(
      configuration: ["added_tokens_decoder": ["5": ["content": "<own>", "special": false]]])
    var notes: [Note] = []
    let bytes = try TokenizerFixtures.bytes(TokenizerFixtures.own("spm-small.model"))
    let error = thrownError(TextError.self) {
      try Tokenizer(
        sentencePiece: bytes, prefix: .firstSegment, settings: settings, file: "m", notes: &notes)
    }
    #expect(error?.description == "m: byte pieces: found none for byte 2, expected 256")
  }

  @Test("a tokenizer.json beside tokenizer.model adds its tokens, but changes no piece")
  func alongside() throws {
    let settings = try TokenizerSettings(
      configuration: nil,
      alongside: [
        "added_tokens": [
          ["id": 1280, "content": "<|im_start|>", "special": true],
          ["id": 7, "content": "<seven>", "special": true],
        ]
      ])
    var notes: [Note] = []
    let bytes = try TokenizerFixtures.bytes(TokenizerFixtures.own("spm-small.model"))
    let tokenizer = try Tokenizer(
      sentencePiece: bytes, prefix: .firstSegment, settings: settings, file: "m", notes: &notes)
    let ids = try tokenizer.encode("<|im_start|>", bos: false)
    #expect(ids == [1280])
    #expect(tokenizer.piece(7) != "<seven>")
  }

  @Test("what is no token is refused with its place", arguments: ["x", "-1", "9999999"])
  func refused(_ id: String) throws {
    var object = JSONObject()
    object.set(id, ["content": "<x>"])
    let error = thrownError(TextError.self) {
      let settings = try TokenizerSettings(
        configuration: ["added_tokens_decoder": .object(object)], folder: "d/")
      var notes: [Note] = []
      return try Tokenizer(
        sentencePiece: TokenizerFixtures.bytes(TokenizerFixtures.own("spm-small.model")),
        prefix: .never, settings: settings, file: "m", notes: &notes)
    }
    #expect(try #require(error).description.hasPrefix("d/tokenizer_config.json: "))
  }

  @Test("vocab.json and merges.txt are what transformers makes of them")
  func merges() throws {
    let whole = try TokenizerFixtures.json(TokenizerFixtures.own("bytelevel-small.tokenizer.json"))
    let vocabulary = try #require(whole["model"]?["vocab"])
    let lines = try #require(whole["model"]?["merges"]?.arrayValue).map { merge in
      merge.stringValue ?? (merge.arrayValue ?? []).compactMap(\.stringValue).joined(separator: " ")
    }
    let merges = Array((["#version: 0.2"] + lines + [""]).joined(separator: "\n").utf8)
    func composed(_ kind: String) throws -> Tokenizer {
      let json = try TokenizerJSON.composed(
        vocabulary: vocabulary, merges: merges, kind: kind, prefixesSpace: false, file: "vocab.json"
      )
      return try Tokenizer(tokenizerJSON: json, file: "vocab.json")
    }
    let own = try TokenizerFixtures.byteLevelSmall()
    let text = "It's 123 e\u{301}<|endoftext|>\n\n x"
    let ids = try own.encode(text)
    #expect(try composed("GPT2Tokenizer").encode(text) == ids)
    #expect(try composed("Qwen2Tokenizer").encode("e\u{301}") == own.encode("\u{e9}"))
    let error = thrownError(TextError.self) { try composed("WhisperTokenizer") }
    #expect(error?.description.contains("WhisperTokenizer") == true)
    #expect(error?.description.contains("save_pretrained") == true)
  }
}
