import Testing
import VLMCheckpoint
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// The language models of the LLaVA goldens, from their embeddings to logits and greedy tokens.
struct LLaMAGoldenTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let golden: String
    let checkpoint: String
    var testDescription: String { golden }
  }

  static let cases = [
    Case(golden: "convllava-4stage", checkpoint: "hf-A-safetensors"),
    Case(golden: "convllava-5stage", checkpoint: "hf-A-bin"),
  ]
  static let tolerance: Float = 1e-4

  @Test(
    "states, logits and greedy tokens are upstream's, in one pass and in chunks",
    arguments: cases, [512, 50])
  func agrees(_ test: Case, _ chunkRows: Int) throws {
    let folder = TestFiles.golden(test.golden)
    let expected = try Expected("\(folder)/expected.safetensors")
    let language = try CheckpointLLaMA("\(folder)/\(test.checkpoint)")
    let context = try language.context(capacity: 256, chunkRows: chunkRows)
    let embeddings = try #require(expected.tensor("single.inputs_embeds"))
    let (rows, columns) = (embeddings.shape[1], embeddings.shape[2])
    let owner = Activations(count: embeddings.values.count)
    let input = owner.matrix(rows: rows, columns: columns)
    input.assign(embeddings.values)
    defer { withExtendedLifetime(owner) {} }

    var states: [String: [Float]] = [:]
    let logits = try language.model(.embeddings(input), position: 0, context) { depth, value, _ in
      states["hidden.\(depth)", default: []] += value.array()
    }.array()
    var compared = 0
    for (name, found) in states {
      let want = try #require(expected.tensor("single.\(name)"))
      let last = want.shape.count == 1 ? Array(found.suffix(columns)) : found
      let difference = maxAbsDifference(last, want.values)
      #expect(difference <= Self.tolerance * want.scale, "\(name) differs by \(difference)")
      compared += 1
    }
    #expect(compared == language.model.config.layers + 1)
    let last = try #require(expected.tensor("single.logits_last"))
    #expect(maxAbsDifference(logits, last.values) <= Self.tolerance * last.scale)

    let best = try #require(expected.tensor("single.argmax_all")).values.map { Int($0) }
    var found: [Int] = []
    try language.model.scoreAll(.embeddings(input), position: 0, context) { logits, _ in
      for row in 0..<logits.rows { found.append(logits.withRow(row) { Sampler.largest($0) } ?? -1) }
    }
    #expect(found == best)

    let ids = try #require(expected.tensor("single.gen_ids")).values.map { Int($0) }
    let each = try #require(expected.tensor("single.gen_logits"))
    let width = language.model.config.vocabulary
    var row = try language.model(.embeddings(input), position: 0, context).array()
    for (step, id) in ids.enumerated() {
      let want = Array(each.values[step * width..<(step + 1) * width])
      #expect(maxAbsDifference(row, want) <= Self.tolerance * each.scale, "step \(step)")
      #expect(row.withUnsafeBufferPointer { Sampler.largest($0) } == id)
      row = try language.model(.tokens([id]), position: context.count, context).array()
    }
  }
}

/// The language model of a checkpoint folder, without conversion.
struct CheckpointLLaMA {
  let model: LLaMA
  let pool = WorkerPool(threadCount: 2)
  let kernels: KernelSet

  init(_ folder: String, kernels: KernelSet? = nil) throws {
    try OpenBLAS.load()
    self.kernels = try kernels ?? KernelSet.selected()
    let catalog = try Checkpoint.read(path: folder)
    let text = try MappedFile(path: folder + "/config.json")
    let json = try text.withBytes(0..<text.count) {
      try JSONValue.parse($0, limits: JSONLimits())
    }
    var originals: [String: String] = [:]
    for tensor in catalog.tensors {
      if case .tensor(let name) = LLaMANaming.huggingFace.match(tensor.name) {
        originals[name] = tensor.name
      }
    }
    let known = originals
    let weights = try FloatWeights { name in try known[name].flatMap { try catalog[$0]?.floats() } }
    model = try LLaMA(
      Weights(weights, kernels: self.kernels), try LLaMAConfig(huggingFace: json))
  }

  func context(
    capacity: Int, chunkRows: Int = 512, format: KeyValueFormat = .f32
  ) throws -> LLaMAContext {
    try LLaMAContext(
      model.config, capacity: capacity, chunkRows: chunkRows, keyValueFormat: format, pool: pool,
      kernels: kernels)
  }
}
