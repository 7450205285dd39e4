import VLMModels
import VLMTensor
import VLMZ

extension Towers {
  /// Positions of a page, those of an engine.
  private static let pagePositions = 64

  /// The next token of each of `count` answers, whose keys and values are drawn.
  func prepareAnswers(
    _ name: CaseName, _ model: String, _ scheme: Scheme, count: Int, positions: Int,
    kernels: KernelSet
  ) throws -> PreparedCase {
    let (config, opened) = try openLanguage(
      model, scheme, kernels: kernels, threads: name.threads)
    let language = try opened.requireLanguage().layers
    let pages = (positions + Self.pagePositions - 1) / Self.pagePositions
    let memory = try language.pages(
      count: count * pages, positions: Self.pagePositions, format: .f16, kernels: kernels)
    let context = try language.workspace(rows: count, pool: opened.pool, kernels: kernels)
    let sequences = (0..<count).map { number in
      let sequence = PagedSequence(
        in: memory, positions: pages * Self.pagePositions, promptLength: positions)
      for page in 0..<pages {
        sequence.adopt(number * pages + page, positions: Self.pagePositions)
      }
      return sequence
    }
    for sequence in sequences {
      Self.fill(sequence, memory, config)
      sequence.truncate(to: positions - 1)
    }
    let parts = sequences.enumerated().map { number, sequence in
      LLaMA.Part(
        sequence, .tokens([(number * 7919 + 11) % config.vocabulary]), needsLogits: true)
    }
    return PreparedCase(
      name: name, operations: Double(count) * config.operations(rows: 1, positions: positions),
      bytes: opened.bytesOfPass(config), bound: name.bound
    ) {
      try withExtendedLifetime(opened) {
        try language(parts, in: memory, context) { _, _ in }
      }
      for sequence in sequences { sequence.truncate(to: positions - 1) }
    }
  }

  /// Keys and values of all positions, so that reading them is reading memory.
  private static func fill(
    _ sequence: PagedSequence, _ memory: KeyValuePages, _ config: LLaMAConfig
  ) {
    let width = config.keyValueColumns
    let drawn = Activations(count: sequence.count * width)
    drawn.withValues(drawn.count) { values in
      for index in values.indices { values[index] = Float(index * 7919 % 2003) / 1001 - 1 }
    }
    let rows = drawn.matrix(rows: sequence.count, columns: width)
    var places = PagedRows()
    places.append(sequence.count, at: 0, in: sequence.table)
    for layer in 0..<config.layers {
      memory.store(keys: rows, values: rows, as: places, layer: layer, pool: nil)
    }
  }
}
