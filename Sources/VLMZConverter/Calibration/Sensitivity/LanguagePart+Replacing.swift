import VLMFoundation
import VLMModels
import VLMTensor
import VLMZ

/// A language model with a matrix replaced: of a block the noise in what it hands on, of the head the
/// divergence of the probabilities.
extension LanguagePart: ReplaceablePart {
  var comparisonSteps: Int { 1 }

  /// What is kept of a stage.
  struct Comparison {
    /// What enters the stage.
    var entering: [State] = []
    /// What leaves a block.
    var leaving: [State] = []
    /// `[rows, vocabulary]` of the head.
    var logits: [[Float]] = []
  }

  /// Positions whose logits are compared, at most, and bytes of the logits that are kept for it.
  private static let (scoredRows, scoredBytes) = (256, 64 << 20)

  func beginComparing(stage: Int, _ amount: SensitivityRun.Amount) throws {
    if stage == 0 {
      comparison = Comparison()
      comparison.entering = try sample(positions: amount.positions)
    } else if !comparison.leaving.isEmpty {
      comparison.entering = comparison.leaving
    }
    comparison.leaving = []
    if stage < language.layers.config.layers {
      comparison.leaving = try comparison.entering.map { state in
        try run(stage, of: language.layers, on: state)
      }
    } else {
      comparison.entering = [scored(comparison.entering)]
      comparison.logits = try logits(of: language.layers)
    }
  }

  func loss(stage: Int, with replaced: ReplacedModel) throws -> Double {
    guard let model = try replaced.language() else { return 0 }
    if stage == language.layers.config.layers {
      let found = try logits(of: model)
      let sum = zip(comparison.logits, found).reduce(0.0) { sum, pair in
        sum + (ClassScores.divergence(of: pair.1, from: pair.0, as: .softmax) ?? 0)
      }
      return sum / Double(max(1, found.count))
    }
    var (sum, rows) = (0.0, 0)
    for (state, exact) in zip(comparison.entering, comparison.leaving) {
      let found = try run(stage, of: model, on: state)
      sum += Double(exact.rows.rows) * ResidualNoise.mean(found.rows, of: exact.rows)
      rows += exact.rows.rows
    }
    return ResidualNoise.divergence * sum / Double(max(1, rows))
  }

  func endComparing() { comparison = Comparison() }

  /// Whole sequences of at least so many positions together, evenly chosen.
  private func sample(positions: Int) throws -> [State] {
    let mean = max(1, self.positions / max(1, sequences.count))
    let count = max(1, min(sequences.count, (positions + mean - 1) / mean))
    return try sequences.evenly(count).map { try entering($0) }
  }

  private func run(_ block: Int, of model: LLaMA, on state: State) throws -> State {
    let copy = State(rows: state.rows.rows, columns: state.rows.columns)
    copy.rows.copy(state.rows)
    try model.run(block: block, on: copy.rows, try context(length: state.rows.rows))
    return copy
  }

  /// Rows whose logits are compared, evenly chosen; the first of a sequence are like no other.
  private func scored(_ states: [State]) -> State {
    let config = language.layers.config
    let limit = max(16, min(Self.scoredRows, Self.scoredBytes / 4 / config.vocabulary))
    let places = states.indices.flatMap { index in
      (min(4, states[index].rows.rows - 1)..<states[index].rows.rows).map { (index, $0) }
    }.evenly(limit)
    let result = State(rows: places.count, columns: config.hidden)
    for (row, (index, position)) in places.enumerated() {
      result.rows[row..<row + 1].copy(states[index].rows[position..<position + 1])
    }
    return result
  }

  private func logits(of model: LLaMA) throws -> [[Float]] {
    guard let state = comparison.entering.first else { return [] }
    let copy = State(rows: state.rows.rows, columns: state.rows.columns)
    copy.rows.copy(state.rows)
    var found: [[Float]] = []
    model.score(copy.rows, try context(length: state.rows.rows)) { logits, _ in
      for row in 0..<logits.rows { found.append(logits.withRow(row) { Array($0) }) }
    }
    return found
  }
}
