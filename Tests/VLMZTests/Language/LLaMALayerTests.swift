import Testing
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// The forward pass against a plain one, on small random models.
struct LLaMALayerTests {
  static let plain = LLaMAConfig(
    vocabulary: 50, hidden: 24, layers: 3, heads: 4, keyValueHeads: 4, headDimension: 6,
    feedForward: 40, epsilon: 1e-5, contextLength: 64)

  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let config: LLaMAConfig
    var testDescription: String { name }

    init(_ name: String, _ change: (inout LLaMAConfig) -> Void) {
      var config = LLaMALayerTests.plain
      change(&config)
      self.name = name
      self.config = config
    }
  }

  static let cases: [Case] = [
    Case("plain") { _ in },
    Case("grouped heads") { $0.keyValueHeads = 2 },
    Case("one key head") { $0.keyValueHeads = 1 },
    Case("heads of another width than hidden / heads") { $0.headDimension = 10 },
    Case("tied embeddings") { $0.tiedEmbeddings = true },
    Case("biases") { config in
      config.attentionBias = true
      config.outputBias = true
      config.feedForwardBias = true
    },
    Case("base") { $0.ropeBase = 500_000 },
    Case("linear") { $0.ropeScaling = .linear(factor: 4) },
    Case("dynamic") { $0.ropeScaling = .dynamic(factor: 2, original: 8) },
    Case("llama3") {
      $0.ropeScaling = .llama3(factor: 8, lowFrequency: 1, highFrequency: 4, original: 16)
    },
    Case("yarn") {
      $0.ropeScaling = .yarn(
        RotaryScaling.YaRN(
          factor: 4, original: 16, betaFast: 4, betaSlow: 0.5, attention: 1.14, truncate: true))
    },
  ]

  static let ids: [Int] = (0..<21).map { ($0 * 17 + 3) % 50 }

  @Test("every state and all logits agree with the plain computation", arguments: cases)
  func agrees(_ test: Case) throws {
    let model = try RandomLLaMA(test.config)
    let (hidden, logits) = model.reference(model.reference.embed(Self.ids))
    let context = try model.context(capacity: 40)
    var seen = 0
    var found: [Float] = []
    try model.model.scoreAll(
      .tokens(Self.ids), position: 0, context,
      observe: { depth, value, position in
        seen += 1
        let want = hidden[depth][position..<position + value.rows].flatMap { $0 }.map { Float($0) }
        let difference = maxAbsDifference(value.array(), want)
        #expect(difference < 2e-5, "hidden.\(depth) differs by \(difference)")
      }, body: { rows, _ in found += rows.array() })
    #expect(seen == 4)
    let difference = maxAbsDifference(found, logits.flatMap { $0 }.map { Float($0) })
    #expect(difference < 2e-5, "logits differ by \(difference)")
  }

  @Test("chunks, single steps and one pass give the same logits", arguments: [1, 4, 7, 21])
  func chunks(_ rows: Int) throws {
    let model = try RandomLLaMA(Self.cases[1].config)
    let whole = try model.context(capacity: 40)
    let want = try model.model(.tokens(Self.ids), position: 0, whole).array()
    let context = try model.context(capacity: 30, chunkRows: rows)
    let once = try model.model(.tokens(Self.ids), position: 0, context).array()
    #expect(maxAbsDifference(once, want) < 1e-5)
    #expect(context.count == Self.ids.count)
    var stepped: [Float] = []
    for (position, id) in Self.ids.enumerated() {
      stepped = try model.model(.tokens([id]), position: position, context).array()
    }
    #expect(maxAbsDifference(stepped, want) < 1e-5)
  }

  @Test("embeddings given as rows are those of the tokens")
  func embeddings() throws {
    let model = try RandomLLaMA(Self.plain)
    let context = try model.context(capacity: 40)
    let want = try model.model(.tokens(Self.ids), position: 0, context).array()
    let owner = Activations(count: Self.ids.count * Self.plain.hidden)
    let rows = owner.matrix(rows: Self.ids.count, columns: Self.plain.hidden)
    try model.model.embed(Self.ids, into: rows)
    let found = try model.model(.embeddings(rows), position: 0, context).array()
    withExtendedLifetime(owner) {}
    #expect(found == want)
  }

  @Test("a prefix that is kept is not run again, and gives the same logits")
  func prefix() throws {
    let model = try RandomLLaMA(Self.plain)
    let context = try model.context(capacity: 40)
    let want = try model.model(.tokens(Self.ids), position: 0, context).array()
    try model.model(.tokens(Array(Self.ids[..<9]) + [1, 2, 3, 4]), position: 0, context)
    context.truncate(to: 9)
    let found = try model.model(.tokens(Array(Self.ids[9...])), position: 9, context).array()
    #expect(maxAbsDifference(found, want) < 1e-5)
  }

  @Test("keys and values of 16 and 8 bits stay near those of 32", arguments: [1, 2])
  func formats(_ index: Int) throws {
    let model = try RandomLLaMA(Self.cases[index].config)
    let exact = try model.context(capacity: 40)
    let want = try model.model(.tokens(Self.ids), position: 0, exact).array()
    #expect(exact.count == Self.ids.count)
    for (format, least) in [(KeyValueFormat.f16, 0.99999), (.q8, 0.999)] {
      let context = try model.context(capacity: 40, format: format)
      let found = try model.model(.tokens(Self.ids), position: 0, context).array()
      #expect(cosine(found, want) > least, "\(format)")
      #expect(context.keyValueFormat == format)
    }
  }

  @Test("a full context is refused with its numbers, and stays as it was")
  func full() throws {
    let model = try RandomLLaMA(Self.plain)
    let context = try model.context(capacity: 24)
    try model.model(.tokens(Self.ids), position: 0, context)
    let error = thrownError(ModelError.self) {
      try model.model(.tokens([1, 2, 3, 4]), position: 21, context)
    }
    #expect(
      error?.description == "context: found 21 positions and 4 more, expected at most 24")
    #expect(context.count == 21)
    try model.model(.tokens([1, 2, 3]), position: 21, context)
    #expect(context.count == 24)
  }

  @Test("ids outside the vocabulary are refused", arguments: [-1, 50, Int.max])
  func ids(_ id: Int) throws {
    let model = try RandomLLaMA(Self.plain)
    let context = try model.context(capacity: 8)
    let error = thrownError(ModelError.self) {
      try model.model(.tokens([1, id]), position: 0, context)
    }
    #expect(error?.description == "config: token id: found \(id), expected 0 to 49")
  }

  @Test("a context larger than the machine is refused before anything is allocated")
  func memory() throws {
    let model = try RandomLLaMA(Self.plain)
    var config = Self.plain
    config.layers = 1000
    config.heads = 64
    config.keyValueHeads = 64
    config.headDimension = 1024
    let error = thrownError(ModelError.self) {
      try LLaMAContext(
        config, capacity: 1 << 24, pool: model.pool, kernels: try KernelSet.selected())
    }
    #expect(error != nil)
    #expect(error?.description.contains("on this machine") ?? false)
  }
}

