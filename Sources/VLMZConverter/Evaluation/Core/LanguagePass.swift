import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// A language model over sequences, block by block: all of them pass a block before the next, so that
/// a model larger than memory is read once. Keys, values and precision are those of ordinary use.
struct LanguagePass {
  private let pass: ModelPass
  private let language: LanguageModel

  private var model: Model { pass.model }
  private var sequences: [TokenSequence] { pass.items.sequences }

  /// What lies between two blocks of a sequence.
  private struct State {
    let index: Int
    let memory: Activations
    /// `[positions, hidden]`.
    let rows: MatrixView
  }

  init(_ pass: ModelPass, _ language: LanguageModel) {
    self.pass = pass
    self.language = language
  }

  func run(into sink: any OutputSink) throws {
    let wanted = sequences.indices.filter { sink.wants(.sequence($0)) }
    let blocks = language.layers.config.layers
    // A sequence is a step when it is read and in each block, and one where its logits are made.
    let total = wanted.count * (blocks + 2)
    var done = 0
    func step() throws {
      try pass.check()
      pass.progress(done, total, "text")
      done += 1
    }
    var next = 0
    while next < wanted.count {
      var states: [State] = []
      var left = Self.budget
      while next < wanted.count, left > 0 || states.isEmpty {
        try step()
        if let state = try entering(wanted[next], sink) {
          states.append(state)
          left -= state.rows.rows * state.rows.columns * MemoryLayout<Float>.stride
        }
        next += 1
      }
      let context = try ModelError.inFile(model.path) {
        try language.layers.scoringContext(
          length: states.reduce(1) { max($0, $1.rows.rows) }, pool: model.pool,
          kernels: model.kernels)
      }
      for block in 0..<blocks {
        for state in states {
          try step()
          try language.layers.run(block: block, on: state.rows, context)
        }
      }
      for state in states {
        try step()
        try score(state, context, sink)
      }
      // Of sequences that were skipped.
      done = next * (blocks + 2)
      try model.container.checkUnchanged()
    }
  }

  /// Bytes that may lie between two blocks: an eighth of the memory that is planned with, 1 GB at
  /// most.
  private static var budget: Int { min(1 << 30, Machine.memory.planned / 8) }

  /// The logits behind the positions whose next token counts.
  private func score(_ state: State, _ context: LLaMAContext, _ sink: any OutputSink) throws {
    let counted = sequences[state.index].countedTokens
    guard counted > 0 else { return }
    let end = state.rows.rows - 1
    try language.layers.score(state.rows[end - counted..<end], context) { logits, row in
      guard logits.notFiniteCount == 0 else {
        throw GenerationError(file: model.path, .notNumbers(position: end - counted + row))
      }
      try sink.take(logits: logits, first: row, ofSequence: state.index)
    }
  }

  /// The embeddings of a sequence, pictures in their places; nil where one cannot be read.
  private func entering(_ index: Int, _ sink: any OutputSink) throws -> State? {
    let sequence = sequences[index]
    let hidden = language.layers.config.hidden
    guard let pictures = language.pictures else {
      let state = try state(index, rows: sequence.ids.count, hidden)
      try ModelError.inFile(model.path) {
        try language.layers.embed(sequence.ids, into: state.rows)
      }
      return state
    }
    var images: [VisualTokens] = []
    for picture in sequence.pictures {
      let prepared: PreparedPicture
      do {
        prepared = try language.prepare(
          picture, pass.preprocessing, isOneOfSeveral: sequence.pictures.count > 1)
      } catch let error
        as any ReportableError
      {
        sink.skip(.sequence(index), error)
        return nil
      }
      do {
        images.append(try language.encode(prepared, pool: model.pool, cancelled: pass.cancelled))
      } catch let error as ModelError where error.isAboutPicture {
        sink.skip(.sequence(index), error.of(picture))
        return nil
      }
    }
    for (number, tokens) in images.enumerated() {
      try sink.take(visualTokens: tokens, picture: number, ofSequence: index)
    }
    let splice = try Splice(
      sequence.ids, sentinel: ImagePrompt.sentinel, images: images.map(\.runs))
    let state = try state(index, rows: splice.count, hidden)
    try ModelError.inFile(model.path) {
      try pictures.embed(splice.pieces, images: images, into: state.rows)
    }
    return state
  }

  private func state(_ index: Int, rows: Int, _ columns: Int) throws -> State {
    let memory = try Activations(count: rows * columns, for: "a sequence of \(rows) positions")
    return State(
      index: index, memory: memory, rows: memory.matrix(rows: rows, columns: columns))
  }
}
