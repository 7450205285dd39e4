import VLMTensor

/// A sequence whose keys and values lie in pages, some of which it may share with others.
package final class PagedSequence {
  package let table: PageTable
  /// Positions that are stored.
  package private(set) var count = 0
  /// Positions that the prompt has, whatever pieces it is run in; `RotaryScaling.dynamic` and `.longRoPE` go by it.
  private var promptLength: Int
  private var frequencies = RotationFrequencies()

  /// - Parameters:
  ///   - positions: that it may come to.
  ///   - promptLength: positions that are known from the beginning.
  package init(in memory: KeyValuePages, positions: Int, promptLength: Int) {
    table = PageTable(of: memory, positions: positions)
    self.promptLength = promptLength
  }

  /// Takes a page over that holds the next positions already.
  package func adopt(_ page: Int, positions: Int) {
    precondition(count == table.positions, "whole pages before it")
    table.append(page)
    count += positions
    precondition(count == table.positions, "a whole page")
  }

  /// Forgets every position from `length` on; the pages stay.
  package func truncate(to length: Int) {
    precondition(length >= 0 && length <= count, "a prefix of what is stored")
    count = length
  }

  /// Whether its positions stay as they are when so many are added; see `LLaMAContext.holds`.
  package func holds(_ model: LLaMA, adding added: Int) -> Bool {
    count == 0
      || frequencies.holds(model.config, length: max(promptLength, count + added))
  }

  /// How many positions can be run in one pass with the bits that one after the other would have; see
  /// `LLaMAContext.togetherRows`.
  package func togetherRows(_ model: LLaMA) -> Int {
    RotationFrequencies.steadyCount(model.config, from: count)
  }

  /// Forgets all positions, for a sequence that is run again from its start.
  ///
  /// - Parameter length: positions that are known now.
  package func restart(length: Int) {
    truncate(to: 0)
    promptLength = length
  }

  fileprivate func begin(_ config: LLaMAConfig, adding added: Int) {
    frequencies.prepare(config, length: max(promptLength, count + added))
  }

  fileprivate func turn(
    _ position: Int, _ config: LLaMAConfig, _ row: Int, _ tables: RotationTables
  ) {
    frequencies.turn(position, config, row, tables)
  }

  fileprivate func advance(by added: Int) { count += added }
}

/// The next positions of several sequences as rows of one pass over the weights.
extension LLaMA {
  /// What a sequence goes on with.
  package struct Part {
    package let sequence: PagedSequence
    package let input: Input
    /// How many of the last positions the logits are wanted behind.
    package let logitRows: Int

    /// - Precondition: the sequence has pages for the positions.
    package init(_ sequence: PagedSequence, _ input: Input, logitRows: Int) {
      precondition(logitRows >= 0 && logitRows <= input.count, "positions of the input")
      self.sequence = sequence
      self.input = input
      self.logitRows = logitRows
    }

    /// - Parameter needsLogits: whether those behind the last position are wanted.
    package init(_ sequence: PagedSequence, _ input: Input, needsLogits: Bool) {
      self.init(sequence, input, logitRows: needsLogits ? 1 : 0)
    }
  }

  /// What may come between two layers of a pass: a pass of others, who should not wait for its end.
  package struct Interlude {
    /// What the broken-off pass leaves there: a row of the residual stream for each of its own.
    package let room: Activations
    /// Asked before each layer but the first: whether `run` has anything to do now.
    package let isWanted: () -> Bool
    /// May run other parts in the same context, and must let those of the pass alone.
    package let run: () -> Void

    /// - Parameter room: elements for as many rows as a pass may have, each as wide as the model.
    package init(
      room: Activations, isWanted: @escaping () -> Bool, run: @escaping () -> Void
    ) {
      (self.room, self.isWanted, self.run) = (room, isWanted, run)
    }
  }

  /// Bytes that `workspace` takes; nil when their number overflows.
  package func workspaceBytes(rows: Int, threads: Int) -> Int? {
    var bare = config
    bare.layers = 0
    return LLaMAPlan(bare, capacity: rows, chunkRows: rows, format: .f16, threads: threads)
      .byteCount
  }

  /// Memory for passes of up to `rows` rows, and for no keys and values.
  ///
  /// - Throws: `ModelError` when that needs more memory than the machine has.
  package func workspace(
    rows: Int, precision: LLaMAContext.Precision = .balanced, pool: WorkerPool, kernels: KernelSet
  ) throws(ModelError) -> LLaMAContext {
    var bare = config
    bare.layers = 0
    return try LLaMAContext(
      bare, capacity: rows, chunkRows: rows, precision: precision, pool: pool, kernels: kernels)
  }

