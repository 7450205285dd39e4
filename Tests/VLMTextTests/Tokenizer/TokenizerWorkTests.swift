import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMText

/// Texts and files that would take hours if any stage took more than linear time.
@Suite struct TokenizerWorkTests {
  /// A byte-level tokenizer of single letters with more tokens.
  private func tokenizer(
    _ added: [(content: String, flags: AddedToken.Flags)],
    normalizations: [TextNormalization] = []
  ) throws -> Tokenizer {
    var parts = TokenizerParts(.byteMerges)
    for byte in 0..<256 { parts.append([UInt8(byte)], .normal) }
    for (index, token) in added.enumerated() {
      let isAdded = parts.add(
        AddedToken(id: 256 + index, flags: token.flags), token.content.utf8)
      #expect(isAdded)
    }
    parts.normalizations = normalizations
    return try Tokenizer(parts, file: "test")
  }

  private func letters(_ text: String, _ count: Int) -> String {
    String(repeating: text, count: count)
  }

  @Test("a long added token that nearly stands at every place")
  func longToken() throws {
    let count = 60_000
    let tokenizer = try tokenizer([(letters("a", count) + "b", []), ("aa", [])])
    let ids = try tokenizer.encode(letters("a", 3 * count) + letters("a", count) + "b")
    #expect(ids == [Int](repeating: 257, count: 3 * count / 2) + [256])
  }

  @Test("tokens of spaces that take the spaces behind them along")
  func spaces() throws {
    let count = 400_000
    for flags in [AddedToken.Flags.stripsRight, [.stripsRight, .stripsLeft], .singleWord] {
      let tokenizer = try tokenizer([(" ", flags)])
      let ids = try tokenizer.encode(letters(" ", count))
      #expect(ids == [Int](repeating: 256, count: count))
    }
  }

  @Test("hundreds of thousands of added tokens")
  func manyTokens() throws {
    let count = 300_000
    let list = (0..<count).map { number -> JSONValue in
      ["id": .int(256 + number), "content": .string("<\(number)>"), "special": true]
    }
    var vocabulary = JSONObject()
    for byte in 0..<256 {
      let piece = String(decoding: ByteLevelText.mappedCharacters(of: [UInt8(byte)]), as: UTF8.self)
      vocabulary.set(piece, .int(byte))
    }
    let json: JSONValue = [
      "added_tokens": .array(list + list), "pre_tokenizer": ["type": "ByteLevel"],
      "model": ["type": "BPE", "vocab": .object(vocabulary), "merges": []],
    ]
    let decoder = JSONValue.object(
      list.reduce(into: JSONObject()) { object, entry in
        object.set("\(entry["id"]?.intValue ?? 0)", entry)
      })
    let settings = try TokenizerSettings(
      configuration: [
        "added_tokens_decoder": decoder, "additional_special_tokens": .array(list),
      ], alongside: json)
    var notes: [Note] = []
    let tokenizer = try Tokenizer(
      tokenizerJSON: json, settings: settings, file: "test", notes: &notes)
    #expect(notes == [])
    let text = (0..<count).map { "<\($0)>" }.joined()
    #expect(try tokenizer.encode(text) == Array(256..<256 + count))
    #expect(tokenizer.decode([256, 257], skipsSpecial: false) == "<0><1>")
  }

  @Test("a hundred thousand ranges of message text, in text that is normalised")
  func manySaid() throws {
    let count = 100_000
    var prompt = PromptText()
    for _ in 0..<count {
      prompt.append("e\u{301}", isMessage: true)
      prompt.append("\u{302}é ")
    }
    prompt.append("<x>", isMessage: true)
    prompt.append("<x>")
    for normalizations: [TextNormalization] in [
      [.composed], [.decomposed, .lowercased], [.strippedRight],
    ] {
      let tokenizer = try tokenizer(
        [("<x>", [.special, .normalized])], normalizations: normalizations)
      let ids = try tokenizer.encode(prompt)
      #expect(ids.suffix(4) == [60, 120, 62, 256])
    }
    // Without a letter of ASCII between them.
    var marks = PromptText()
    for _ in 0..<count {
      marks.append("\u{301}", isMessage: true)
      marks.append("\u{302}")
    }
    marks.append("<x>")
    let tokenizer = try tokenizer([("<x>", [.special, .normalized])], normalizations: [.composed])
    #expect(try tokenizer.encode(marks).count > 4 * count)
  }

