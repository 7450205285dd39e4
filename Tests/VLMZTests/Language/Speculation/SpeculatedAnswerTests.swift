import Foundation
import Testing
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// Proposals change the time of an answer and nothing else.
struct SpeculatedAnswerTests {
  /// Rows that cost nothing: whatever may come is proposed, so that most of it is wrong.
  static let free = PassCosts([Double](repeating: 1, count: PassCosts.maximumRows), learns: false)

  /// The same model twice: one token a pass, and as many as there are proposals for.
  struct Pair {
    let plain: TextGenerator
    let fast: TextGenerator
    let language: LanguageModel

    init(
      _ loaded: LoadedModel, format: KeyValueFormat = .f16, contextLength: Int = 512
    ) throws {
      language = loaded.language
      func generator() throws -> TextGenerator {
        try loaded.language.generator(
          pool: loaded.model.pool, contextLength: contextLength, keyValueFormat: format)
      }
      (plain, fast) = (try generator(), try generator())
      fast.speculation = Speculation(costs: SpeculatedAnswerTests.free)
    }

    static func stories(
      _ scheme: Scheme = .q8, format: KeyValueFormat = .f16, contextLength: Int = 512
    ) throws -> Pair {
      try Pair(
        try conversation(TestFiles.fixture("stories260K"), scheme, in: try TemporaryFolder()),
        format: format, contextLength: contextLength)
    }

    private struct Observed {
      let generation: Generation
      let pieces: [String]
      let logits: [[UInt32]]
    }

    private func run(
      _ generator: TextGenerator, _ prompt: [Int], _ options: GenerationOptions,
      _ cancelAt: String?
    ) throws -> Observed {
      var (pieces, logits): ([String], [[UInt32]]) = ([], [])
      generator.observeStep = { step in
        logits.append([UInt32(truncatingIfNeeded: step.token)] + step.logits.map(\.bitPattern))
      }
      defer { generator.observeStep = nil }
      let flag = CancellationFlag()
      let generation = try generator.generate(prompt, options, cancelled: flag) { piece in
        pieces.append(piece)
        if let cancelAt, pieces.joined().contains(cancelAt) { flag.cancel() }
      }
      return Observed(generation: generation, pieces: pieces, logits: logits)
    }

    /// Answers both ways, and compares all that there is to see.
    ///
    /// - Returns: how many tokens were proposed and accepted.
    @discardableResult
    func compare(
      _ prompt: [Int], _ options: GenerationOptions, cancelAt: String? = nil,
      sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> (proposed: Int, accepted: Int) {
      var alone = options
      alone.speculatedTokens = 0
      let expected = try run(plain, prompt, alone, cancelAt)
      let found = try run(fast, prompt, options, cancelAt)
      let (a, b) = (found.generation, expected.generation)
      #expect(a.tokens == b.tokens, sourceLocation: sourceLocation)
      #expect(a.text == b.text && a.ending == b.ending, sourceLocation: sourceLocation)
      #expect(a.timings.steps == b.timings.steps, sourceLocation: sourceLocation)
      #expect(a.timings.reusedTokens == b.timings.reusedTokens, sourceLocation: sourceLocation)
      #expect(found.pieces == expected.pieces, sourceLocation: sourceLocation)
      #expect(found.logits == expected.logits, sourceLocation: sourceLocation)
      #expect(fast.history == plain.history, sourceLocation: sourceLocation)
      #expect(fast.context.count == plain.context.count, sourceLocation: sourceLocation)
      #expect(b.timings.proposedTokens == 0, sourceLocation: sourceLocation)
      return (a.timings.proposedTokens, a.timings.acceptedTokens)
    }
  }

  /// "Once upon a time, there was", some times, and what it may be followed by.
  static let repeating =
    [1]
    + [[Int]](repeating: [403, 407, 261, 378, 432, 383], count: 6)
    .flatMap { $0 }

  @Test(
    "greedy answers have the same bits, whatever is proposed, in every scheme",
    arguments: [Scheme.q8, .q4, .q3, .f16, .bf16], KeyValueFormat.allCases)
  func greedy(_ scheme: Scheme, _ format: KeyValueFormat) throws {
    let pair = try Pair.stories(scheme, format: format)
    let counts = try pair.compare(Self.repeating, GenerationOptions(maximumTokens: 120))
    #expect(counts.accepted > 0 && counts.proposed > counts.accepted)
    // The next question, behind what the context holds, and another one behind its beginning.
    try pair.compare(pair.plain.history + [13, 403, 407], GenerationOptions(maximumTokens: 60))
    try pair.compare(Self.repeating + [300], GenerationOptions(maximumTokens: 60))
  }

  static let samplings: [SamplingOptions] = [
    SamplingOptions(temperature: 0.8, seed: 1), SamplingOptions(temperature: 0.3, seed: 2),
    SamplingOptions(temperature: 1.2, topK: 20, topP: 0.9, seed: 3),
    SamplingOptions(temperature: 0.7, minP: 0.1, seed: 4), SamplingOptions(repeatPenalty: 1.3),
    SamplingOptions(repeatPenalty: 0.8, repeatWindow: 5),
    SamplingOptions(temperature: 0.5, presencePenalty: -1, frequencyPenalty: 0.3, seed: 5),
    SamplingOptions(biases: [403: 4, 407: 4, 261: -100]),
  ]

  @Test("drawn and penalised answers are the same, token by token", arguments: samplings)
  func sampled(_ sampling: SamplingOptions) throws {
    let pair = try Pair.stories()
    let counts = try pair.compare(
      Self.repeating, GenerationOptions(sampling: sampling, maximumTokens: 100))
    // What may not be said twice cannot be proposed from what was said.
    #expect(counts.proposed > 0 || sampling.repeatPenalty > 1)
  }

