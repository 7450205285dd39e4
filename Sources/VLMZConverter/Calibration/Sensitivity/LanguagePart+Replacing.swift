import VLMConversion
import VLMFoundation
import VLMModels
import VLMTensor
import VLMZ

/// A language model with a matrix replaced: of a block the noise in what it hands on, of the head
/// the divergence of the probabilities.
///
/// How noise between blocks shows in the probabilities depends on what makes it: errors of values
/// are alike at all positions, and attention does not average them out. So the matrices of one
/// kind, such as the values of all blocks, are also replaced together, in a stream of their own
/// through all blocks. The divergence that is left in the end corrects the losses of the kind. In a last
/// stream all matrices of all blocks are replaced: errors of deep models make up for one another in
/// part.
extension LanguagePart: ReplaceablePart {
  /// What is kept of a stage.
  struct Comparison {
    /// What enters the stage.
    var entering: [State] = []
    /// What leaves a block.
    var leaving: [State] = []
    /// `[rows, vocabulary]` of the head.
    var logits: [[Float]] = []
    /// What enters and leaves the stage where all matrices of a kind are replaced.
    var streams: [String: Stream] = [:]
    /// What losses are multiplied by, for each kind.
    var corrections: [String: Double] = [:]
    /// What those of all blocks are multiplied by beside.
    var together = 1.0
    /// What is run: its embeddings enter the first block.
    var sequences: [TokenSequence] = []
  }

  struct Stream {
    var entering: [State] = []
    /// Empty where the stage has no matrix of the kind.
    var leaving: [State] = []
    /// The losses of the kind's matrices so far.
    var loss = 0.0
  }

  /// Positions whose logits are compared, at most, and bytes of the logits that are kept for it.
  private static let (scoredRows, scoredBytes) = (256, 64 << 20)
  /// Positions of a text that is compared: some of several texts say more than all of one.
  private static let comparedLength = 256
  /// What the few positions are trusted with.
  private static let correctionRange = 0.2...8.0
  /// Streams of a block at most: of seven kinds of matrices, of all together, and of none.
  static let streamCount = 9
  /// The stream in which all matrices are replaced; no kind has this name.
  private static let all = ""

  func enter(stage: Int, _ amount: SensitivityRun.Amount) throws {
    if stage == 0 {
      comparison = Comparison()
      comparison.sequences = sample(positions: amount.positions)
      comparison.entering = try comparison.sequences.map { try entering($0) }
    } else if !comparison.leaving.isEmpty {
      comparison.entering = comparison.leaving
      comparison.streams = try comparison.streams.mapValues { stream in
        var next = stream
        next.entering =
          stream.leaving.isEmpty
          ? try stream.entering.map { try run(stage - 1, of: language.layers, on: $0) }
          : stream.leaving
        next.leaving = []
        return next
      }
    }
  }

  var statesToCompare: (streams: [ComparedStream], states: [MatrixView]) {
    let streams = comparison.streams.sorted { $0.key < $1.key }
    return (
      streams.map { ComparedStream(kind: $0.key, loss: $0.value.loss) },
      (comparison.entering + streams.flatMap(\.value.entering)).map(\.rows)
    )
  }

  func restore(
    _ streams: [ComparedStream], _ states: [MatrixView], comparingAt stage: Int,
    _ amount: SensitivityRun.Amount
  ) -> Bool {
    // The embeddings are made again.
    guard stage > 0 else { return streams.isEmpty && states.isEmpty }
    let sequences = sample(positions: amount.positions)
    let (count, hidden) = (sequences.count, language.layers.config.hidden)
    guard states.count == count * (1 + streams.count) else { return false }
    for (index, state) in states.enumerated() {
      guard state.columns == hidden, state.rows == states[index % count].rows else { return false }
    }
    let taken = states.map { rows in
      let state = State(rows: rows.rows, columns: rows.columns)
      state.rows.copy(rows)
      return state
    }
    comparison = Comparison()
    comparison.sequences = sequences
    comparison.entering = Array(taken[..<count])
    for (index, stream) in streams.enumerated() {
      let first = (1 + index) * count
      comparison.streams[stream.kind] = Stream(
        entering: Array(taken[first..<first + count]), loss: stream.loss)
    }
    // The stages before it are not probed.
    probed.rows.copy(taken[0].rows[0..<1])
    return true
  }

