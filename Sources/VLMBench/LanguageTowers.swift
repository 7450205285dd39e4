import VLMModels
import VLMTensor
import VLMZ

extension RandomModel {
  static let languageNames = [
    "smollm2", "smollm2-360m", "qwen2-0.5b", "qwen2-1.5b", "llama-7b", "llama-13b",
  ]

  /// Language models of published sizes. Behind a dot the number of layers, where it should be
  /// another: `llama-7b.2` is two layers of the 7B's width, with its embeddings and head.
  package static func language(named name: String) throws -> LLaMAConfig {
    // Some names have a dot of their own.
    let layers = name.split(separator: ".").last.flatMap { Int($0) }
    let model = layers.map { String(name.dropLast("\($0)".count + 1)) } ?? name
    var config: LLaMAConfig
    switch model {
    case "smollm2":
      config = LLaMAConfig(
        vocabulary: 49_152, hidden: 576, layers: 30, heads: 9, keyValueHeads: 3, headDimension: 64,
        feedForward: 1536, epsilon: 1e-5, ropeBase: 100_000, tiedEmbeddings: true,
        contextLength: 8192)
    case "smollm2-360m":
      config = LLaMAConfig(
        vocabulary: 49_152, hidden: 960, layers: 32, heads: 15, keyValueHeads: 5,
        headDimension: 64, feedForward: 2560, epsilon: 1e-5, ropeBase: 100_000,
        tiedEmbeddings: true, contextLength: 8192)
    case "qwen2-0.5b":
      config = LLaMAConfig(
        vocabulary: 151_936, hidden: 896, layers: 24, heads: 14, keyValueHeads: 2,
        headDimension: 64, feedForward: 4864, epsilon: 1e-6, ropeBase: 1_000_000,
        tiedEmbeddings: true, attentionBias: true, contextLength: 32_768)
    case "qwen2-1.5b":
      config = LLaMAConfig(
        vocabulary: 151_936, hidden: 1536, layers: 28, heads: 12, keyValueHeads: 2,
        headDimension: 128, feedForward: 8960, epsilon: 1e-6, ropeBase: 1_000_000,
        tiedEmbeddings: true, attentionBias: true, contextLength: 32_768)
    case "llama-7b":
      config = LLaMAConfig(
        vocabulary: 32_000, hidden: 4096, layers: 32, heads: 32, keyValueHeads: 32,
        headDimension: 128, feedForward: 11_008, epsilon: 1e-5, contextLength: 4096)
    case "llama-13b":
      config = LLaMAConfig(
        vocabulary: 32_000, hidden: 5120, layers: 40, heads: 40, keyValueHeads: 40,
        headDimension: 128, feedForward: 13_824, epsilon: 1e-5, contextLength: 4096)
    default: throw BenchError(.unknownModel(name))
    }
    if let layers {
      config.layers = layers
      try config.validate()
    }
    return config
  }
}

extension Towers {
  /// A language model of random weights by its name, opened.
  func openLanguage(
    _ model: String, _ scheme: Scheme, kernels: KernelSet, threads: Int
  ) throws -> (LLaMAConfig, Model) {
    let config = try RandomModel.language(named: model)
    let opened = try Model(
      path: try path(model, scheme) { path in
        try RandomModel.write(
          ModelDescription(LLaMAFamily.self, config), scheme: scheme, to: path)
      }, kernels: kernels, threads: threads)
    return (config, opened)
  }

  func prepareLanguage(
    _ name: CaseName, _ model: String, _ scheme: Scheme, rows: Int, positions: Int,
    kernels: KernelSet
  ) throws -> PreparedCase {
    let (config, opened) = try openLanguage(
      model, scheme, kernels: kernels, threads: name.threads)
    let generator = try opened.requireLanguage().generator(
      pool: opened.pool, contextLength: positions)
    let (language, context) = (generator.model, generator.context)
    let ids = (0..<positions).map { ($0 * 7919 + 11) % config.vocabulary }
    let held = positions - rows
    if held > 0 { _ = try language(.tokens(Array(ids[..<held])), position: 0, context) }
    let last = Array(ids[held...])
    let weights = opened.bytesOfPass(config)
    let operations = config.operations(rows: rows, positions: positions)
    if case .speculation = name.work {
      let heads = 2 * Double(config.hidden) * Double(config.vocabulary) * Double(rows - 1)
      return PreparedCase(
        name: name, operations: operations + heads, bytes: weights, bound: name.bound
      ) { _ = try generator.model.logits(behindEachOf: last, position: held, context) }
    }
    return PreparedCase(
      name: name, operations: operations, bytes: weights, bound: name.bound
    ) { _ = try generator.model(.tokens(last), position: held, context) }
  }
}

extension Model {
  /// Bytes of weights that a pass of a language model reads.
  func bytesOfPass(_ config: LLaMAConfig) -> Double {
    let read = container.tensors.filter {
      config.tiedEmbeddings || $0.name != "embed_tokens.weight"
    }
    return Double(read.reduce(0) { $0 + $1.range.count })
  }
}

extension LLaMAConfig {
  /// Products and additions in matrices for the last `rows` of `positions`, each counted, the head
  /// for one row; those of attention over the keys that are seen.
  package func operations(rows: Int, positions: Int) -> Double {
    let perRow =
      hidden * (2 * queryColumns + 2 * keyValueColumns) + 3 * hidden * feedForward
    let seen = Double(rows) * (Double(positions) - Double(rows - 1) / 2)
    let layer = Double(rows) * Double(perRow) + 2 * seen * Double(queryColumns)
    return 2 * (Double(layers) * layer + Double(hidden) * Double(vocabulary))
  }
}