  @Test("stop texts, stop tokens, limits and cancellations end an answer at the same token")
  func endings() throws {
    let pair = try Pair.stories()
    for limit in [1, 2, 3, 8, 30] {
      try pair.compare(Self.repeating, GenerationOptions(maximumTokens: limit))
    }
    let whole = try pair.fast.generate(Self.repeating, GenerationOptions(maximumTokens: 60))
    for stop in [20, 31, 47] {
      try pair.compare(Self.repeating, GenerationOptions(stopTokens: [whole.tokens[stop]]))
    }
    let text = whole.text
    for place in [30, 61, 90] {
      let start = text.index(text.startIndex, offsetBy: place)
      let piece = String(text[start..<text.index(start, offsetBy: 6)])
      try pair.compare(Self.repeating, GenerationOptions(maximumTokens: 60, stopStrings: [piece]))
      try pair.compare(
        Self.repeating, GenerationOptions(maximumTokens: 60), cancelAt: String(text.prefix(place)))
    }
  }

  @Test(
    "a context that is full ends an answer at the same token", arguments: [40, 44, 53, 200, 400])
  func fullContext(_ length: Int) throws {
    let pair = try Pair.stories(contextLength: length)
    let counts = try pair.compare(Self.repeating, GenerationOptions(maximumTokens: 500))
    #expect(length < 200 || counts.accepted > 0)
    #expect(pair.fast.context.count == length)
  }

  @Test("answers that keep to a grammar are the same")
  func grammars() throws {
    let pair = try Pair.stories()
    let source = #"root ::= ("Once upon a time, " | "there was " | "a little girl. "){1,12}"#
    let grammar = try #require(try pair.language.grammar(of: .grammar(source)))
    let counts = try pair.compare(
      Self.repeating, GenerationOptions(maximumTokens: 90, grammar: grammar))
    #expect(counts.accepted > 0)
    try pair.compare(
      Self.repeating,
      GenerationOptions(
        sampling: SamplingOptions(temperature: 1, seed: 8), maximumTokens: 90, grammar: grammar))
  }

  @Test(
    "every decoder answers as without, over the end of windows and of original lengths",
    arguments: DecoderGoldenTests.models)
  func decoders(_ name: String) throws {
    let loaded = try conversation(
      "\(DecoderGoldenTests.folder)/\(name)", .q8, in: try TemporaryFolder(), contextLength: 200)
    let pair = try Pair(loaded, contextLength: 200)
    let vocabulary = loaded.language.layers.config.vocabulary
    let prompt = (0..<12).map { ($0 % 4 * 7 + 3) % vocabulary }
    let options = GenerationOptions(maximumTokens: 180, stopTokens: [])
    let counts = try pair.compare(prompt, options)
    #expect(counts.proposed > 0)
    var drawn = options
    drawn.sampling = SamplingOptions(temperature: 0.6, topK: 3, seed: 6)
    try pair.compare(prompt, drawn)
  }

  @Test("positions whose angles depend on the length turn as without")
  func dynamic() throws {
    let folder = try TemporaryFolder()
    let source = TestFiles.fixture("stories260K")
    for name in try FileManager.default.contentsOfDirectory(atPath: source) {
      try FileManager.default.copyItem(atPath: "\(source)/\(name)", toPath: folder.path(name))
    }
    var config = try #require(try TestFiles.json(folder.path("config.json")).objectValue)
    config.set("rope_scaling", ["type": "dynamic", "factor": 2.0])
    config.set("max_position_embeddings", 256)
    try Data(JSONValue.object(config).serialized().utf8)
      .write(to: URL(fileURLWithPath: folder.path("config.json")))
    let pair = try Pair(try conversation(folder.path(""), .q8, in: try TemporaryFolder()))
    #expect(pair.language.layers.config.ropeScaling.turningPoint == 256)
    let counts = try pair.compare(Self.repeating, GenerationOptions(maximumTokens: 400))
    #expect(counts.proposed > 0)
  }

  @Test("questions about pictures are answered as without, the second one too")
  func pictures() throws {
    let models = try LibraryModels.sighted()
    let model = try models.open()
    let image = try LibraryModels.picture("cup.png")
    var answers: [[Answer]] = []
    for tokens in [0, 7] {
      let talk = try Conversation(with: model)
      talk.generator.speculation = Speculation(costs: Self.free)
      let picture = try talk.encode(image)
      var options = AnswerOptions(maximumTokens: 40, speculatedTokens: tokens)
      var given: [Answer] = []
      given.append(try talk.ask("What is in the picture?", about: [picture], options: options))
      options.temperature = 0.7
      given.append(try talk.ask("What is in the picture?", options: options))
      given.append(try talk.ask("What is in the picture? Again.", options: options))
      answers.append(given)
    }
    for (plain, fast) in zip(answers[0], answers[1]) {
      #expect(plain.text == fast.text && plain.tokens == fast.tokens)
      #expect(plain.ending == fast.ending)
      #expect(plain.timings.reusedTokens == fast.timings.reusedTokens)
    }
    #expect(answers[0].allSatisfy { $0.timings.proposedTokens == 0 })
    #expect(answers[1].contains { $0.timings.acceptedTokens > 0 })
  }

  @Test("more tokens than a pass decides are out of range")
  func range() throws {
    let talk = try Conversation(with: try LibraryModels.stories().open())
    for tokens in [-1, 8] {
      let error = libraryError {
        _ = try talk.ask("Once", options: AnswerOptions(speculatedTokens: tokens))
      }
      #expect(error?.code == .invalidArgument)
    }
  }
}
