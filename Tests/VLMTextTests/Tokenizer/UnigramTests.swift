import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMText

/// Unigram models, character maps, and what is done to SigLIP's texts before.
struct UnigramTests {
  private static func bytes(_ name: String) throws -> [UInt8] {
    try TokenizerFixtures.bytes(TestFiles.fixture("siglip/" + name))
  }

  /// The pieces of `Tests/Fixtures/siglip`, with nothing done to a text before.
  private static func plain() throws -> Tokenizer {
    try Tokenizer(sentencePiece: bytes("joint/spiece.model"), file: "spiece.model")
  }

  @Test("pieces are those of the highest sum, an unknown run is one, and spaces are collapsed")
  func pieces() throws {
    let tokenizer = try Self.plain()
    // As SentencePiece's own encoder cuts them.
    for (text, pieces) in [
      (" two", ["▁t", "w", "o"]), ("a  b", ["▁a", "▁b"]), ("▁two", ["▁", "▁t", "w", "o"]),
      ("a▁ b", ["▁a", "▁", "▁b"]), ("two\u{200b} \u{200b}z", ["▁t", "w", "o", "▁", "<unk>"]),
      ("猫猫", ["▁", "<unk>"]),
    ] {
      let ids = try tokenizer.encode(text, bos: false, eos: false)
      #expect(ids.compactMap(tokenizer.piece) == pieces, "'\(text)'")
    }
  }

  @Test("a map replaces the longest string at each place")
  func map() throws {
    let map = try #require(try Self.plain().parts.characterMap)
    for (text, mapped) in [
      ("cafe\u{301}", "caf\u{e9}"), ("\u{ff26}\u{fb01}x", "Ffix"), ("so\u{ad}ft", "soft"),
      ("\u{2026}", "..."), ("e", "e"), ("", ""),
    ] {
      #expect(map(Array(text.utf8)) == Array(mapped.utf8), "'\(text)'")
    }
  }

  @Test("bytes that are no map are refused, and a damaged one leads nowhere")
  func damaged() throws {
    let map = try #require(try Self.plain().parts.characterMap)
    for cut in [0, 4, 8] { #expect(CharacterMap(Array(map.bytes.prefix(cut))) == nil) }
    let text = Array("cafe\u{301} \u{ff26}\u{2026}".utf8)
    var read = 0
    for place in stride(from: 4, to: map.bytes.count, by: 7) {
      var bytes = map.bytes
      bytes[place] ^= 0xff
      guard let other = CharacterMap(bytes) else { continue }
      read += 1
      let mapped = other(text)
      #expect(Array(String(decoding: mapped, as: UTF8.self).utf8) == mapped)
    }
    #expect(read > 10)
  }

  @Test("SigLIP's texts lose punctuation, capitals and spaces")
  func canonical() {
    func canonical(_ text: String, lowers: Bool = true) -> String {
      String(decoding: CanonicalText.canonical(Array(text.utf8), lowers: lowers), as: UTF8.self)
    }
    #expect(canonical("This is a (photo) of A CAT.\n") == "this is a photo of a cat")
    #expect(canonical("a\u{3000} -  b") == "a b")
    #expect(canonical("\u{391}\u{3a3} \u{3a3}") == "\u{3b1}\u{3c2} \u{3c3}")
    #expect(canonical("A.B", lowers: false) == "AB")
    #expect(canonical("«A»") == "«a»")
  }

  @Test("what a section says is read again, with version 3 where it is needed")
  func section() throws {
    var notes: [Note] = []
    let settings = try TokenizerSettings(
      configuration: ["padding_side": "left", "tokenizer_class": "SiglipTokenizer"])
    let tokenizer = try Tokenizer(
      siglip: Self.bytes("joint/spiece.model"), lowers: true, settings: settings.padding,
      file: "spiece.model", notes: &notes)
    #expect(notes.isEmpty && tokenizer.eos == 1 && tokenizer.pad == 1)
    let bytes = tokenizer.serialized()
    #expect(bytes[0] == 3)
    let read = try Tokenizer(container: bytes, file: "x")
    let ids = try read.encodePadded("A cat!", length: 6, ends: nil)
    #expect(ids == [1, 1, 1, 3, 32, 1])
    #expect(read.serialized() == bytes)
    // The same flags in an older version are refused.
    var old = bytes
    old[0] = 2
    #expect(throws: TextError.self) { try Tokenizer(container: old, file: "x") }
  }

  @Test("a text of many pieces is cut in time that grows with its length")
  func long() throws {
    let tokenizer = try Self.plain()
    let text = String(repeating: "a photo of two cats ", count: 20_000)
    let ids = try tokenizer.encode(text, bos: false, eos: false)
    #expect(ids.count > 100_000)
    #expect(Array(ids[..<40]) == Array(ids[ids.count / 20_000 * 10..<ids.count / 20_000 * 10 + 40]))
  }
}
