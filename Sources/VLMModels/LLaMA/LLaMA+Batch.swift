import VLMTensor

/// Several sequences at a time, as rows of the same products: the weights are read once for all.
extension LLaMA {
  /// A context that holds one sequence for `step`, and memory for nothing else.
  ///
  /// - Throws: `ModelError` when that needs more memory than the machine has.
  package func sequenceContext(
    length: Int, format: KeyValueFormat, pool: WorkerPool, kernels: KernelSet
  ) throws(ModelError) -> LLaMAContext {
    try LLaMAContext(
      config, capacity: length, chunkRows: 1, keyValueFormat: format, pool: pool, kernels: kernels)
  }

  /// What `step` needs for as many as `count` sequences.
  ///
  /// - Throws: `ModelError` when that needs more memory than the machine has.
  package func sharedContext(
    count: Int, pool: WorkerPool, kernels: KernelSet
  ) throws(ModelError) -> LLaMAContext {
    try layerContext(length: count, precision: .balanced, pool: pool, kernels: kernels)
  }

  /// Runs the next position of each of several sequences, no longer than the model's context.
  ///
  /// - Parameters:
  ///   - ids: a token for each sequence.
  ///   - sequences: of `sequenceContext`; each grows by one.
  ///   - shared: of `sharedContext`.
  ///   - body: called with each row's logits, `[1, vocabulary]`.
  /// - Throws: `ModelError` for a context that is full, or an id out of range.
  package func step(
    _ ids: [Int], _ sequences: [LLaMAContext], shared: LLaMAContext,
    body: (_ row: Int, _ logits: MatrixView) -> Void
  ) throws(ModelError) {
    precondition(ids.count == sequences.count && !ids.isEmpty, "a token for each sequence")
    precondition(ids.count <= shared.chunkRows, "sequences that `shared` has room for")
    let positions = sequences.map(\.count)
    for (sequence, position) in zip(sequences, positions) {
      try sequence.begin(at: position, adding: 1)
    }
    try shared.begin(at: 0, adding: 1)
    let tables = shared.rotation(rows: ids.count)
    for (row, sequence) in sequences.enumerated() { sequence.turn(positions[row], row, tables) }
    try embed(ids, into: shared.stream(0, rows: ids.count))
    for (index, block) in blocks.enumerated() { block.step(sequences, layer: index, shared) }
    for (sequence, position) in zip(sequences, positions) { sequence.advance(to: position + 1) }
    let leaving = shared.stream(0, rows: ids.count)
    let normed = shared.branch(rows: ids.count, columns: config.hidden)
    norm(leaving, into: normed)
    var start = 0
    while start < ids.count {
      let part = start..<min(ids.count, start + shared.logitRows)
      let logits = shared.logits(rows: part.count)
      head(normed[part], into: logits, shared)
      for row in part { body(row, logits[row - start..<row - start + 1]) }
      start = part.upperBound
    }
  }
}
