import Testing
import VLMConversion
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMZ

/// Speculation leaves a text as it is only if a row has the same bits with others and alone. Where it does
/// not, nothing is proposed.
struct PassRowTests {
  static let all: [Scheme] = [.q8, .q6, .q5, .q4, .q3, .f16, .bf16]

  /// Logits behind some tokens, in passes of so many rows behind a prompt.
  private func logits(
    _ model: LLaMA, _ context: LLaMAContext, _ ids: [Int], rows: Int
  ) throws -> [UInt32] {
    context.truncate(to: 0)
    try model(.tokens(Array(ids.prefix(9))), position: 0, context)
    var bits: [UInt32] = []
    var position = 9
    while position < ids.count {
      let part = Array(ids[position..<min(ids.count, position + rows)])
      let found = try model.logits(behindEachOf: part, position: position, context)
      bits += found.array().map(\.bitPattern)
      position += part.count
    }
    return bits
  }

  private func check(
    _ model: LLaMA, _ pool: WorkerPool, _ kernels: KernelSet, _ format: KeyValueFormat,
    _ name: String
  ) throws {
    let context = try LLaMAContext(
      model.config, capacity: 64, keyValueFormat: format, pool: pool, kernels: kernels)
    let ids = (0..<38).map { ($0 * 31 + 7) % model.config.vocabulary }
    let alone = try logits(model, context, ids, rows: 1)
    for rows in [2, 3, 4, 5, 6, 7, 8, 29] {
      #expect(
        try logits(model, context, ids, rows: rows) == alone,
        "\(name), \(kernels.name), \(format.rawValue), \(rows) rows")
    }
  }

  @Test(
    "rows have the bits of one after the other, in every scheme and set of kernels",
    arguments: PassRowTests.all)
  func everyScheme(_ scheme: Scheme) throws {
    let folder = try TemporaryFolder()
    _ = try conversation(TestFiles.fixture("stories260K"), scheme, in: folder)
    for kernels in KernelSet.all {
      let loaded = try LoadedModel(path: folder.path("model.vlmz"), kernels: kernels, threads: 2)
      let model = loaded.language.layers
      #expect(model.keepsRowsApart)
      for format in KeyValueFormat.allCases {
        try check(model, loaded.model.pool, kernels, format, scheme.name)
      }
    }
  }

  @Test(
    "attention is made of products of bf16 beside codes of fewer than 8 bits, or for speed",
    .enabled(if: KernelSet(named: "avx512bf16") != nil),
    arguments: [
      (Scheme.q8, LLaMAContext.Precision.balanced, false), (.q8, .fast, true),
      (.q4, .balanced, true), (.q4, .exact, false), (.bf16, .fast, false),
    ])
  func pairs(_ scheme: Scheme, _ precision: LLaMAContext.Precision, rounds: Bool) throws {
    let folder = try TemporaryFolder()
    _ = try conversation(TestFiles.fixture("stories260K"), scheme, in: folder)
    // The sets differ in this attention alone.
    let found = try ["avx512vnni", "avx512bf16"].map { name in
      let kernels = try #require(KernelSet(named: name))
      let loaded = try LoadedModel(path: folder.path("model.vlmz"), kernels: kernels, threads: 2)
      let model = loaded.language.layers
      let context = try LLaMAContext(
        model.config, capacity: 64, precision: precision, pool: loaded.model.pool,
        kernels: kernels)
      let ids = (0..<38).map { ($0 * 31 + 7) % model.config.vocabulary }
      return try logits(model, context, ids, rows: 29)
    }
    #expect((found[0] != found[1]) == rounds)
  }

  @Test(
    "the same of every decoder, windows, capped scores and parts that turn included",
    arguments: DecoderGoldenTests.models)
  func decoders(_ name: String) throws {
    let loaded = try conversation(
      "\(DecoderGoldenTests.folder)/\(name)", .q8, in: try TemporaryFolder(), contextLength: 40)
    let model = loaded.language.layers
    // LongRoPE's passes do not cross its original length: see `togetherRows`.
    guard model.config.ropeScaling.turningPoint == nil else { return }
    for format in [KeyValueFormat.f16, .q8] {
      try check(model, loaded.model.pool, loaded.model.kernels, format, name)
    }
  }

  @Test("matrices in f32 are not asked for several rows, as their library rounds those otherwise")
  func floats() throws {
    let loaded = try conversation(
      TestFiles.fixture("stories260K"), .f32, in: try TemporaryFolder())
    #expect(!loaded.language.layers.keepsRowsApart)
    let prompt = [1] + [[Int]](repeating: [403, 407, 261], count: 20).flatMap { $0 }
    let found = try loaded.generate(prompt, GenerationOptions(maximumTokens: 40))
    #expect(found.timings.proposedTokens == 0)
  }

  @Test("a pass does not cross the length at which positions turn otherwise")
  func turning() throws {
    let loaded = try conversation(
      "\(DecoderGoldenTests.folder)/phi4", .q8, in: try TemporaryFolder(), contextLength: 40)
    let config = loaded.language.layers.config
    let point = try #require(config.ropeScaling.turningPoint)
    let context = loaded.generator.context
    #expect(context.togetherRows(from: point - 3, atMost: 8) == 3)
    #expect(context.togetherRows(from: point, atMost: 8) == 8)
    #expect(context.togetherRows(from: 38, atMost: 8) == 2)
    var dynamic = config
    dynamic.ropeScaling = .dynamic(factor: 2, original: 16)
    let other = try LLaMAContext(
      dynamic, capacity: 40, pool: loaded.model.pool, kernels: loaded.model.kernels)
    #expect(other.togetherRows(from: 10, atMost: 8) == 6)
    #expect(other.togetherRows(from: 15, atMost: 8) == 1)
    #expect(other.togetherRows(from: 30, atMost: 8) == 1)
  }
}
