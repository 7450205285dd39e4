import VLMFoundation
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// A language model over sequences, block by block: all sequences pass a block before the next. What
/// lies between blocks is kept in memory, `[positions, hidden]` f32 of each sequence.
final class LanguagePart: CalibrationPart {
  let language: LanguageModel
  let sequences: [TokenSequence]
  let positions: Int
  private let pool: WorkerPool
  private let kernels: KernelSet
  private let sightPool: WorkerPool
  /// What enters the next block; empty until the first stage is run.
  private var held: [State] = []
  private var context: LLaMAContext?
  /// Of the run on little.
  let probed: State
  /// Of the runs with a matrix replaced.
  var comparison = Comparison()

  /// Of a model in 8 bits the first positions, whose activations are huge, need more than codes.
  private static let precision = LLaMAContext.Precision.balanced

  /// Rows between two blocks.
  struct State {
    let memory: Activations
    let rows: MatrixView

    init(rows: Int, columns: Int) {
      memory = Activations(count: rows * columns)
      self.rows = memory.matrix(rows: rows, columns: columns)
    }
  }

  let name = "text"
  /// The blocks and the head.
  var stageCount: Int { language.layers.config.layers + 1 }
  var stepCount: Int { sequences.count }

  /// - Parameters:
  ///   - positions: of all sequences, about.
  ///   - sightPool: threads for the tower.
  init(
    _ language: LanguageModel, _ sequences: [TokenSequence], positions: Int, pool: WorkerPool,
    sightPool: WorkerPool, kernels: KernelSet
  ) {
    self.language = language
    self.sequences = sequences
    self.positions = positions
    self.pool = pool
    self.sightPool = sightPool
    self.kernels = kernels
    probed = State(rows: 1, columns: language.layers.config.hidden)
  }

  func probe(stage: Int) throws {
    if stage == 0 {
      let id = sequences.first?.ids.first { $0 != ImagePrompt.sentinel }
      try language.layers.embed([id ?? 0], into: probed.rows)
    }
    try run(stage, on: probed, try context(length: 1))
  }

  func run(stage: Int, isLast: Bool, step: () throws -> Void) throws {
    if held.isEmpty {
      // What lies between blocks.
      let bytes = positions * language.layers.config.hidden * MemoryLayout<Float>.stride
      try SystemMemory.require(bytes, of: Machine.memory.planned, for: "calibration")
      held = try sequences.map { try entering($0) }
    }
    let context = try context(length: held.reduce(1) { max($0, $1.rows.rows) })
    for state in held {
      try step()
      if isLast {
        try run(stage, on: state, context)
      } else {
        let copy = State(rows: state.rows.rows, columns: state.rows.columns)
        copy.rows.copy(state.rows)
        try run(stage, on: copy, context)
      }
    }
    if isLast, stage == stageCount - 1 { (held, self.context) = ([], nil) }
  }

  var states: [MatrixView] { held.map(\.rows) }

  func restore(_ states: [MatrixView], before stage: Int) throws -> Bool {
    guard stage > 0 else { return states.isEmpty }
    let hidden = language.layers.config.hidden
    guard states.count == sequences.count, states.allSatisfy({ $0.columns == hidden }) else {
      return false
    }
    held = states.map { rows in
      let state = State(rows: rows.rows, columns: rows.columns)
      state.rows.copy(rows)
      return state
    }
    return true
  }

  private func run(_ stage: Int, on state: State, _ context: LLaMAContext) throws {
    if stage < language.layers.config.layers {
      try language.layers.run(block: stage, on: state.rows, context)
    } else {
      language.layers.showHead(state.rows)
    }
  }

  func context(length: Int) throws -> LLaMAContext {
    if let context, context.capacity >= length { return context }
    let made = try language.layers.layerContext(
      length: length, precision: Self.precision, pool: pool, kernels: kernels)
    context = made
    return made
  }

  /// The embeddings of a sequence, pictures in their places.
  func entering(_ sequence: TokenSequence) throws -> State {
    let hidden = language.layers.config.hidden
    guard let model = language.pictures else {
      let state = State(rows: sequence.ids.count, columns: hidden)
      try language.layers.embed(sequence.ids, into: state.rows)
      return state
    }
    let areSeveral = sequence.pictures.count > 1
    let images = try sequence.pictures.map {
      try language.visualTokens(of: $0, isOneOfSeveral: areSeveral, pool: sightPool)
    }
    let splice = try Splice(
      sequence.ids, sentinel: ImagePrompt.sentinel, images: images.map(\.runs))
    let state = State(rows: splice.count, columns: hidden)
    try model.embed(splice.pieces, images: images, into: state.rows)
    return state
  }
}
