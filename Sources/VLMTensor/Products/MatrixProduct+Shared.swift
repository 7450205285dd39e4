// MARK: - By all threads

extension MatrixProduct {
  /// A product whose input it shares with others: query, key and value, or gate and up.
  package struct Task: Sendable {
    package let product: MatrixProduct
    package let output: MatrixView
    package let epilogue: Epilogue

    package init(
      _ product: MatrixProduct, into output: MatrixView, _ epilogue: Epilogue = Epilogue()
    ) {
      self.product = product
      self.output = output
      self.epilogue = epilogue
    }
  }

  static let sharedRows = 32

  func pieces(rows: Int) -> ProductPieces {
    ProductPieces(rows: rows, outputs: outputs, inputs: inputs)
  }

  var isQuantized: Bool { kernel.takesCodes }

  /// The same product, its outputs shared out over `pool`: for few rows and many weights, which
  /// are then read once instead of once for every tile of rows.
  ///
  /// - Parameters:
  ///   - shared: room for the quantized rows, of which `scratches` have no need.
  ///   - scratches: one for each of the pool's threads.
  package func callAsFunction(
    _ input: MatrixView, into output: MatrixView, _ epilogue: Epilogue, shared: Scratch,
    scratches: [Scratch], pool: WorkerPool
  ) {
    let task = Task(self, into: output, epilogue)
    Self.run([task], of: input, shared: shared, scratches: scratches, pool: pool)
  }

  /// Products of one input, all of their outputs shared out at once: the input is quantized once,
  /// and the threads meet once instead of after each product. The same bits as one by one.
  ///
  /// - Parameters:
  ///   - input: `[rows, inputs]` of every product; no output overlaps it or another output.
  ///   - shared: room for the quantized rows.
  ///   - scratches: one for each of the pool's threads.
  ///   - keepsOutliers: the largest values of each row are multiplied as floats, apart from the
  ///     codes of the others; then `input` is overwritten, and tasks have no activation and gamma.
  package static func run(
    _ tasks: [Task], of input: MatrixView, shared: Scratch, scratches: [Scratch], pool: WorkerPool,
    keepsOutliers: Bool = false
  ) {
    let isApart = keepsOutliers && tasks.allSatisfy { $0.product.isQuantized }
    for task in tasks {
      if isApart {
        precondition(task.epilogue.activation == .none && task.epilogue.gamma == nil, "a sum")
      }
      task.product.check(input, task.output, shared, scratches, pool)
    }
    show(input, of: tasks)
    if let first = tasks.first(where: { $0.product.isQuantized }) {
      first.product.quantize(input, into: shared, pool: pool, isApart: isApart)
    }
    let shares = PreparedProducts(
      tasks, of: input, codes: shared, scratches: scratches, addsOutliers: isApart)
    pool.forEach(count: shares.count) { piece, worker in shares.multiply(piece, worker) }
  }

  func check(
    _ input: MatrixView, _ output: MatrixView, _ shared: Scratch, _ scratches: [Scratch],
    _ pool: WorkerPool
  ) {
    precondition(input.columns == inputs && output.columns == outputs, "matrix shapes")
    precondition(input.rows == output.rows && input.rows <= shared.rows, "rows")
    precondition(inputs <= shared.maximumInputs && scratches.count >= pool.threadCount, "scratch")
  }

  /// Few rows are quantized by the caller: that takes less time than waking the others.
  private func quantize(
    _ input: MatrixView, into shared: Scratch, pool: WorkerPool, isApart: Bool = false
  ) {
    let pieces = (input.rows + Self.sharedRows - 1) / Self.sharedRows
    pool.forEach(count: pieces) { piece, _ in
      let start = piece * Self.sharedRows
      let rows = start..<min(input.rows, start + Self.sharedRows)
      if isApart {
        quantizeApart(input, rows: rows, into: shared)
      } else {
        quantize(input, rows: rows, into: shared)
      }
    }
  }
}
