import ArgumentParser
import VLMCommandLine
import VLMFoundation
import VLMModels
import VLMTensor
import VLMZ

/// `vlm-bench language`: speed of a language model, and its perplexity on a text.
struct LanguageCommand: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "language",
      abstract: "Speed and quality of a language model in a container.",
      discussion: """
        Prints the median time of a prompt and of each token after it; with --text the mean loss per \
        token; with --reference the mean divergence (KL, in nats) from that model's probabilities.
        """)
  }

  @Argument(help: "A .vlmz with a language model.")
  var model: String

  @Option(help: ArgumentHelp("A text to measure the perplexity on.", valueName: "file"))
  var text: String?

  @Option(help: ArgumentHelp("The model to compare with, usually at f32.", valueName: "file"))
  var reference: String?

  @Option(help: "Tokens of a window of the text.")
  var window = 256

  @Flag(help: "Count only what stands behind the first half of each window, as llama.cpp does.")
  var half = false

  @Option(help: "Windows at most.")
  var windows = 1_000_000

  @Option(help: "Tokens of the prompt that is timed; 0 for no timing.")
  var prompt = 512

  @Option(help: "Tokens that are generated and timed.")
  var tokens = 64

  @Option(help: "Times the prompt is run.")
  var runs = 3

  @Option(help: "A text to continue, printed.")
  var write: String?

  @Option(help: ArgumentHelp("Keys and values: f32, f16, q8 or bf16.", valueName: "format"))
  var cache: KeyValueFormat = .f16

  @Option(help: ArgumentHelp("Activations: fast, balanced or exact.", valueName: "precision"))
  var precision: LLaMAContext.Precision = .balanced

  @Option(help: "Threads; default: the processors this process may use.")
  var threads: Int?

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    for (name, value, range) in [
      ("--window", window, 2...1_000_000), ("--windows", windows, 1...1_000_000_000),
      ("--prompt", prompt, 0...1_000_000), ("--tokens", tokens, 1...1_000_000),
      ("--runs", runs, 1...1000), ("--threads", threads ?? 1, 1...ThreadCount.maximum),
    ] where !range.contains(value) {
      throw ValidationError(
        "\(name): found \(value), expected \(range.lowerBound) to \(range.upperBound)")
    }
  }

  func run() throws {
    let opened = try open(model)
    let session = try generator(opened)
    var result = JSONObject()
    result.set("model", .string(model))
    result.set("bytes", .int(opened.container.tensors.reduce(0) { $0 + $1.range.count }))
    if let write {
      let text = try session.generate(
        write, GenerationOptions(maximumTokens: tokens, continuesPrompt: true))
      result.set("text", .string(text.text))
    }
    if prompt > 0 { try time(session, &result) }
    if let text { try measurePerplexity(text, session, &result) }
    if json {
      Report.line(JSONValue.object(result).serialized())
    } else {
      for member in result.members {
        Report.line("\(member.key): \(Self.text(member.value))")
      }
    }
  }

  /// For people: no more digits than mean something.
  private static func text(_ value: JSONValue) -> String {
    if let text = value.stringValue { return text }
    if let whole = value.intValue { return String(whole) }
    return value.doubleValue.map { decimal($0, $0 < 100 ? 4 : 1) } ?? value.serialized()
  }

  private func generator(_ model: Model) throws -> TextGenerator {
    try model.requireLanguage().generator(
      pool: model.pool, contextLength: max(window, prompt + tokens, 512), keyValueFormat: cache,
      precision: precision)
  }

  private func open(_ path: String) throws -> Model {
    try Model(
      path: path, kernels: try Environment.kernelSet(),
      threads: try threads ?? Environment.threadCount())
  }

  private func time(_ session: TextGenerator, _ result: inout JSONObject) throws {
    let vocabulary = session.model.config.vocabulary
    // Drawn prompts and greedy answers repeat themselves as no text does.
    var options = GenerationOptions(maximumTokens: tokens, stopTokens: [], speculatedTokens: 0)
    var prompts: [Double] = []
    var steps: [Double] = []
    for run in 0..<runs {
      // Another prompt each time, or the context would have it already.
      let ids = (0..<prompt).map { ($0 * 7919 + run * 104_729 + 11) % vocabulary }
      options.sampling.seed = UInt64(run)
      let timings = try session.generate(ids, options).timings
      prompts.append(timings.promptTokensPerSecond)
      steps.append(timings.tokensPerSecond)
    }
    prompts.sort()
    steps.sort()
    result.set("prompt_tokens_per_second", .double(prompts[runs / 2]))
    result.set("tokens_per_second", .double(steps[runs / 2]))
  }

  private func measurePerplexity(
    _ path: String, _ session: TextGenerator, _ result: inout JSONObject
  ) throws {
    guard let tokenizer = session.tokenizer else {
      throw GenerationError(file: model, .noTokenizer)
    }
    let file = try MappedFile(path: path)
    let content = file.withBytes(0..<file.count) { String(decoding: $0, as: UTF8.self) }
    let bos = tokenizer.addsBOS ? tokenizer.bos : nil
    var ids = try tokenizer.encode(content, bos: false, eos: false, parsesSpecial: false)
    let step = window - (bos == nil ? 0 : 1)
    ids = Array(ids.prefix(step.multipliedReportingOverflow(by: windows).partialValue))
    let quality = try LanguageQuality(
      session, ids: ids, window: window, bos: bos, countsHalf: half,
      reference: try reference.map { try generator(open($0)) })
    result.set("tokens", .int(quality.tokens))
    result.set("mean_loss", .double(quality.meanLoss))
    result.set("perplexity", .double(quality.perplexity))
    if let divergence = quality.meanDivergence {
      result.set("mean_divergence", .double(divergence))
    }
    if let agreement = quality.agreement { result.set("same_best_token", .double(agreement)) }
  }
}

extension KeyValueFormat: ExpressibleByArgument {}
extension LLaMAContext.Precision: ExpressibleByArgument {}
