import Testing
import VLMConversion
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// Every architecture of decoders, tiny and random, against what transformers makes of it, from its own
/// files and from those of llama.cpp's converter; `scripts/make-decoder-fixtures` made all of them.
struct DecoderGoldenTests {
  static let folder = TestFiles.fixture("decoders")
  static let models = [
    "llama3", "mistral", "qwen2", "qwen3", "smollm3", "smollm3-stated", "phi3", "phi4", "gemma2",
    "gemma3", "gemma3-whole", "granite", "granite-plain", "olmo2", "olmo3",
  ]
  static let files =
    models
    + ["llama3", "qwen3", "smollm3", "phi4", "gemma2", "gemma3", "granite", "olmo2", "olmo3"].map {
      $0 + ".gguf"
    }
  static let tolerance: Float = 1e-4

  /// A model converted, and what is expected of it.
  struct Converted {
    let model: LoadedModel
    private let folder: TemporaryFolder
    private let expected: Expected
    private let place: String

    /// - Parameters:
    ///   - file: a folder of `decoders`, or a GGUF file.
    ///   - run: which of its texts, where there are several.
    init(_ file: String, _ scheme: Scheme = .f32, run: String = "") throws {
      folder = try TemporaryFolder()
      model = try conversation("\(DecoderGoldenTests.folder)/\(file)", scheme, in: folder)
      expected = try Expected("\(DecoderGoldenTests.folder)/expected.safetensors")
      place = String(file.split(separator: ".")[0]) + run
    }

    var layers: LLaMA { model.language.layers }
    var pool: WorkerPool { model.model.pool }
    var kernels: KernelSet { model.model.kernels }

    func values(_ name: String) throws -> ExpectedTensor {
      try #require(expected.tensor("\(place).\(name)"), "\(place).\(name)")
    }

    func ids() throws -> [Int] { try values("ids").values.map { Int($0) } }

    func context(
      chunkRows: Int = 512, format: KeyValueFormat = .f32
    ) throws -> LLaMAContext {
      try LLaMAContext(
        layers.config, capacity: 40, chunkRows: chunkRows, keyValueFormat: format, pool: pool,
        kernels: kernels)
    }

    /// The logits behind a whole sequence, in a context of its own.
    func logits(behind ids: [Int], format: KeyValueFormat = .f32) throws -> [Float] {
      let context = try context(format: format)
      defer { withExtendedLifetime(context) {} }
      return try layers(.tokens(ids), position: 0, context).array()
    }

    /// Those behind every position of the text.
    func allLogits() throws -> [Float] {
      var logits: [Float] = []
      try layers.scoreAll(.tokens(ids()), position: 0, context()) { rows, _ in
        logits += rows.array()
      }
      return logits
    }