  /// Empty pages for sequences of this model.
  ///
  /// - Throws: `ModelError` when the system has no memory for them.
  package func pages(
    count: Int, positions: Int, format: KeyValueFormat, kernels: KernelSet
  ) throws(ModelError) -> KeyValuePages {
    let bytes = pageBytes(positions: positions, format: format)
      .map { $0.multipliedReportingOverflow(by: count) }
    let needed = bytes.map { $0.overflow ? Int.max : $0.partialValue } ?? Int.max
    try ModelError.require(memory: needed, for: "\(count) pages of \(positions) positions")
    return KeyValuePages(
      pageCount: count, pagePositions: positions, layers: config.layers,
      heads: config.keyValueHeads, headDimension: config.headDimension, format: format,
      kernels: kernels)
  }

  /// Bytes that the keys and values of a page take; nil when their number overflows.
  package func pageBytes(positions: Int, format: KeyValueFormat) -> Int? {
    KeyValuePages.pageBytes(
      positions: positions, layers: config.layers, heads: config.keyValueHeads,
      headDimension: config.headDimension, format: format)
  }

  /// Runs the next positions of several sequences, each of which grows by its own.
  ///
  /// A row's bits do not depend on the rows beside it, but where matrices are f32 and OpenBLAS
  /// multiplies them.
  ///
  /// - Parameters:
  ///   - parts: of different sequences, no more rows together than `context` has.
  ///   - context: of `workspace`.
  ///   - interlude: nil for a pass that nothing comes between.
  ///   - body: called for each row of each part that needs them, in their order, with logits
  ///     `[1, vocabulary]` that are valid during the call.
  /// - Throws: `ModelError` for an id out of range, or a sequence that has to be run from its start; then
  ///   nothing has changed.
  package func callAsFunction(
    _ parts: [Part], in memory: KeyValuePages, _ context: LLaMAContext,
    interlude: Interlude? = nil, body: (_ part: Int, _ logits: MatrixView) -> Void
  ) throws(ModelError) {
    var rows = PagedRows()
    for part in parts {
      if case .tokens(let ids) = part.input { try check(ids) }
      let (held, added) = (part.sequence.count, part.input.count)
      guard part.sequence.holds(self, adding: added) else {
        throw Self.rotatedOtherwise(held, held + added)
      }
      rows.append(part.input.count, at: part.sequence.count, in: part.sequence.table)
    }
    guard rows.count > 0 else { return }
    precondition(rows.count <= context.chunkRows, "rows that fit")
    enter(parts, rows, context)
    let wanted = zip(parts, rows.parts).enumerated().flatMap { number, pair in
      pair.1.rows.suffix(pair.0.logitRows).map { Wanted(part: number, row: $0) }
    }
    for (index, block) in blocks.enumerated() {
      if index > 0, let interlude, interlude.isWanted() {
        let stream = context.stream(0, rows: rows.count)
        let left = interlude.room.matrix(rows: rows.count, columns: config.hidden)
        left.copy(stream)
        interlude.run()
        stream.copy(left)
        turn(parts, rows, context)
      }
      let isFinal = index == blocks.count - 1
      // Nothing reads the last block's output but the head.
      let kept = isFinal ? wanted.map(\.row) : nil
      block(rows, layer: index, kept: kept, in: memory, context)
    }
    for (part, place) in zip(parts, rows.parts) { part.sequence.advance(by: place.rows.count) }
    finish(wanted, context, body)
  }

  /// A row whose logits are wanted, and the part that it is of.
  private struct Wanted {
    let part: Int
    let row: Int
  }

  /// Embeddings and angles of all rows.
  private func enter(
    _ parts: [Part], _ rows: PagedRows, _ context: LLaMAContext
  ) {
    let stream = context.stream(0, rows: rows.count)
    for (part, place) in zip(parts, rows.parts) {
      switch part.input {
      case .tokens(let ids): look(up: ids, into: stream[place.rows])
      case .embeddings(let given): stream[place.rows].copy(given)
      }
    }
    turn(parts, rows, context)
  }

  /// Angles of all rows.
  private func turn(_ parts: [Part], _ rows: PagedRows, _ context: LLaMAContext) {
    let tables = context.rotation(rows: rows.count)
    for (part, place) in zip(parts, rows.parts) {
      part.sequence.begin(config, adding: place.rows.count)
      for row in place.rows {
        let position = place.position + row - place.rows.lowerBound
        part.sequence.turn(position, config, row, tables)
      }
    }
  }

  /// The head, for the rows that the last block has kept.
  private func finish(
    _ wanted: [Wanted], _ context: LLaMAContext,
    _ body: (_ part: Int, _ logits: MatrixView) -> Void
  ) {
    guard !wanted.isEmpty else { return }
    let leaving = context.stream(0, rows: wanted.count)
    let normed = context.branch(rows: wanted.count, columns: config.hidden)
    context.forEachTile(rows: wanted.count) { rows in norm(leaving[rows], into: normed[rows]) }
    var start = 0
    while start < wanted.count {
      let part = start..<min(wanted.count, start + context.logitRows)
      let logits = context.logits(rows: part.count)
      head(normed[part], into: logits, context)
      for row in part { body(wanted[row].part, logits[row - start..<row - start + 1]) }
      start = part.upperBound
    }
  }
}
