import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMText

/// Cases without goldens: streams, long texts, malicious files, files of other formats.
@Suite("Tokenizers")
struct TokenizerTests {
  @Test("a stream gives the text that decoding at once gives, and never half a character")
  func stream() throws {
    let text = "Grüße 日本語 🌋👩‍👩‍👧 \u{301}x\n  two"
    for tokenizer in [
      try TokenizerFixtures.spmSmall(.firstSegment), try TokenizerFixtures.byteLevelSmall(),
    ] {
      let ids = try tokenizer.encode(text, bos: false)
      var stream = tokenizer.stream()
      var pieces = ids.map { stream.append($0) }
      pieces.append(stream.finish())
      #expect(pieces.joined().hasSameBytes(as: text))
      #expect(pieces.allSatisfy { !$0.unicodeScalars.contains("\u{fffd}") })
      #expect(pieces.contains(""))
    }
  }

  @Test("bytes that are no character become U+FFFD, one per byte or per part as the references do")
  func invalidBytes() throws {
    let spm = try TokenizerFixtures.spmSmall()
    let bytes = try [0xf0, 0x9f, 0x98].map { byte in
      try #require(spm.id(of: "<0x\(String(byte, radix: 16, uppercase: true))>"))
    }
    #expect(spm.decodePlain(bytes) == "\u{fffd}\u{fffd}\u{fffd}")
    var assembler = TextAssembler(replacesEachByte: false)
    assembler.appendPart([0xf0, 0x9f, 0x98])
    #expect(assembler.take() == "")
    assembler.appendPart([0x41, 0xed, 0xa0, 0xe2, 0x82])
    #expect(assembler.take() == "\u{fffd}A\u{fffd}\u{fffd}")
    #expect(assembler.finish() == "\u{fffd}")
  }

  @Test("a long run of one character is encoded in time that grows with its length")
  func longText() throws {
    for tokenizer in [
      try TokenizerFixtures.spmSmall(), try TokenizerFixtures.byteLevelSmall(),
    ] {
      for text in ["a", " ", "<"] {
        let long = String(repeating: text, count: 200_000)
        let ids = try tokenizer.encode(long, bos: false)
        #expect(tokenizer.decodePlain(ids).utf8.count == 200_000)
      }
    }
  }

  @Test("a piece marked unused stands for the two that made it")
  func unusedPieces() throws {
    var parts = TokenizerParts(.scores)
    for (piece, kind) in [
      ("<unk>", PieceKind.unknown), ("a", .normal), ("b", .normal), ("ab", .unused),
      ("c", .normal), ("abc", .normal),
    ] {
      parts.append(piece.utf8, kind)
      parts.scores.append(-Float(parts.scores.count))
    }
    parts.unknown = 0
    parts.flags = .fusesUnknown
    let tokenizer = try Tokenizer(parts, file: "test")
    #expect(try tokenizer.encode("abc") == [5])
    #expect(try tokenizer.encode("ab") == [1, 2])
    #expect(try tokenizer.encode("aba") == [1, 2, 1])
    #expect(try tokenizer.encode("axyzb") == [1, 0, 2])
  }

  @Test("user-defined pieces are cut out before merging")
  func userDefined() throws {
    var parts = TokenizerParts(.scores)
    for (piece, kind) in [
      ("<unk>", PieceKind.unknown), ("a", .normal), ("<x>", .userDefined), ("aa", .normal),
      ("<", .normal),
    ] {
      parts.append(piece.utf8, kind)
      parts.scores.append(0)
    }
    parts.unknown = 0
    let tokenizer = try Tokenizer(parts, file: "test")
    #expect(try tokenizer.encode("a<x>aa<") == [1, 2, 3, 4])
  }

