import Foundation
import Testing
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

@testable import VLMZConverter

/// The statistics of a language model, run block by block, against what follows from its hidden states
/// in an ordinary run.
@Suite("Calibration of language models")
struct LanguageCalibrationTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static let sequences = [
    TokenSequence(ids: (0..<40).map { 1 + $0 * 7 % 500 }),
    TokenSequence(ids: (0..<17).map { 3 + $0 * 11 % 500 }),
  ]

  /// Runs `sequences` and opens what was written.
  private func statistics(
    _ detail: InputStatistics.Detail, budget: Int, name: String
  ) throws -> StatisticsFile {
    let sums = WorkerPool(threadCount: 2)
    let collector = StatisticsCollector(kernels: .best, pool: sums)
    let model = try CalibrationFixture.observed(CalibrationFixture.stories, collector, in: folder)
    let language = try model.requireLanguage()
    let part = LanguagePart(
      language, Self.sequences, positions: 57, pool: model.pool, sightPool: model.pool,
      kernels: .best)
    let matrices = try model.description.manifest().filter { $0.role.isMatrix }
    let run = CalibrationRun(
      parts: [part], collector: collector,
      wanted: Dictionary(uniqueKeysWithValues: matrices.map { ($0.path, detail) }), budget: budget,
      path: model.path)
    let path = folder.path(name)
    let writer = try run.run(cancelled: nil) { groups in
      try StatisticsWriter(
        path: path, overwrite: false, groups: groups, provenance: ["tokens": 57], pool: sums)
    } progress: { _, _, _ in
    }
    try writer.commit()
    return try StatisticsFile.open(path: path)
  }

  @Test("every matrix is in one group, with those that share its input")
  func groups() throws {
    let file = try statistics(.moments, budget: 1 << 30, name: "s")
    let layers = 5
    #expect(file.groups.count == layers * 4 + 1)
    #expect(file.groups[0].tensors.map { String($0.suffix(13)) }.count == 3)
    #expect(file.groups[0].tensors.allSatisfy { $0.contains("self_attn") })
    #expect(file.groups[2].tensors.count == 2)
    #expect(file.groups.allSatisfy { !$0.hasHessian })
    for group in file.groups { #expect(file.moments(of: group).rows == 57) }
  }

  @Test("the inputs of the first matrices of a block are the norms of its hidden states")
  func reference() throws {
    let file = try statistics(.hessian, budget: 1 << 30, name: "s")
    let model = try Model(
      path: folder.path("reference.vlmz"), kernels: .best, threads: 2)
    let language = try model.requireLanguage()
    let (hidden, layers) = (language.layers.config.hidden, language.layers.config.layers)
    // Σ x xᵀ of the norms of `hidden.i`, in f64, by plain loops.
    var sums = [[Double]](repeating: .init(repeating: 0, count: hidden * hidden), count: layers)
    let norms = try (0..<layers).map { layer -> [Float] in
      let name = "layers.\(layer).input_layernorm.weight"
      let entry = try #require(model.container.tensor(named: name))
      return model.container.file.withBytes(entry.range) { Array($0.bindMemory(to: Float.self)) }
    }
    let context = try LLaMAContext(
      language.layers.config, capacity: 64, keyValueFormat: .f32, precision: .fast,
      pool: model.pool, kernels: .best)
    for sequence in Self.sequences {
      try language.layers(.tokens(sequence.ids), position: 0, context) { layer, rows, _ in
        guard layer < layers else { return }
        for row in 0..<rows.rows {
          let x = rows[row..<row + 1].array().map { Double($0) }
          let mean = x.reduce(0) { $0 + $1 * $1 } / Double(hidden)
          let scale = 1 / (mean + Double(language.layers.config.epsilon)).squareRoot()
          let y = zip(x, norms[layer]).map { $0 * scale * Double($1) }
          for i in 0..<hidden {
            for j in 0..<hidden { sums[layer][i * hidden + j] += y[i] * y[j] }
          }
        }
      }
    }
    for layer in 0..<layers {
      let group = file.groups[layer * 4]
      let squares = file.moments(of: group).squares
      let largest = squares.max() ?? 0
      for i in 0..<hidden {
        #expect(abs(squares[i] - sums[layer][i * hidden + i]) <= 1e-4 * largest)
      }
      let triangle = try self.triangle(of: group)
      var place = 0
      for i in 0..<hidden {
        for j in i..<hidden {
          #expect(abs(Double(triangle[place]) - sums[layer][i * hidden + j]) <= 1e-4 * largest)
          place += 1
        }
      }
    }
  }

  private func triangle(of group: StatisticsGroup) throws -> [Float] {
    try #require(try Expected(folder.path("s")).tensor(group.name + ".hessian")).values
  }

  @Test("a budget too small for a layer's Hessians takes several runs and gives the same bits")
  func passes() throws {
    let whole = try statistics(.hessian, budget: 1 << 30, name: "whole")
    let parts = try statistics(.hessian, budget: 1, name: "parts")
    #expect(whole.groups == parts.groups)
    #expect(
      try Data(contentsOf: URL(fileURLWithPath: whole.path))
        == Data(contentsOf: URL(fileURLWithPath: parts.path)))
  }

  /// stories260K in 8 bits.
  private func eightBits() throws -> Model {
    let path = folder.path("q8.vlmz")
    try CalibrationFixture.converter(CalibrationFixture.stories, .q8, nil).convert(to: path)
    return try Model(path: path, kernels: .best, threads: 2)
  }

  @Test("a step of several sequences gives the logits of each alone")
  func steps() throws {
    let model = try eightBits()
    let layers = try model.requireLanguage().layers
    func context() throws -> LLaMAContext {
      try layers.sequenceContext(length: 40, format: .f32, pool: model.pool, kernels: .best)
    }
    let contexts = try [context(), context()]
    let shared = try layers.sharedContext(count: 2, pool: model.pool, kernels: .best)
    let (long, short) = (Self.sequences[0].ids, Self.sequences[1].ids)
    var last: [[Float]] = [[], []]
    for position in long.indices {
      // The shorter one begins later.
      let start = long.count - short.count
      let ids = position < start ? [long[position]] : [long[position], short[position - start]]
      try layers.step(ids, Array(contexts.prefix(ids.count)), shared: shared) { row, logits in
        last[row] = logits.array()
      }
    }
    for (row, sequence) in Self.sequences.enumerated() {
      let alone = try layers.sequenceContext(
        length: 40, format: .f32, pool: model.pool, kernels: .best)
      var expected: [Float] = []
      for (position, id) in sequence.ids.enumerated() {
        expected = try layers(.tokens([id]), position: position, alone).array()
      }
      let size = expected.map(abs).max() ?? 0
      #expect(size > 1)
      for (a, b) in zip(last[row], expected) { #expect(abs(a - b) <= 1e-4 * size) }
    }
  }

  @Test("texts that are written together are those that are written alone")
  func writing() throws {
    let model = try eightBits()
    let language = try model.requireLanguage()
    let starts = (0..<20).map {
      TextWriter.Start(ids: $0 % 2 == 0 ? [1] : [1, 403, 407], length: 12 + $0, seed: UInt64($0))
    }
    let writer = try TextWriter(
      language.layers, length: 32, stopTokens: [2], pool: model.pool, kernels: .best,
      cancelled: nil)
    var steps: [Int] = []
    let together = try writer.write(starts) { steps.append($0) }
    #expect(steps == steps.sorted() && !steps.isEmpty)
    for (start, text) in zip(starts, together) {
      #expect(text.starts(with: start.ids) && text.count <= start.length && !text.contains(2))
    }
    #expect(Set(together).count == together.count)
    for index in [0, 7, 19] {
      #expect(try writer.write([starts[index]]) { _ in }.first == together[index])
    }
    let flag = CancellationFlag()
    flag.cancel()
    let cancelled = try TextWriter(
      language.layers, length: 32, stopTokens: [2], pool: model.pool, kernels: .best,
      cancelled: flag)
    #expect(throws: WorkCancelled.self) { try cancelled.write(starts) { _ in } }
  }
}
