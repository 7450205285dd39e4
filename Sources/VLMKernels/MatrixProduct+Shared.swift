import VLMTensor

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

  private static let sharedRows = 32

  private func pieces(rows: Int) -> ProductPieces {
    ProductPieces(rows: rows, outputs: outputs, inputs: inputs)
  }

  private var isQuantized: Bool { weight.format.scheme == .q8 || weight.format.scheme == .q4 }

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
    check(input, output, shared, scratches, pool)
    if isQuantized { quantize(input, into: shared, pool: pool) }
    pool.forEach(count: pieces(rows: input.rows).count) { piece, worker in
      multiply(piece, of: input, into: output, epilogue, shared, scratches[worker])
    }
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
    var pieces = 0
    for task in tasks {
      if isApart {
        precondition(task.epilogue.activation == .none && task.epilogue.gamma == nil, "a sum")
      }
      task.product.check(input, task.output, shared, scratches, pool)
      pieces += task.product.pieces(rows: input.rows).count
    }
    if let first = tasks.first(where: { $0.product.isQuantized }) {
      first.product.quantize(input, into: shared, pool: pool, isApart: isApart)
    }
    pool.forEach(count: pieces) { piece, worker in
      var piece = piece
      for task in tasks {
        let count = task.product.pieces(rows: input.rows).count
        guard piece >= count else {
          task.product.multiply(
            piece, of: input, into: task.output, task.epilogue, shared, scratches[worker],
            isApart: isApart)
          return
        }
        piece -= count
      }
    }
  }

  /// The same with activations of about 16 bits: what 8-bit codes leave over of a row is quantized
  /// again, and its product added. The second pass over a piece of the weights finds them in cache.
  ///
  /// - Parameters:
  ///   - tasks: without activation and gamma.
  ///   - input: overwritten.
  ///   - rest: room for the second codes.
  package static func runPrecisely(
    _ tasks: [Task], of input: MatrixView, shared: Scratch, rest: Scratch, scratches: [Scratch],
    pool: WorkerPool
  ) {
    guard let first = tasks.first?.product, tasks.allSatisfy({ $0.product.isQuantized }) else {
      return run(tasks, of: input, shared: shared, scratches: scratches, pool: pool)
    }
    var pieces = 0
    for task in tasks {
      precondition(task.epilogue.activation == .none && task.epilogue.gamma == nil, "a sum")
      task.product.check(input, task.output, shared, scratches, pool)
      task.product.check(input, task.output, rest, scratches, pool)
      pieces += task.product.pieces(rows: input.rows).count
    }
    pool.forEach(count: (input.rows + Self.sharedRows - 1) / Self.sharedRows) { piece, _ in
      let start = piece * Self.sharedRows
      let rows = start..<min(input.rows, start + Self.sharedRows)
      first.quantize(input, rows: rows, into: shared)
      first.subtractCodes(of: shared, from: input, rows: rows)
      first.quantize(input, rows: rows, into: rest)
    }
    pool.forEach(count: pieces) { piece, worker in
      var piece = piece
      for task in tasks {
        let count = task.product.pieces(rows: input.rows).count
        guard piece >= count else {
          let (product, scratch) = (task.product, scratches[worker])
          product.multiply(piece, of: input, into: task.output, task.epilogue, shared, scratch)
          product.multiply(
            piece, of: input, into: task.output, Epilogue(residual: task.output), rest, scratch)
          return
        }
        piece -= count
      }
    }
  }

  private func check(
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

  private func multiply(
    _ piece: Int, of input: MatrixView, into output: MatrixView, _ epilogue: Epilogue,
    _ shared: Scratch, _ scratch: Scratch, isApart: Bool = false
  ) {
    let (rows, columns) = pieces(rows: input.rows)[piece]
    let width = TensorFormat.panelOutputs
    let panels = columns.lowerBound / width..<(columns.upperBound + width - 1) / width
    let (x, y, part) = (input[rows], output[rows], epilogue.rows(rows))
    switch weight.format.scheme {
    case .f32: multiplyFloat(x, outputs: columns, into: y, part)
    case .f16, .bf16: multiplyPanels(x, panels: panels, into: y, part, scratch)
    case .q8, .q4:
      multiplyCodes(of: shared, rows: rows, panels: panels, into: y, part, scratch)
      if isApart { addOutliers(of: shared, rows: rows, panels: panels, into: y, scratch) }
    }
  }
}
