import Testing
import VLMKernels
import VLMModels
import VLMRuntime
import VLMTensor
import VLMTestSupport

#if canImport(Glibc)
  import Glibc
#endif

/// stories260K, a trained model of 260,000 parameters with grouped heads and tied embeddings,
/// against what transformers made of it.
struct StoriesTests {
  static let folder = TestFiles.fixture("stories260K")
  let language: CheckpointLLaMA
  let expected: JSONValue

  init() throws {
    language = try CheckpointLLaMA(Self.folder)
    let text = try MappedFile(path: Self.folder + "/expected.json")
    expected = try text.withBytes(0..<text.count) {
      try JSONValue.parse($0, limits: JSONLimits())
    }
  }

  private func ids(_ name: String) throws -> [Int] {
    try #require(expected[name]?.arrayValue).compactMap(\.intValue)
  }

  private func greedy(_ prompt: [Int], count: Int, format: KeyValueFormat) throws -> Generation {
    let generator = TextGenerator(
      model: language.model, context: try language.context(capacity: 512, format: format),
      stopTokens: [])
    return try generator.generate(.tokens(prompt), GenerationOptions(maximumTokens: count))
  }

  /// Heads of 8 elements are hard on 8 bits: the story takes another turn after 120 tokens.
  @Test(
    "it tells the story from the beginning",
    arguments: [(KeyValueFormat.f32, 200), (.f16, 200), (.q8, 100)])
  func story(_ format: KeyValueFormat, _ count: Int) throws {
    let want = Array(try ids("greedy_from_bos").prefix(count))
    #expect(want.count == count)
    let result = try greedy([1], count: want.count, format: format)
    #expect(result.tokens == want)
    #expect(result.timings.steps == want.count - 1)
  }

  @Test("it continues a prompt")
  func prompt() throws {
    let want = try ids("prompt_greedy")
    #expect(try greedy(ids("prompt_ids"), count: want.count, format: .f16).tokens == want)
  }

  @Test("logits and mean loss over the prompt are upstream's")
  func numbers() throws {
    let prompt = try ids("prompt_ids")
    let context = try language.context(capacity: 64)
    let last = try language.model(.tokens(prompt), position: 0, context).array()
    let first = try #require(expected["last_logits_first8"]?.arrayValue).compactMap(\.doubleValue)
    #expect(maxAbsDifference(Array(last.prefix(8)), first.map { Float($0) }) < 1e-3)
    var sum = 0.0
    try language.model.scoreAll(.tokens(prompt), position: 0, context) { logits, position in
      for row in 0..<logits.rows where position + row + 1 < prompt.count {
        let values = logits.withRow(row) { $0.map { Double($0) } }
        let highest = values.max() ?? 0
        let total = log(values.reduce(0) { $0 + exp($1 - highest) }) + highest
        sum += total - values[prompt[position + row + 1]]
      }
    }
    let want = try #require(expected["prompt_mean_nll"]?.doubleValue)
    #expect(abs(sum / Double(prompt.count - 1) - want) < 1e-5)
  }
}