  @Test("a megabyte without a space, and one of spaces, in every kind of tokenizer")
  func megabyte() throws {
    let small = try TokenizerFixtures.spmSmall()
    for letter in ["a", " ", "\u{2581}", "\n"] {
      let text = letters(letter, 1_000_000)
      let ids = try small.encode(text, bos: false)
      #expect(letter != "a" || small.decodePlain(ids) == text)
      let bytes = try TokenizerFixtures.byteLevelSmall()
      #expect(try bytes.decode(bytes.encode(text)) == text)
    }
  }

  @Test("an expression that goes through all of the text at every place is an error")
  func expression() throws {
    var parts = TokenizerParts(.byteMerges)
    for byte in 0..<256 { parts.append([UInt8(byte)], .normal) }
    parts.steps = [.expression(try SplitExpression("(?:a|a)+b|a"))]
    let tokenizer = try Tokenizer(parts, file: "test")
    let error = thrownError(TextError.self) {
      try tokenizer.encode(letters("a", 1_000_000))
    }
    #expect(error?.problem == .steps)
  }
}

/// Fast algorithms, compared with simple ones.
@Suite struct TokenizerReferenceTests {
  private var random = SystemRandomNumberGenerator()

  /// A reference for `AddedTokens.split`, position by position.
  private func reference(
    _ tokens: [(token: AddedToken, content: [UInt8])], _ text: [UInt8], _ messages: [Range<Int>]
  ) -> [AddedTokens.Segment] {
    func isSpace(_ at: Int) -> Bool { text[at] == 0x20 }
    func isWord(_ at: Int) -> Bool { text.indices.contains(at) && text[at] != 0x20 }
    var segments: [AddedTokens.Segment] = []
    var (start, at) = (0, 0)
    while at < text.count {
      let fitting = tokens.filter { token, content in
        let range = at..<at + content.count
        return text[at...].starts(with: content)
          && (!token.flags.contains(.special) || !messages.contains { $0.overlaps(range) })
      }
      let longest = fitting.map(\.content.count).max() ?? 0
      guard let (token, content) = fitting.first(where: { $0.content.count == longest }) else {
        at += 1
        continue
      }
      let end = at + content.count
      if token.flags.contains(.singleWord), isWord(at - 1) || isWord(end) {
        at = end
        continue
      }
      var (first, last) = (at, end)
      while token.flags.contains(.stripsLeft), first > start, isSpace(first - 1) { first -= 1 }
      while token.flags.contains(.stripsRight), last < text.count, isSpace(last) { last += 1 }
      if first > start { segments.append(.text(start..<first)) }
      segments.append(.token(token.id))
      (start, at) = (last, end)
    }
    if start < text.count { segments.append(.text(start..<text.count)) }
    return segments
  }

