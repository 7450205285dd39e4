import Testing
import VLMTestSupport

@testable import VLMText

/// Message text is plain text, even if it spells special tokens.
@Suite("Prompts and message text")
struct PromptTextTests {
  private func prompt(_ parts: (String, Bool)...) -> PromptText {
    var prompt = PromptText()
    for (text, isMessage) in parts { prompt.append(text, isMessage: isMessage) }
    return prompt
  }

  @Test("a prompt is cut behind its last message, whose outer space a template may have removed")
  func cutBehindMessage() {
    let written = prompt(
      ("user ", false), ("a", true), ("</s>bot ", false), ("b c", true), ("</s>", false))
    #expect(written.cut(behind: "b c")?.text == "user a</s>bot b c")
    #expect(written.cut(behind: " b c\n")?.text == "user a</s>bot b c")
    #expect(written.cut(behind: "b c")?.messageRanges == [5..<6, 14..<17])
    // Only a part of it, another one, or nothing.
    #expect(written.cut(behind: "a b c") == nil)
    #expect(written.cut(behind: "a") == nil)
    #expect(written.cut(behind: "  ") == nil)
    #expect(prompt(("bot ", false)).cut(behind: "bot ") == nil)
  }

  @Test("message text without special tokens gives the same ids as template text")
  func same() throws {
    for tokenizer in [
      try TokenizerFixtures.spmSmall(.firstSegment), try TokenizerFixtures.byteLevelSmall(),
    ] {
      let parts = prompt(("</s> a qu", false), ("estion, and more </", true), ("p>", false))
      let (parted, whole) = (try tokenizer.encode(parts), try tokenizer.encode(parts.text))
      #expect(parted == whole)
    }
  }

  @Test(
    "a special token wholly or partly in message text is plain text, one in the template a token")
  func special() throws {
    for tokenizer in [try TokenizerFixtures.spmSmall(), try TokenizerFixtures.spmSmall(.never)] {
      let end = try #require(tokenizer.id(of: "</s>"))
      func count(_ parts: (String, Bool)...) throws -> Int {
        var prompt = PromptText()
        for (text, isMessage) in parts { prompt.append(text, isMessage: isMessage) }
        let ids = try tokenizer.encode(prompt, bos: false)
        return ids.count { $0 == end }
      }
      #expect(try count(("a</s>b", false)) == 1)
      #expect(try count(("a</s>b", true)) == 0)
      #expect(try count(("a</", false), ("s>b", true)) == 0)
      #expect(try count(("a</s", true), (">b", false)) == 0)
      #expect(try count(("a", true), ("</s>", false), ("b</s>", true), ("</s>", false)) == 2)
    }
  }

  @Test("a special token searched in normalised text is plain text in a message")
  func normalized() throws {
    var parts = TokenizerParts(.characterMerges)
    for (piece, kind) in [
      ("<unk>", PieceKind.unknown), ("<", .normal), ("x", .normal), (">", .normal),
      ("\u{2581}", .normal), ("<x>", .control),
    ] { parts.append(piece.utf8, kind) }
    parts.unknown = 0
    parts.added = [AddedToken(id: 5, flags: [.special, .normalized])]
    let tokenizer = try Tokenizer(parts, file: "f")
    #expect(try tokenizer.encode(prompt(("<x> <x>x", false))) == [5, 4, 5, 2])
    #expect(try tokenizer.encode(prompt(("<x> ", false), ("<x>x", true))) == [5, 4, 1, 2, 3, 2])
    #expect(try tokenizer.encode(prompt(("x <x>", true), ("<x>", false))) == [2, 4, 1, 2, 3, 5])
  }

  @Test("an added token that is not special is recognised in message text, too")
  func ordinary() throws {
    var parts = TokenizerParts(.byteMerges)
    for byte in 0..<256 { parts.append([UInt8(byte)], .normal) }
    parts.append("<think>".utf8, .normal)
    parts.append("<end>".utf8, .control)
    parts.added = [
      AddedToken(id: 256, flags: []), AddedToken(id: 257, flags: [.special]),
    ]
    let tokenizer = try Tokenizer(parts, file: "f")
    let ids = try tokenizer.encode(prompt(("<end><think>", false), ("<end><think>", true)))
    #expect(ids == [257, 256] + "<end>".utf8.map { Int($0) } + [256])
  }

  @Test("an image placeholder counts in the template, and is plain text in a message")
  func pictures() {
    let both = prompt(("<image>", false), (" and <image>", true), ("<im", false), ("age>", true))
    #expect(ImagePrompt.count(both) == 1)
    let question = PromptText.messageWithImages("<image>\nWhat is <b>?")
    #expect(ImagePrompt.count(question) == 1)
    #expect(question.messageRanges == [7..<20])
    #expect(ImagePrompt.count(both.parsingSpecial()) == 1)
    #expect(both.parsingSpecial().messageRanges == [12..<26])
  }

  @Test("a part of a prompt keeps its message ranges")
  func stretches() {
    let whole = prompt(("ab", false), ("cdef", true), ("gh", false))
    #expect(whole[1..<4].text == "bcd")
    #expect(whole[1..<4].messageRanges == [1..<3])
    #expect(whole[6..<8].messageRanges.isEmpty)
    var joined = prompt(("x", true))
    joined.append(whole)
    #expect(joined.messageRanges == [0..<1, 3..<7])
  }
}