    func check(_ found: [Float], _ name: String) throws {
      let want = try values(name)
      try #require(found.count == want.values.count, "\(place).\(name)")
      let difference = maxAbsDifference(found, want.values)
      #expect(
        difference <= DecoderGoldenTests.tolerance * want.scale,
        "\(place).\(name) differs by \(difference)")
    }
  }

  @Test(
    "every layer's states and all logits are transformers', in one pass and in pieces",
    arguments: files, [512, 6])
  func agrees(_ file: String, _ chunkRows: Int) throws {
    let converted = try Converted(file)
    let context = try converted.context(chunkRows: chunkRows)
    var states: [Int: [Float]] = [:]
    var logits: [Float] = []
    try converted.layers.scoreAll(
      .tokens(converted.ids()), position: 0, context,
      observe: { depth, value, _ in states[depth, default: []] += value.array() },
      body: { rows, _ in logits += rows.array() })
    #expect(states.count == converted.layers.config.layers + 1)
    for (depth, found) in states { try converted.check(found, "hidden.\(depth)") }
    try converted.check(logits, "logits")
  }

  @Test(
    "a prompt up to LongRoPE's original length takes the short factors",
    arguments: ["phi4", "phi4.gguf"])
  func short(_ file: String) throws {
    let converted = try Converted(file, run: ".short")
    try converted.check(try converted.allLogits(), "logits")
  }

  @Test("token after token gives what the whole prompt gives", arguments: models)
  func steps(_ file: String) throws {
    let converted = try Converted(file)
    var ids = try converted.ids()
    // LongRoPE's steps up to the original length have the short factors.
    if let point = converted.layers.config.ropeScaling.turningPoint {
      ids = Array(ids.prefix(point))
    }
    let whole = try converted.logits(behind: ids)
    let context = try converted.context()
    var stepped: [Float] = []
    for (position, id) in ids.enumerated() {
      stepped = try converted.layers(.tokens([id]), position: position, context).array()
    }
    #expect(maxAbsDifference(stepped, whole) <= 2e-5)
  }

  @Test("pages of several sequences give what each gives alone", arguments: models)
  func pages(_ file: String) throws {
    let converted = try Converted(file)
    let (layers, ids) = (converted.layers, try converted.ids())
    let lengths = [ids.count, 9]
    let memory = try layers.pages(
      count: 4, positions: KeyValuePages.panel, format: .f16, kernels: converted.kernels)
    let workspace = try layers.workspace(
      rows: 40, pool: converted.pool, kernels: converted.kernels)
    let sequences = lengths.map { PagedSequence(in: memory, positions: 40, promptLength: $0) }
    for (index, page) in [(0, 2), (1, 0)] { sequences[index].table.append(page) }
    var paged: [[Float]] = []
    let parts = zip(sequences, lengths).map { sequence, length in
      LLaMA.Part(sequence, .tokens(Array(ids.prefix(length))), needsLogits: true)
    }
    try layers(parts, in: memory, workspace) { _, logits in paged.append(logits.array()) }
    #expect(paged.count == 2)
    // OpenBLAS's sums of f32 depend on how many rows there are.
    for (found, length) in zip(paged, lengths) {
      let alone = try converted.logits(behind: Array(ids.prefix(length)), format: .f16)
      #expect(maxAbsDifference(found, alone) <= 2e-3, "\(length) positions")
    }
  }

  @Test("steps of several sequences give what each gives alone", arguments: models)
  func company(_ file: String) throws {
    let converted = try Converted(file)
    let layers = converted.layers
    var ids = try converted.ids()
    if let point = layers.config.ropeScaling.turningPoint { ids = Array(ids.prefix(point)) }
    let shared = try layers.sharedContext(
      count: 2, pool: converted.pool, kernels: converted.kernels)
    let contexts = try (0..<2).map { _ in
      try layers.sequenceContext(
        length: 40, format: .f32, pool: converted.pool, kernels: converted.kernels)
    }
    // The second sequence is one position behind.
    try layers(.tokens([ids[0]]), position: 0, contexts[0])
    var found: [[Float]] = []
    for step in 1..<ids.count {
      found = []
      try layers.step([ids[step], ids[step - 1]], contexts, shared: shared) { _, logits in
        found.append(logits.array())
      }
    }
    #expect(found.count == 2)
    for (found, length) in zip(found, [ids.count, ids.count - 1]) {
      let alone = try converted.logits(behind: Array(ids.prefix(length)))
      #expect(maxAbsDifference(found, alone) <= 2e-5)
    }
  }

  @Test("8 and 4 bits stay near", arguments: models, [Scheme.q8, .q4])
  func quantized(_ file: String, _ scheme: Scheme) throws {
    let converted = try Converted(file, scheme)
    let likeness = cosine(
      try converted.allLogits(), try converted.values("logits").values)
    #expect(likeness >= (scheme == .q8 ? 0.995 : 0.9), "\(likeness)")
  }

  @Test(
    "a container's configuration is the checkpoint's, and comes back from its JSON",
    arguments: files)
  func configuration(_ file: String) throws {
    let source = try SourceModel.open(path: "\(Self.folder)/\(file)")
    let config = try #require(source.description.language)
    #expect(try LLaMAConfig(json: config.json) == config)
    let plain: Set<String> = ["llama3"]
    let isPlain = plain.contains(String(file.split(separator: ".")[0]))
    #expect((config.traits == DecoderTraits()) == isPlain)
    // Readers from before there were traits refuse what has some.
    #expect((config.json["rope_base"] == nil) == !isPlain)
  }

  // MARK: - LongRoPE's original length

  @Test("an answer that grows past LongRoPE's original length is that of whole sequences")
  func growing() throws {
    let converted = try Converted("phi4")
    let layers = converted.layers
    let prompt = Array(try converted.ids().prefix(13))
    var ids = prompt
    for _ in 0..<8 {
      let logits = try converted.logits(behind: ids)
      ids.append(try #require(logits.withUnsafeBufferPointer { Sampler.largest($0) }))
    }
    let generator = TextGenerator(model: layers, context: try converted.context(), stopTokens: [])
    let found = try generator.generate(.tokens(prompt), GenerationOptions(maximumTokens: 8))
    #expect(found.tokens == Array(ids.dropFirst(prompt.count)))
    // And a shorter one after it, whose beginning the context holds turned for the longer one.
    let shorter = try generator.generate(
      .tokens(Array(ids.prefix(14))), GenerationOptions(maximumTokens: 1))
    #expect(shorter.tokens == [ids[14]])
    #expect(shorter.timings.reusedTokens == 0)
  }

  @Test("keys turned for another length are refused, and right once they are computed again")
  func restarted() throws {
    let converted = try Converted("phi4")
    let (layers, ids) = (converted.layers, try converted.ids())
    let context = try converted.context(format: .f16)
    let want = try layers(.tokens(ids), position: 0, context).array()
    context.truncate(to: 12)
    #expect(context.holds(12, length: 17) && !context.holds(12, length: 13))
    let refused = thrownError(ModelError.self) {
      try layers(.tokens([5]), position: 12, context)
    }
    #expect(refused?.description.contains("run again") ?? false)

    let memory = try layers.pages(
      count: 1, positions: KeyValuePages.panel, format: .f16, kernels: converted.kernels)
    let workspace = try layers.workspace(
      rows: 40, pool: converted.pool, kernels: converted.kernels)
    let sequence = PagedSequence(in: memory, positions: 32, promptLength: 12)
    sequence.table.append(0)
    var logits: [Float] = []
    func run(_ range: Range<Int>) throws {
      let part = LLaMA.Part(sequence, .tokens(Array(ids[range])), needsLogits: true)
      try layers([part], in: memory, workspace) { _, found in logits = found.array() }
    }
    try run(0..<12)
    #expect(sequence.holds(layers, adding: 4) && !sequence.holds(layers, adding: 5))
    #expect(thrownError(ModelError.self) { try run(12..<ids.count) } != nil)
    #expect(sequence.count == 12)
    sequence.restart(length: ids.count)
    try run(0..<9)
    try run(9..<ids.count)
    #expect(maxAbsDifference(logits, want) <= 2e-3)
  }
}