/// A model with small random weights, and the same for the plain computation.
struct RandomLLaMA {
  let model: LLaMA
  let reference: ReferenceLLaMA
  let pool = WorkerPool(threadCount: 2)
  let kernels: KernelSet

  init(_ config: LLaMAConfig) throws {
    kernels = try KernelSet.selected()
    try OpenBLAS.load()
    let recorder = ManifestRecorder()
    _ = try LLaMA(Weights(recorder, kernels: kernels), config)
    var random = SplitMix64(seed: 5)
    var values: [String: [Float]] = [:]
    for spec in recorder.specs {
      let isNorm = spec.path.hasSuffix("norm.weight")
      values[spec.path] = (0..<spec.shape.reduce(1, *)).map { _ in
        (isNorm ? 1 : 0) + Float(random.nextUnit() - 0.5) * 0.6
      }
    }
    let known = values
    let weights = try FloatWeights { known[$0] }
    model = try LLaMA(Weights(weights, kernels: kernels), config)
    reference = ReferenceLLaMA(config: config, weights: known)
  }

  func context(
    capacity: Int, chunkRows: Int = 512, format: KeyValueFormat = .f32
  ) throws -> LLaMAContext {
    try LLaMAContext(
      model.config, capacity: capacity, chunkRows: chunkRows, keyValueFormat: format, pool: pool,
      kernels: kernels)
  }
}
