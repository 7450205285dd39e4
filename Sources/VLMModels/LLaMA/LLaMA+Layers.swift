import VLMTensor

/// One layer after the other, for calibration: all sequences pass a layer before the next, so that
/// what is gathered of one layer need not wait in memory for the others.
extension LLaMA {
  /// Memory for one sequence in one block.
  ///
  /// - Parameters:
  ///   - length: positions of the longest sequence.
  ///   - precision: of products with matrices in codes.
  /// - Throws: `ModelError` when that needs more memory than the machine has.
  package func layerContext(
    length: Int, precision: LLaMAContext.Precision, pool: WorkerPool, kernels: KernelSet
  ) throws(ModelError) -> LLaMAContext {
    var single = config
    single.layers = 1
    return try LLaMAContext(
      single, capacity: length, chunkRows: length, keyValueFormat: .f32, precision: precision,
      pool: pool, kernels: kernels)
  }

  /// Runs block `index` over a whole sequence, in place.
  ///
  /// - Parameters:
  ///   - rows: `[positions, hidden]`, what the block before made of it; at most as many as
  ///     `context` has room for.
  ///   - context: of `layerContext`.
  package func run(
    block index: Int, on rows: MatrixView, _ context: LLaMAContext
  ) throws(ModelError) {
    precondition(rows.columns == config.hidden, "rows of the model's width")
    precondition(rows.rows > 0 && rows.rows <= context.chunkRows, "a sequence in one piece")
    try context.begin(at: 0, adding: rows.rows)
    context.prepareRotation(positions: 0..<rows.rows)
    let stream = context.stream(0, rows: rows.rows)
    stream.copy(rows)
    blocks[index](
      rows: rows.rows, position: 0, layer: 0, kept: 0..<rows.rows, context)
    rows.copy(stream)
  }

  /// The logits behind every row, some rows at a time.
  ///
  /// - Parameters:
  ///   - rows: `[positions, hidden]`, what the last block made; overwritten with their norms.
  ///   - context: of `layerContext`.
  ///   - body: given logits `[some rows, vocabulary]`, and the place of the first of them in `rows`.
  package func score(
    _ rows: MatrixView, _ context: LLaMAContext, body: (_ logits: MatrixView, _ row: Int) -> Void
  ) {
    norm(rows, into: rows)
    var first = 0
    while first < rows.rows {
      let part = first..<min(rows.rows, first + context.logitRows)
      let logits = context.logits(rows: part.count)
      head(rows[part], into: logits, context, outliers: .some)
      body(logits, first)
      first = part.upperBound
    }
  }

  /// Shows the observer of products what the head multiplies: the norms of what the last block made.
  ///
  /// - Parameter rows: `[positions, hidden]`; overwritten with their norms.
  package func showHead(_ rows: MatrixView) {
    norm(rows, into: rows)
    lmHead.show(rows)
  }
}