  func beginComparing(stage: Int, _ amount: SensitivityRun.Amount) throws {
    comparison.leaving = []
    if stage < language.layers.config.layers {
      comparison.leaving = try comparison.entering.map { state in
        try run(stage, of: language.layers, on: state)
      }
    } else {
      let streams = comparison.streams.mapValues { (scored($0.entering), $0.loss) }
      let exact = scored(comparison.entering)
      comparison.entering = [exact]
      comparison.logits = try logits(of: language.layers, behind: exact)
      var sum = 0.0
      // In an order of their own: a sum's last bit would depend on the process.
      for kind in streams.keys.sorted() where kind != Self.all {
        guard let (rows, loss) = streams[kind], loss > 0 else { continue }
        let found = divergence(try logits(of: language.layers, behind: rows))
        let range = Self.correctionRange
        let correction = min(max(found / loss, range.lowerBound), range.upperBound)
        comparison.corrections[kind] = correction
        sum += correction * loss
      }
      if let (rows, _) = streams[Self.all], sum > 0 {
        let found = divergence(try logits(of: language.layers, behind: rows))
        let range = Self.correctionRange
        comparison.together = min(max(found / sum, range.lowerBound), range.upperBound)
      }
      comparison.streams = [:]
    }
  }

  func loss(stage: Int, with replaced: ReplacedModel) throws -> Double {
    guard let model = try replaced.language() else { return 0 }
    if stage == language.layers.config.layers {
      guard let rows = comparison.entering.first else { return 0 }
      return divergence(try logits(of: model, behind: try passed(model) ?? rows))
    }
    var (sum, rows) = (0.0, 0)
    for (state, exact) in zip(comparison.entering, comparison.leaving) {
      let found = try run(stage, of: model, on: state)
      sum += Double(exact.rows.rows) * ResidualNoise.mean(found.rows, of: exact.rows)
      rows += exact.rows.rows
    }
    let loss = ResidualNoise.divergence * sum / Double(max(1, rows))
    let kind = Spending.kind(of: replaced.replacements.first?.name ?? "")
    var stream = comparison.streams[kind] ?? Stream(entering: comparison.entering)
    stream.leaving = try stream.entering.map { try run(stage, of: model, on: $0) }
    stream.loss += loss
    comparison.streams[kind] = stream
    return loss
  }

  var comparesTogether: Bool { true }

  func loseTogether(stage: Int, with replaced: ReplacedModel) throws {
    guard stage < language.layers.config.layers, let model = try replaced.language() else { return }
    var stream = comparison.streams[Self.all] ?? Stream(entering: comparison.entering)
    stream.leaving = try stream.entering.map { try run(stage, of: model, on: $0) }
    comparison.streams[Self.all] = stream
  }

  func correction(of tensor: String) -> Double {
    // The head is run behind blocks as they are.
    comparison.corrections[Spending.kind(of: tensor)].map { $0 * comparison.together } ?? 1
  }

  func endComparing() { comparison = Comparison() }

  /// Sequences of at least so many positions together, evenly chosen; of texts their beginnings.
  private func sample(positions: Int) -> [TokenSequence] {
    let isText = sequences.allSatisfy(\.pictures.isEmpty)
    let mean = max(1, self.positions / max(1, sequences.count))
    let length = isText ? min(mean, Self.comparedLength) : mean
    let count = max(1, min(sequences.count, (positions + length - 1) / length))
    return sequences.evenly(count).map { sequence in
      var sequence = sequence
      if isText { sequence.ids = Array(sequence.ids.prefix(Self.comparedLength)) }
      return sequence
    }
  }

  /// The rows whose logits are compared, where a head is the table of embeddings too: then errors of it
  /// pass through all blocks. Nil for other heads, and behind pictures, whose tokens make up most of
  /// what enters.
  private func passed(_ model: LLaMA) throws -> State? {
    guard model.config.tiedEmbeddings, language.pictures == nil else { return nil }
    let states = try comparison.sequences.map { sequence in
      let state = State(rows: sequence.ids.count, columns: model.config.hidden)
      try model.embed(sequence.ids, into: state.rows)
      let context = try context(length: state.rows.rows)
      for block in 0..<model.config.layers { try model.run(block: block, on: state.rows, context) }
      return state
    }
    return scored(states)
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

  /// The mean divergence of predictions from those of the model as it is.
  private func divergence(_ found: [[Float]]) -> Double {
    let sum = zip(comparison.logits, found).reduce(0.0) { sum, pair in
      sum + (ClassScores.divergence(of: pair.1, from: pair.0, as: .softmax) ?? 0)
    }
    return sum / Double(max(1, found.count))
  }

  private func logits(of model: LLaMA, behind state: State) throws -> [[Float]] {
    let copy = State(rows: state.rows.rows, columns: state.rows.columns)
    copy.rows.copy(state.rows)
    var found: [[Float]] = []
    model.score(copy.rows, try context(length: state.rows.rows)) { logits, _ in
      for row in 0..<logits.rows { found.append(logits.withRow(row) { Array($0) }) }
    }
    return found
  }
}
