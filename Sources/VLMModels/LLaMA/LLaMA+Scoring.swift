import VLMTensor

/// The logits behind many positions, a block at a time: all sequences pass a block before the next, so
/// that a model which is larger than memory is read once.
extension LLaMA {
  /// Memory for one sequence in one block, for `run(block:on:_:)` and `score`. Keys, values and
  /// precision are those of ordinary use.
  ///
  /// - Parameter length: positions of the longest sequence.
  /// - Throws: `ModelError` when that needs more memory than the machine has.
  package func scoringContext(
    length: Int, pool: WorkerPool, kernels: KernelSet
  ) throws(ModelError) -> LLaMAContext {
    var single = config
    single.layers = 1
    return try LLaMAContext(
      single, capacity: length, chunkRows: length, pool: pool, kernels: kernels)
  }

  /// The logits behind rows of what the last block made: `[some rows, vocabulary]` at a time.
  ///
  /// - Parameters:
  ///   - rows: `[positions, hidden]`, at most as many as `context` has room for.
  ///   - context: of `scoringContext`.
  ///   - body: is given logits, valid during the call, and the row that the first of them stand behind.
  package func score(
    _ rows: MatrixView, _ context: LLaMAContext,
    body: (_ logits: MatrixView, _ row: Int) throws -> Void
  ) rethrows {
    precondition(rows.rows <= context.chunkRows, "rows that fit")
    let normed = context.branch(rows: rows.rows, columns: config.hidden)
    context.forEachTile(rows: rows.rows) { part in norm(rows[part], into: normed[part]) }
    var start = 0
    while start < rows.rows {
      let part = start..<min(rows.rows, start + context.logitRows)
      let logits = context.logits(rows: part.count)
      head(normed[part], into: logits, context)
      try body(logits, start)
      start = part.upperBound
    }
  }
}