  @Test("models of another kind are refused by name")
  func otherModels() throws {
    let piece: [UInt8] = [0x0a, 0x03, 0x0a, 0x01, 0x61]
    func message(_ rest: [UInt8]) -> String? {
      thrownError(TextError.self) {
        try Tokenizer(sentencePiece: piece + rest, file: "tokenizer.model")
      }?.description
    }
    #expect(
      message([0x12, 0x02, 0x18, 0x03])
        == "tokenizer.model: model type: word is not supported")
    #expect(
      message(
        [0x12, 0x02, 0x18, 0x02, 0x1a, 0x0b, 0x0a, 0x06] + Array("nmt_nf".utf8) + [
          0x12, 0x01, 0x00,
        ])
        == "tokenizer.model: normalizer: the character map of 'nmt_nf' is not supported")
  }

  @Test("no cut or damaged SentencePiece model traps")
  func damagedModel() throws {
    let bytes = try TokenizerFixtures.bytes(TokenizerFixtures.own("spm-small.model"))
    for count in stride(from: 0, to: bytes.count, by: 97) {
      _ = try? Tokenizer(sentencePiece: Array(bytes[..<count]), file: "m")
    }
    var read = 0
    for index in stride(from: 0, to: bytes.count, by: 61) {
      var damaged = bytes
      damaged[index] ^= 0xff
      guard let tokenizer = try? Tokenizer(sentencePiece: damaged, file: "m") else { continue }
      read += 1
      #expect(try tokenizer.decode(tokenizer.encode("a b")).utf8.count < 100)
    }
    #expect(read > 10)
    let huge: [UInt8] = [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]
    let error = thrownError(TextError.self) { try Tokenizer(sentencePiece: huge, file: "m") }
    #expect(try #require(error).description.contains("expected a SentencePiece model"))
  }

  @Test("merges may stand as pairs, and words may skip them")
  func pairs() throws {
    let json = """
      {"model": {"type": "BPE", "ignore_merges": true,
       "vocab": {"a": 0, "b": 1, "ab": 2, "\u{120}": 3, "ba": 4, "aba": 5},
       "merges": [["a", "b"]]},
       "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}}
      """
    let tokenizer = try Tokenizer(tokenizerJSON: Array(json.utf8), file: "t")
    #expect(try tokenizer.encode("aba") == [5])
    #expect(try tokenizer.encode("abab") == [2, 2])
  }

  @Test("BERT's and RoBERTa's post-processors put their tokens at both ends")
  func ends() throws {
    for type in ["RobertaProcessing", "BertProcessing"] {
      let json = """
        {"model": {"vocab": {"a": 0, "<s>": 1, "</s>": 2}, "merges": []},
         "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
         "post_processor": {"type": "\(type)", "sep": ["</s>", 2], "cls": ["<s>", 1]}}
        """
      let tokenizer = try Tokenizer(tokenizerJSON: Array(json.utf8), file: "t")
      #expect(try tokenizer.encode("aa") == [1, 0, 0, 2])
    }
  }

  @Test("text of a GGUF file's Qwen 2 is composed first, as its tokenizer.json says")
  func qwenGGUF() throws {
    let metadata: [String: JSONValue] = [
      "model": "gpt2", "pre": "qwen2", "tokens": ["e", "\u{cc}", "\u{123}", "\u{c3}", "\u{a9}"],
      "merges": [],
    ]
    for (pre, ids) in [("qwen2", [3, 4]), ("llama-bpe", [0, 1, 2])] {
      var notes: [Note] = []
      let tokenizer = try Tokenizer(
        ggufMetadata: { key in
          key == "tokenizer.ggml.pre"
            ? .string(pre) : metadata[String(key.dropFirst("tokenizer.ggml.".count))]
        }, file: "t", notes: &notes)
      #expect(try tokenizer.encode("e\u{301}") == ids)
    }
  }

  @Test("a converted LLaMA tokenizer.json works like its SentencePiece model")
  func convertedSentencePiece() throws {
    let bytes = (0..<256).map { byte in
      let hex = String(byte, radix: 16, uppercase: true)
      return "\"<0x\(hex.count == 1 ? "0" : "")\(hex)>\": \(byte + 3)"
    }
    let json = """
      {"added_tokens": [{"id": 1, "content": "<s>", "special": true},
                        {"id": 2, "content": "</s>", "special": true}],
       "normalizer": {"type": "Sequence", "normalizers": [
         {"type": "Prepend", "prepend": "\u{2581}"},
         {"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"}]},
       "post_processor": {"type": "TemplateProcessing",
         "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A"}}],
         "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
       "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
         "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, \(bytes.joined(separator: ", ")),
                   "\u{2581}": 259, "a": 260, "\u{2581}a": 261, "b": 262, "ab": 263},
         "merges": ["\u{2581} a", "a b"]}}
      """
    let tokenizer = try Tokenizer(tokenizerJSON: Array(json.utf8), file: "t")
    #expect(try tokenizer.encode("a ab</s>b") == [1, 261, 261, 262, 2, 259, 262])
    #expect(try tokenizer.encode("\u{e9}") == [1, 259, 0xc3 + 3, 0xa9 + 3])
    #expect(tokenizer.decode([1, 261, 0xc3 + 3, 0xa9 + 3, 263]) == "a\u{e9}ab")
  }

  @Test("parts of a tokenizer.json that are not known are refused by name")
  func unknownParts() {
    func message(_ json: String) -> String? {
      thrownError(TextError.self) {
        try Tokenizer(tokenizerJSON: Array(json.utf8), file: "t.json")
      }?.description
    }
    #expect(
      message(#"{"model": {"type": "WordPiece"}}"#)
        == "t.json: model: type 'WordPiece' is not supported")
    #expect(
      message(
        #"{"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "x+"}}, "model": {"vocab": {}}}"#
      )
        == "t.json: pre_tokenizer: words of characters is not supported")
    #expect(
      message(#"{"normalizer": {"type": "NFKC"}, "model": {"vocab": {}}}"#)
        == "t.json: normalizer: type 'NFKC' is not supported")
    #expect(
      message(
        #"{"normalizer": {"type": "Prepend", "prepend": "x"}, "model": {"vocab": {}}}"#
      )?.hasSuffix(#"normalizer: {"type":"Prepend","prepend":"x"} is not supported"#) == true)
    #expect(
      message(
        #"""
        {"normalizer": {"type": "Sequence", "normalizers": [
           {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}, {"type": "NFC"}]},
         "model": {"vocab": {}}}
        """#) == "t.json: normalizer: 'NFC' after spaces are marked is not supported")
    #expect(
      message(#"{"model": {"vocab": {"a": 0}, "merges": []}}"#)
        == "t.json: normalizer: text whose spaces are not marked is not supported")
    #expect(
      message(
        #"""
        {"pre_tokenizer": {"type": "Split", "pattern": {"String": " "}}, "model": {"vocab": {}}}
        """#) == "t.json: pre_tokenizer: words of characters is not supported")
    #expect(
      message(
        #"""
        {"pre_tokenizer": {"type": "ByteLevel"}, "model": {"vocab": {"a": 0, "b": 1}, "merges": []},
         "post_processor": {"type": "TemplateProcessing", "single": [
           {"SpecialToken": {"id": "a"}}, {"SpecialToken": {"id": "b"}}, {"Sequence": {"id": "A"}}]}}
        """#)
        == "t.json: post_processor: more than one token at one end of a text is not supported")
    #expect(
      message(#"{"model": {"vocab": {"a": 0, "b": 0}, "merges": []}}"#)
        == "t.json: model: vocab: 'b': found id 0 again, expected each id once")
    #expect(
      message(#"{"model": {"vocab": {"a": 99999999}, "merges": []}}"#)?.contains("an id below")
        == true)
  }

  @Test("GPT-2's, LLaMA 3's and Qwen 2's expressions cut text into these words")
  func words() {
    func words(_ pattern: TextPattern, _ text: String) -> [String] {
      let bytes = Array(text.utf8)
      let ranges = bytes.withUnsafeBytes { pattern.words(ClassifiedText($0, 0..<$0.count)) }
      return ranges.map { String(decoding: bytes[$0], as: UTF8.self) }
    }
    #expect(
      words(.gpt2, "I'll  go 12345!!\n\n x") == [
        "I", "'ll", " ", " go", " 12345", "!!", "\n\n", " x",
      ])
    #expect(
      words(.llama3, "I'LL  go 12345!!\n\n x\u{3000}é") == [
        "I", "'LL", " ", " go", " ", "123", "45", "!!\n\n", " x", "\u{3000}é",
      ])
    #expect(words(.qwen2, "a 123 \n b's") == ["a", " ", "1", "2", "3", " \n", " b", "'s"])
    #expect(words(.clip, "it's 12 ok!? 3") == ["it", "'s", "1", "2", "ok", "!?", "3"])
  }
}
