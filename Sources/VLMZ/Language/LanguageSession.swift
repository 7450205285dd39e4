import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText

/// A language model opened from a container, ready to write.
///
/// Not thread-safe: one caller at a time; inside, the pool's threads share the work.
package final class LanguageSession {
  package let container: Container
  package let config: LLaMAConfig
  package let kernels: KernelSet
  package let pool: WorkerPool
  package let generator: TextGenerator
  package let defaults: GenerationDefaults

  /// - Parameters:
  ///   - contextLength: positions of the longest sequence; nil for the model's, but not more than
  ///     `defaultContextLength`, nor than the memory leaves room for.
  /// - Throws: `ContainerError`, `ModelError` when the file is damaged, is no language model, or
  ///   needs more memory than there is.
  package convenience init(
    path: String, kernels: KernelSet, threads: Int, contextLength: Int? = nil,
    chunkRows: Int = LLaMAContext.defaultChunkRows, keyValueFormat: KeyValueFormat = .f16,
    precision: LLaMAContext.Precision = .balanced
  ) throws {
    try self.init(
      try Container.open(path: path), kernels: kernels, threads: threads,
      contextLength: contextLength, chunkRows: chunkRows, keyValueFormat: keyValueFormat,
      precision: precision)
  }

  /// The same of a container that is open.
  package init(
    _ container: Container, kernels: KernelSet, threads: Int, contextLength: Int? = nil,
    chunkRows: Int = LLaMAContext.defaultChunkRows, keyValueFormat: KeyValueFormat = .f16,
    precision: LLaMAContext.Precision = .balanced
  ) throws {
    let file = container.path
    let description = try container.modelDescription()
    guard let config = description.language, !description.seesPictures else {
      throw GenerationError(file: file, .notLanguage(architecture: description.architecture))
    }
    let weights = ContainerWeights(container)
    let model = try ModelError.inFile(file) {
      try LLaMA(Weights(weights, kernels: kernels), config)
    }
    try weights.requireAllUsed()
    let pool = WorkerPool(threadCount: threads)
    let context = try ModelError.inFile(file) {
      try LLaMAContext(
        config,
        capacity: contextLength
          ?? Self.defaultCapacity(config, format: keyValueFormat, threads: pool.threadCount),
        chunkRows: chunkRows, keyValueFormat: keyValueFormat, precision: precision,
        pool: pool, kernels: kernels)
    }
    defaults = try container.generationDefaults()
    generator = TextGenerator(
      model: model, context: context, tokenizer: try container.tokenizer(of: description),
      stopTokens: Set(defaults.stopTokens), checkWeights: { try container.checkUnchanged() })
    self.container = container
    self.config = config
    self.kernels = kernels
    self.pool = pool
  }

  /// Keys and values of longer contexts take gigabytes; who wants them says so.
  package static let defaultContextLength = 4096

  /// Positions of a context where the user names none: as many as the memory leaves room for.
  static func defaultCapacity(
    _ config: LLaMAConfig, format: KeyValueFormat, threads: Int
  ) -> Int {
    let wanted = min(config.contextLength, defaultContextLength)
    return LLaMAContext.capacity(
      fitting: Machine.memory.planned, atMost: wanted, config, format: format, threads: threads)
      ?? wanted
  }

  package var tokenizer: Tokenizer? { generator.tokenizer }

  /// Continues a text.
  ///
  /// - Parameter prompt: as the tokenizer takes it; special tokens in it count as such.
  /// - Throws: as `TextGenerator.generate`, and for a model without a tokenizer.
  package func generate(
    _ prompt: String, _ options: GenerationOptions, cancelled: CancellationFlag? = nil,
    emit: (String) -> Void = { _ in }
  ) throws -> Generation {
    guard let tokenizer else { throw GenerationError(file: container.path, .noTokenizer) }
    return try generate(try tokenizer.encode(prompt), options, cancelled: cancelled, emit: emit)
  }

  package func generate(
    _ tokens: [Int], _ options: GenerationOptions, cancelled: CancellationFlag? = nil,
    emit: (String) -> Void = { _ in }
  ) throws -> Generation {
    try ModelError.inFile(container.path) {
      try generator.generate(.tokens(tokens), options, cancelled: cancelled, emit: emit)
    }
  }
}

extension Container {
  /// The tokenizer; nil when the file has none.
  ///
  /// - Throws: `ContainerError`, `TextError` for a section that is damaged, `ModelError` for one with
  ///   tokens that the model has no embeddings of.
  package func tokenizer(of description: ModelDescription) throws -> Tokenizer? {
    guard let bytes = try section(.tokenizer) else { return nil }
    let tokenizer = try Tokenizer(container: bytes, file: path)
    if let rows = description.tokenRows, let left = tokenizer.pieces(from: rows) {
      throw ModelError(
        file: path,
        .tokenWithoutRow(token: left.first, id: left.id, others: left.count - 1, rows: rows))
    }
    return tokenizer
  }

  /// What the model's makers want; greedy without end tokens where the file says nothing.
  package func generationDefaults() throws -> GenerationDefaults {
    guard let json = try json(.generationConfig) else { return GenerationDefaults() }
    return try ModelError.inFile(path) { try GenerationDefaults(json: json) }
  }
}
