import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMText

struct GrammarConstraintTests {
  private static let texts = WalkVocabulary.texts
  private static let end = WalkVocabulary.end

  private static let grammars = [
    "root ::= [a-z]+ (\" \" [a-z]+)* \".\"",
    "root ::= \"[\" (root (\",\" root)*)? \"]\" | word\nword ::= [a-c]+ | \"é\" | \"日\"? [🦙x]{0,3}",
    "root ::= .*", "root ::= s\ns ::= \"a\" s \"b\" | \"a\" s \"n\" | text\ntext ::= [^a]*",
    "root ::= \"{\" pair* \"}\"\npair ::= \"\\\"\" char* \"\\\":\" root ws\nchar ::= [^\"\\\\]\nws ::= [ \\n]*",
  ]

  @Test("the mask has exactly the tokens with which the text can go on")
  func masks() throws {
    var checked = 0
    for source in Self.grammars {
      let grammar = try Grammar(gbnf: source)
      let matcher = GrammarMatcher(grammar, WalkVocabulary.vocabulary())
      var states = GrammarStates(grammar.automaton)
      var random = SplitMix64(seed: 1)
      for _ in 0..<6 {
        var constraint = matcher.constraint(endTokens: [Self.end])
        var set = states.start()
        var mask = TokenMask(count: Self.texts.count)
        for _ in 0..<40 where !constraint.isComplete {
          constraint.allowed(into: &mask)
          var allowed: [Int] = []
          for (token, text) in Self.texts.enumerated() {
            var next = set
            for byte in text where next != StackSets.none { next = states.step(next, byte) }
            let isAllowed =
              token == Self.end ? states.stacks[set].hasEmpty : next != StackSets.none
            #expect(mask.contains(token) == isAllowed, "\(source): token \(token)")
            if mask.contains(token), token != Self.end { allowed.append(token) }
            checked += 1
          }
          guard !allowed.isEmpty else { break }
          let token = allowed[Int(random.next() % UInt64(allowed.count))]
          constraint.accept(token)
          for byte in Self.texts[token] { set = states.step(set, byte) }
        }
      }
    }
    #expect(checked > 100_000)
  }

  @Test("tokens may split a character, and nothing else may come inside it")
  func splitCharacters() throws {
    let matcher = GrammarMatcher(try Grammar(gbnf: "root ::= [é🦙]+"), WalkVocabulary.vocabulary())
    var constraint = matcher.constraint(endTokens: [Self.end])
    var mask = TokenMask(count: Self.texts.count)
    func allowed() -> Set<Int> {
      constraint.allowed(into: &mask)
      return Set(Self.texts.indices.filter { mask.contains($0) })
    }
    let whole = Set(["é", "🦙"].compactMap { text in Self.texts.firstIndex(of: Array(text.utf8)) })
    #expect(allowed() == whole.union([0xc3, 0xf0]))
    for (byte, next) in [(0xf0, 0x9f), (0x9f, 0xa6), (0xa6, 0x99)] {
      constraint.accept(byte)
      #expect(allowed() == [next])
      #expect(!constraint.canEnd)
    }
    constraint.accept(0x99)
    #expect(constraint.canEnd)
    #expect(allowed() == whole.union([0xc3, 0xf0, Self.end]))
  }

  @Test(
    "the end is allowed where the grammar may end, and a text with nothing to follow is complete")
  func ends() throws {
    let matcher = GrammarMatcher(
      try Grammar(gbnf: "root ::= \"ab\" \"c\"?"), WalkVocabulary.vocabulary())
    var constraint = matcher.constraint(endTokens: [Self.end])
    var mask = TokenMask(count: Self.texts.count)
    constraint.allowed(into: &mask)
    #expect(!mask.contains(Self.end) && !constraint.isComplete)
    constraint.accept(0x61)
    constraint.accept(0x62)
    #expect(!constraint.isComplete)
    constraint.allowed(into: &mask)
    #expect(mask.memberCount == 2 && mask.contains(Self.end) && mask.contains(0x63))
    var other = constraint
    other.accept(Self.end)
    #expect(other.isComplete)
    constraint.accept(0x63)
    #expect(constraint.isComplete)
    // What was not allowed leads nowhere.
    var wrong = matcher.constraint(endTokens: [Self.end])
    wrong.accept(0x78)
    wrong.allowed(into: &mask)
    #expect(mask.isEmpty && !wrong.isComplete)
  }

  @Test("a space that is left out at the start of a text may be written or not")
  func firstSpace() throws {
    let texts: [[UInt8]] = [" ", " a", "a", " b", "b", " ", "  a"].map { Array($0.utf8) }
    let vocabulary = TokenVocabulary(texts: texts, spaceBytes: [5])
    let matcher = GrammarMatcher(try Grammar(gbnf: "root ::= \"a\" \" \"? \"b\""), vocabulary)
    var constraint = matcher.constraint(endTokens: [], skipsSpace: true)
    var mask = TokenMask(count: texts.count)
    func allowed() -> [Int] {
      constraint.allowed(into: &mask)
      return texts.indices.filter { mask.contains($0) }
    }
    #expect(allowed() == [0, 1, 2])
    constraint.accept(1)
    #expect(allowed() == [0, 3, 4, 5])
    constraint.accept(0)
    #expect(allowed() == [4])
    constraint = matcher.constraint(endTokens: [], skipsSpace: true)
    constraint.accept(0)
    #expect(allowed() == [2])
    constraint = matcher.constraint(endTokens: [])
    #expect(allowed() == [2])
  }

  @Test("the bytes of tokens are what decoding shows of them, for each kind of tokenizer")
  func tokenBytes() throws {
    for tokenizer in [try TokenizerFixtures.spmSmall(), try TokenizerFixtures.byteLevelSmall()] {
      let vocabulary = TokenVocabulary(tokenizer)
      #expect(vocabulary.count == tokenizer.count)
      for text in ["Hello,  wörld 123's\n\t🦙 日本語", "{\"a\": [1, 2]}"] {
        let ids = try tokenizer.encode(text, bos: false, eos: false)
        let bytes = ids.flatMap { Array(vocabulary.bytes(of: $0)) }
        let shown = String(decoding: bytes, as: UTF8.self)
        #expect(shown == (tokenizer.isSpaced ? " " : "") + text)
      }
      for id in 0..<tokenizer.count where tokenizer.isSpecial(id) {
        #expect(vocabulary.bytes(of: id).isEmpty)
      }
    }
  }

  @Test("sampling chooses among the allowed, at every temperature")
  func sampling() {
    var mask = TokenMask(count: 4)
    mask.insert(1)
    mask.insert(2)
    let logits: [Float] = [9, 1, 2, 8]
    logits.withUnsafeBufferPointer { logits in
      var greedy = Sampler(.greedy)
      #expect(greedy.next(logits, history: [], allowed: mask) == 2)
      var sampler = Sampler(SamplingOptions(temperature: 5, topK: 2, seed: 1))
      let drawn = Set((0..<200).map { _ in sampler.next(logits, history: [], allowed: mask) })
      #expect(drawn == [1, 2])
      var penalised = Sampler(SamplingOptions(repeatPenalty: 100))
      #expect(penalised.next(logits, history: [2], allowed: mask) == 1)
      #expect(greedy.next(logits, history: [], allowed: TokenMask(count: 4)) == nil)
      // Tokens beyond the vocabulary are not allowed.
      var short = TokenMask(count: 2)
      short.insert(0)
      #expect(greedy.next(logits, history: [], allowed: short) == 0)
    }
  }
}
