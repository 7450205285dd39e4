import Testing
import VLMTestSupport

@testable import VLMText

/// What somebody said is text, whatever marks it spells.
@Suite("Prompts and what is said in them")
struct PromptTextTests {
  private func prompt(_ parts: (String, Bool)...) -> PromptText {
    var prompt = PromptText()
    for (text, isSaid) in parts { prompt.append(text, isSaid: isSaid) }
    return prompt
  }

  @Test("without special tokens in it, what is said makes no difference to the ids")
  func same() throws {
    for tokenizer in [
      try TokenizerFixtures.spmSmall(.firstSegment), try TokenizerFixtures.byteLevelSmall(),
    ] {
      let parts = prompt(("</s> a qu", false), ("estion, and more </", true), ("p>", false))
      let (said, whole) = (try tokenizer.encode(parts), try tokenizer.encode(parts.text))
      #expect(said == whole)
    }
  }

  @Test("a special token that is said, wholly or in part, is spelled; the frame's are tokens")
  func special() throws {
    for tokenizer in [try TokenizerFixtures.spmSmall(), try TokenizerFixtures.spmSmall(.never)] {
      let end = try #require(tokenizer.id(of: "</s>"))
      func count(_ parts: (String, Bool)...) throws -> Int {
        var prompt = PromptText()
        for (text, isSaid) in parts { prompt.append(text, isSaid: isSaid) }
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

  @Test("a special token that is looked for in the changed text is spelled where it is said")
  func changed() throws {
    var parts = TokenizerParts(.characterMerges)
    for (piece, kind) in [
      ("<unk>", PieceKind.unknown), ("<", .normal), ("x", .normal), (">", .normal),
      ("\u{2581}", .normal), ("<x>", .control),
    ] { parts.append(piece.utf8, kind) }
    parts.unknown = 0
    parts.added = [AddedToken(id: 5, flags: [.special, .changed])]
    let tokenizer = try Tokenizer(parts, file: "f")
    #expect(try tokenizer.encode(prompt(("<x> <x>x", false))) == [5, 4, 5, 2])
    #expect(try tokenizer.encode(prompt(("<x> ", false), ("<x>x", true))) == [5, 4, 1, 2, 3, 2])
    #expect(try tokenizer.encode(prompt(("x <x>", true), ("<x>", false))) == [2, 4, 1, 2, 3, 5])
  }

  @Test("a token of no special meaning is one in what is said, too")
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

  @Test("a mark of a picture is one in the frame, and text where somebody said it")
  func pictures() {
    let both = prompt(("<image>", false), (" and <image>", true), ("<im", false), ("age>", true))
    #expect(ImagePrompt.count(both) == 1)
    let question = PromptText.withPictures("<image>\nWhat is <b>?")
    #expect(ImagePrompt.count(question) == 1)
    #expect(question.said == [7..<20])
    #expect(ImagePrompt.count(both.parsingSpecial()) == 1)
    #expect(both.parsingSpecial().said == [12..<26])
  }

  @Test("a stretch of a prompt knows what was said in it")
  func stretches() {
    let whole = prompt(("ab", false), ("cdef", true), ("gh", false))
    #expect(whole[1..<4].text == "bcd")
    #expect(whole[1..<4].said == [1..<3])
    #expect(whole[6..<8].said.isEmpty)
    var joined = prompt(("x", true))
    joined.append(whole)
    #expect(joined.said == [0..<1, 3..<7])
  }
}
