import CVLMKernels

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

  /// The largest values of each row of an input, which are multiplied as floats, apart from the codes
  /// of the others.
  package enum Outliers: Sendable {
    case none
    case some
    /// For the products that cause most of the error: down projections and the head.
    case many

    /// How many of each row. Weights of fewer than 8 bits have by far the larger error, and it takes
    /// more to unpack a column of theirs.
    func perRow(_ tasks: [Task]) -> Int {
      guard tasks.allSatisfy({ $0.product.isQuantized }) else { return 0 }
      let isFine = tasks.allSatisfy { $0.product.scheme.codeBits == 8 }
      switch self {
      case .none: return 0
      case .some: return isFine ? 6 : 4
      case .many: return isFine ? Int(VLM_MAX_OUTLIERS) : 4
      }
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
  ///   - outliers: kept apart where all products are quantized; then `input` is overwritten, and
  ///     tasks have no activation and gamma.
  ///   - making: makes some rows of the input, each once; who quantizes them has them in its cache.
  package static func run(
    _ tasks: [Task], of input: MatrixView, shared: Scratch, scratches: [Scratch], pool: WorkerPool,
    outliers: Outliers = .none, making: (Range<Int>) -> Void = { _ in }
  ) {
    let perRow = outliers.perRow(tasks)
    precondition(input.rows * perRow <= shared.outlierRoom, "room for outliers")
    for task in tasks {
      if perRow > 0 {
        precondition(task.epilogue.activation == .none && task.epilogue.gamma == nil, "a sum")
      }
      task.product.check(input, task.output, shared, scratches, pool)
      task.product.weight.place?.reach()
    }
    let quantized = tasks.first { $0.product.isQuantized }
    // An observer sees all rows, before outliers are taken from them.
    let isMadeBefore = quantized == nil || tasks.contains { $0.product.observer != nil }
    if isMadeBefore { forEachPiece(input.rows, pool, making) }
    show(input, of: tasks)
    if let product = quantized?.product {
      forEachPiece(input.rows, pool) { rows in
        if !isMadeBefore { making(rows) }
        if perRow > 0 {
          product.quantizeApart(input, rows: rows, perRow: perRow, into: shared)
        } else {
          product.quantize(input, rows: rows, into: shared)
        }
      }
    }
    let shares = PreparedProducts(
      tasks, of: input, codes: shared, scratches: scratches, outliers: perRow)
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

  /// Calls `body` with all rows. Few are the caller's: that takes less time than waking the others.
  private static func forEachPiece(_ count: Int, _ pool: WorkerPool, _ body: (Range<Int>) -> Void) {
    pool.forEach(count: (count + sharedRows - 1) / sharedRows) { piece, _ in
      let start = piece * sharedRows
      body(start..<min(count, start + sharedRows))
    }
  }
}