  @Test("added tokens are found where a search at every place finds them")
  mutating func added() {
    let alphabet = Array("ab ".utf8)
    func word(_ length: Int) -> [UInt8] {
      (0..<length).map { _ in alphabet.randomElement(using: &random) ?? 0x61 }
    }
    for round in 0..<2000 {
      let tokens = (0..<Int.random(in: 0...6, using: &random)).map { id in
        (
          token: AddedToken(
            id: id, flags: .init(rawValue: UInt32.random(in: 0...15, using: &random))),
          content: word(Int.random(in: 1...5, using: &random))
        )
      }
      let text = word(Int.random(in: 0...60, using: &random))
      var messages: [Range<Int>] = []
      while (messages.last?.upperBound ?? 0) + 3 < text.count, round % 2 == 0 {
        let start = (messages.last?.upperBound ?? -1) + Int.random(in: 1...8, using: &random)
        messages.append(start..<start + Int.random(in: 1...4, using: &random))
      }
      #expect(
        AddedTokens(tokens).split(text, messages: messages) == reference(tokens, text, messages),
        "\(tokens) in \(text), messages \(messages)")
    }
  }

  @Test("offsets in normalised text equal the length of the normalised text before them")
  mutating func places() throws {
    let alphabet = [
      "a", " ", "e", "\u{301}", "\u{302}", "\u{327}", "é", "Å", "Σ", "한", "\u{11a8}", "B",
    ]
    for _ in 0..<500 {
      let scalars = (0..<Int.random(in: 0...30, using: &random)).map { _ in
        alphabet.randomElement(using: &random) ?? "a"
      }
      let text = Array(scalars.joined().utf8)
      let places = (0...scalars.count).map { scalars[..<$0].joined().utf8.count }
      for normalization in [TextNormalization.composed, .decomposed, .lowercased] {
        #expect(
          normalization.mapOffsets(places, in: text)
            == places.map { normalization(Array(text[..<$0])).count },
          "\(normalization): \(scalars)")
      }
      for flags in [TokenizerParts.Flags.removesExtraSpaces, []] {
        for hasPrefix in [true, false] {
          var parts = TokenizerParts(.scores)
          parts.flags = flags
          #expect(
            parts.marked(places, in: text, hasPrefix: hasPrefix)
              == places.map { parts.marked(Array(text[..<$0]), hasPrefix: hasPrefix).count },
            "\(scalars)")
        }
      }
    }
  }

  @Test("a long text that is merged in stretches has the ids of one that is merged as a whole")
  mutating func stretches() throws {
    let tokenizer = try TokenizerFixtures.spmSmall()
    #expect(tokenizer.spacesBeginPieces)
    let words = ["the", "and", "a", "dragon", " ", "  ", "was", "\u{2581}", "little"]
    let text = (0..<6000).map { _ in words.randomElement(using: &random) ?? " " }
      .joined(separator: " ")
    let marked = tokenizer.parts.marked(Array(text.utf8), hasPrefix: true)
    var symbols: [PairMerger.Symbol] = []
    var merger = PairMerger()
    let ids = marked.withUnsafeBytes { bytes -> [Int] in
      var at = 0
      while at < bytes.count {
        let end = at + UTF8Text.sequenceLength(bytes[at])
        symbols.append(
          .init(id: tokenizer.pieces.id(bytes, at..<end).map { Int32($0) } ?? -1, at..<end))
        at = end
      }
      merger.merge(
        &symbols, bytes,
        ScoreRule(
          pieces: tokenizer.pieces, scores: tokenizer.parts.scores, kinds: tokenizer.parts.kinds))
      return symbols.flatMap { symbol -> [Int] in
        tokenizer.pieces.id(bytes, symbol.range).map { [$0] }
          ?? bytes[symbol.range].map { Int(tokenizer.byteIDs[Int($0)]) }
      }
    }
    #expect(try tokenizer.encode(text, bos: false) == ids)
  }

  @Test("a text has no fewer ids than its length says")
  mutating func fewest() throws {
    for tokenizer in [
      try TokenizerFixtures.spmSmall(), try TokenizerFixtures.byteLevelSmall(),
    ] {
      for _ in 0..<200 {
        let text = (0..<Int.random(in: 1...100, using: &random)).map { _ in
          ["a", " ", "  ", "the ", "\u{3000}", "😀", "<s>"].randomElement(using: &random) ?? ""
        }.joined()
        guard let fewest = tokenizer.minimumTokenCount(byteCount: text.utf8.count) else { continue }
        #expect(try tokenizer.encode(text, bos: false, eos: false).count >= fewest)
      }
    }
    let least = try TokenizerFixtures.byteLevelSmall().minimumTokenCount(byteCount: 1 << 20)
    #expect(try #require(least) > 1000)
  }
}
