import Testing
import VLMConversion
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

#if canImport(Glibc)
  import Glibc
#endif

/// Trained models that tell stories, with grouped heads and tied embeddings, against what
/// transformers made of them: stories260K, and a Qwen2 with biases that learned from it.
struct StoriesTests {
  static let folder = TestFiles.fixture("stories260K")

  private struct Story {
    let language: CheckpointLLaMA
    let expected: JSONValue

    init(_ name: String) throws {
      let folder = TestFiles.fixture(name)
      language = try CheckpointLLaMA(folder)
      let text = try MappedFile(path: folder + "/expected.json")
      expected = try text.withBytes(0..<text.count) {
        try JSONValue.parse($0, limits: JSONLimits())
      }
    }

    func ids(_ name: String) throws -> [Int] {
      try #require(expected[name]?.arrayValue).compactMap(\.intValue)
    }

    func greedy(_ prompt: [Int], count: Int, format: KeyValueFormat) throws -> Generation {
      let generator = TextGenerator(
        model: language.model, context: try language.context(capacity: 512, format: format),
        stopTokens: [])
      return try generator.generate(.tokens(prompt), GenerationOptions(maximumTokens: count))
    }
  }

  /// Heads of 8 elements are hard on 8 bits: stories260K's story takes another turn after 120 tokens.
  @Test(
    "it tells the story from the beginning",
    arguments: [
      ("stories260K", KeyValueFormat.f32, 200), ("stories260K", .f16, 200),
      ("stories260K", .q8, 100), ("stories-qwen2", .f32, 200), ("stories-qwen2", .f16, 200),
    ])
  func story(_ name: String, _ format: KeyValueFormat, _ count: Int) throws {
    let story = try Story(name)
    let want = Array(try story.ids("greedy_from_bos").prefix(count))
    #expect(want.count == count)
    let result = try story.greedy([1], count: want.count, format: format)
    #expect(result.tokens == want)
    #expect(result.timings.steps == want.count - 1)
  }

  @Test("it continues a prompt", arguments: ["stories260K", "stories-qwen2"])
  func prompt(_ name: String) throws {
    let story = try Story(name)
    let want = try story.ids("prompt_greedy")
    let prompt = try story.ids("prompt_ids")
    #expect(try story.greedy(prompt, count: want.count, format: .f16).tokens == want)
  }

  @Test(
    "logits and mean loss over the prompt are upstream's",
    arguments: ["stories260K", "stories-qwen2"])
  func numbers(_ name: String) throws {
    let story = try Story(name)
    let language = story.language
    let prompt = try story.ids("prompt_ids")
    let context = try language.context(capacity: 64)
    let last = try language.model(.tokens(prompt), position: 0, context).array()
    let first = try #require(story.expected["last_logits_first8"]?.arrayValue)
      .compactMap(\.doubleValue)
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
    let want = try #require(story.expected["prompt_mean_nll"]?.doubleValue)
    #expect(abs(sum / Double(prompt.count - 1) - want) < 1e-5)
  }
}

/// The whole way: Hugging Face folder, container, session, text.
struct StoriesSessionTests {
  private func session(
    _ scheme: Scheme, in folder: TemporaryFolder, contextLength: Int? = nil
  ) throws -> LoadedModel {
    let output = folder.path("stories.vlmz")
    let conversion = try Conversion(
      source: try SourceModel.open(path: StoriesTests.folder),
      policy: QuantizationPolicy(scheme: scheme), ignoreUnexpected: false,
      pool: WorkerPool(threadCount: 2))
    _ = try conversion.run(to: output, overwrite: true) { _, _, _ in }
    return try LoadedModel(
      path: output, kernels: try KernelSet.selected(), threads: 2, contextLength: contextLength)
  }

  private func expected() throws -> JSONValue {
    let text = try MappedFile(path: StoriesTests.folder + "/expected.json")
    return try text.withBytes(0..<text.count) { try JSONValue.parse($0, limits: JSONLimits()) }
  }

  @Test("a converted folder tells the story, piece by piece")
  func story() throws {
    let session = try session(.f32, in: try TemporaryFolder())
    let expected = try expected()
    let prompt = try #require(expected["prompt"]?.stringValue)
    let ids = try #require(expected["prompt_ids"]?.arrayValue).compactMap(\.intValue)
    let found = try session.tokenizer?.encode(prompt)
    #expect(found == ids)
    #expect(session.defaults.stopTokens == [2])
    var shown = ""
    let result = try session.generate(
      prompt, GenerationOptions(maximumTokens: 64, continuesPrompt: true)
    ) { shown += $0 }
    #expect(prompt + result.text == expected["prompt_text"]?.stringValue)
    #expect(shown == result.text)
    #expect(result.ending == .length)
    let story = try session.generate([1], GenerationOptions(maximumTokens: 200))
    #expect(story.text == expected["text"]?.stringValue)
  }

  @Test("8 and 4 bits begin the same story", arguments: [Scheme.q8, .q4])
  func schemes(_ scheme: Scheme) throws {
    let session = try session(scheme, in: try TemporaryFolder())
    let result = try session.generate([1], GenerationOptions(maximumTokens: 60))
    #expect(result.text.hasPrefix("Once upon a time, there was a little "))
  }

  @Test("a stop string, a stop token, a full context and a cancellation end the text")
  func endings() throws {
    let session = try session(.f32, in: try TemporaryFolder(), contextLength: 40)
    let stopped = try session.generate([1], GenerationOptions(stopStrings: ["a little girl"]))
    #expect(stopped.text == "Once upon a time, there was ")
    #expect(stopped.ending == .stopString)
    let token = try session.generate([1], GenerationOptions(stopTokens: [432]))
    #expect(token.tokens == [403, 407, 261, 378])
    #expect(token.ending == .stopToken)
    let full = try session.generate([1], GenerationOptions())
    #expect(full.ending == .context)
    #expect(full.tokens.count == 40)
    let flag = CancellationFlag()
    let cancelled = try session.generate([1], GenerationOptions(), cancelled: flag) { text in
      if text.contains("time") { flag.cancel() }
    }
    #expect(cancelled.text == "Once upon a time")
    #expect(cancelled.ending == .cancelled)
  }

  @Test("a second turn runs only what is new, and says the same as from the start")
  func turns() throws {
    let session = try session(.q8, in: try TemporaryFolder())
    let first = try session.generate([1], GenerationOptions(maximumTokens: 20))
    let prompt = [1] + first.tokens + [13, 438]
    let second = try session.generate(prompt, GenerationOptions(maximumTokens: 20))
    // The last token of an answer was never run.
    #expect(second.timings.reusedTokens == 20)
    #expect(second.timings.promptTokens == 3)
    let fresh = try self.session(.q8, in: try TemporaryFolder())
    #expect(
      try fresh.generate(prompt, GenerationOptions(maximumTokens: 20)).tokens == second.tokens)
  }

  @Test("the same seed writes the same text on every instruction set at 8 bits")
  func seeds() throws {
    let folder = try TemporaryFolder()
    _ = try session(.q8, in: folder)
    let options = GenerationOptions(
      sampling: SamplingOptions(temperature: 0.8, topP: 0.9, seed: 7), maximumTokens: 40)
    var texts: Set<String> = []
    for kernels in KernelSet.all {
      let session = try LoadedModel(
        path: folder.path("stories.vlmz"), kernels: kernels, threads: 2, keyValueFormat: .f32)
      texts.insert(try session.generate([1], options).text)
    }
    #expect(texts.count == 1)
  }
}
