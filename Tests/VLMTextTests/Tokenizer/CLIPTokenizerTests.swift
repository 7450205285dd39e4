import Testing

@testable import VLMText

@Suite("CLIP's tokenizer")
struct CLIPTokenizerTests {
  private func tokenizer() throws -> Tokenizer {
    try Tokenizer(clipMerges: "#version: 0.2\nc a\nca t</w>\nd o\n", file: "merges.txt")
  }

  @Test("words are small, end in their own pieces, and stand between the two marks")
  func words() throws {
    let tokenizer = try tokenizer()
    #expect(tokenizer.count == 512 + 3 + 2)
    let (begin, end) = (515, 516)
    // The byte 'x' is piece x - 33, at the end of a word 256 more.
    let mark = 256 + 0
    #expect(try tokenizer.encode("  CAT \n cat!") == [begin, 513, 513, mark, end])
    #expect(try tokenizer.encode("do") == [begin, 100 - 33, 256 + 111 - 33, end])
    #expect(try tokenizer.decode(tokenizer.encode("a cat")) == "a cat ")
  }

  @Test("a context is padded with zeros, and cut with its end kept")
  func context() throws {
    let tokenizer = try tokenizer()
    let short = try tokenizer.encodePadded("cat")
    #expect(short.count == 77)
    #expect(short.prefix(4) == [515, 513, 516, 0])
    let long = try tokenizer.encodePadded(String(repeating: "cat ", count: 200))
    #expect(long.count == 77)
    #expect(long[75] == 513)
    #expect(long[76] == 516)
  }

  @Test("a merge of pieces that are not there is refused with its line")
  func badMerge() {
    #expect(throws: TextError.self) {
      try Tokenizer(clipMerges: "title\nzz y\n", file: "merges.txt")
    }
  }
}
