import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMText

/// Equality with the ids and texts of the reference libraries.
@Suite("Tokenizer goldens")
struct TokenizerGoldenTests {
  @Test("a small SentencePiece model gives the references' ids and texts")
  func small() throws {
    try checkSentencePiece(
      TokenizerFixtures.own("spm-small-ids.json"), TokenizerFixtures.own("spm-small.model"))
  }

  @Test(
    "LLaMA's own gives the references' ids and texts",
    .enabled(if: TokenizerFixtures.hasLlama, TokenizerFixtures.llamaReason))
  func llama() throws {
    try checkSentencePiece(
      TokenizerFixtures.shared("tokenizer/llama-ids.json"),
      TokenizerFixtures.shared("tokenizer/llama/tokenizer.model"))
  }

  @Test(
    "byte-level tokenizers give the reference's ids and texts",
    arguments: [("bytelevel-small", 200), ("smollm2", 204)])
  func byteLevel(_ name: String, _ count: Int) throws {
    try checkByteLevel(
      TokenizerFixtures.own("\(name)-ids.json"), count: count,
      TokenizerFixtures.own("\(name).tokenizer.json"))
  }

  private func checkSentencePiece(_ goldenPath: String, _ modelPath: String) throws {
    let golden = try TokenizerGolden(goldenPath)
    let strings = try golden.strings("strings")
    #expect(strings.count == 200)
    let bytes = try TokenizerFixtures.bytes(modelPath)
    let legacy = try Tokenizer(sentencePiece: bytes, prefix: .everySegment, file: modelPath)
    let modern = try Tokenizer(sentencePiece: bytes, prefix: .firstSegment, file: modelPath)
    let stripped = try Tokenizer(
      sentencePiece: bytes, prefix: .strippedAfterFirst, file: modelPath)

    let plain = try golden.ids("spm_ids")
    let plainText = try golden.strings("spm_decoded")
    let ids = try golden.ids("hf_legacy_ids")
    let modernIDs = try golden.ids("hf_nonlegacy_ids")
    let older = try golden.ids(
      "hf_legacy_ids", changed: "hf_legacy_ids_in_transformers_4.31.0_where_different")
    let olderModern = try golden.ids(
      "hf_nonlegacy_ids", changed: "hf_nonlegacy_ids_in_transformers_4.31.0_where_different")
    for (index, string) in strings.enumerated() {
      #expect(try legacy.encode(string, bos: false, parsesSpecial: false) == plain[index])
      #expect(legacy.decodePlain(plain[index]) == plainText[index])
      #expect(try legacy.encode(string) == ids[index])
      #expect(try legacy.encode(string) == older[index])
      #expect(try modern.encode(string) == modernIDs[index])
      #expect(try stripped.encode(string) == olderModern[index])
    }
    try checkTexts(golden, legacy, ids, "hf_legacy_decoded")
    try checkTexts(golden, modern, modernIDs, "hf_nonlegacy_decoded")
  }

  private func checkByteLevel(_ goldenPath: String, count: Int, _ modelPath: String) throws {
    let golden = try TokenizerGolden(goldenPath)
    let strings = try golden.strings("strings")
    #expect(strings.count == count)
    let tokenizer = try Tokenizer(
      tokenizerJSON: TokenizerFixtures.bytes(modelPath), file: modelPath)
    let ids = try golden.ids("ids")
    for (index, string) in strings.enumerated() {
      #expect(try tokenizer.encode(string) == ids[index])
    }
    try checkTexts(golden, tokenizer, ids, "decoded")
  }

  private func checkTexts(
    _ golden: TokenizerGolden, _ tokenizer: Tokenizer, _ ids: [[Int]], _ key: String
  ) throws {
    let texts = try golden.strings(key)
    let bare = try golden.strings(key + "_skip_special")
    for (index, ids) in ids.enumerated() {
      #expect(tokenizer.decode(ids, skipsSpecial: false).hasSameBytes(as: texts[index]))
      #expect(tokenizer.decode(ids).hasSameBytes(as: bare[index]))
    }
  }
}
