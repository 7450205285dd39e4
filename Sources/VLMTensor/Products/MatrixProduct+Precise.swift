import CVLMKernels

#if canImport(Glibc)
  import Glibc
#endif

// MARK: - With activations of about 16 bits

extension MatrixProduct {
  /// Space for what the codes of up to `rows` rows leave over, and for its products.
  package final class Rest: @unchecked Sendable {
    fileprivate let scratch: Scratch
    private let products: AlignedBytes
    private let threads: Int

    package init(rows: Int, maximumInputs: Int, threads: Int, kernels: KernelSet) {
      // A single row stands beside its own rest.
      scratch = Scratch(rows: max(2, rows), maximumInputs: maximumInputs, kernels: kernels)
      products = AlignedBytes(count: threads * 2 * MatrixProduct.restOutputs * 4)
      self.threads = threads
    }

    /// Bytes of one, without what the kernels unpack.
    package static func byteCount(rows: Int, maximumInputs: Int, threads: Int) -> Int {
      max(2, rows) * (maximumInputs + 72) + threads * 2 * MatrixProduct.restOutputs * 4
    }

    /// `[2, restOutputs]` of a thread.
    fileprivate func sums(_ worker: Int) -> UnsafeMutablePointer<Float> {
      precondition(worker < threads, "room for each thread")
      return products.base.assumingMemoryBound(to: Float.self)
        + worker * 2 * MatrixProduct.restOutputs
    }
  }

  /// Outputs of a product of rests that a thread makes at a time.
  fileprivate static let restOutputs = 64

  /// `run` with activations of about 16 bits: what the codes leave over of a row is quantized again,
  /// and its product added. The second pass over a piece of the weights finds them in cache; that of
  /// a single row goes with the first.
  ///
  /// A row's bits depend on nothing but the row.
  ///
  /// - Parameters:
  ///   - tasks: without activation and gamma.
  ///   - input: overwritten.
  package static func runPrecisely(
    _ tasks: [Task], of input: MatrixView, shared: Scratch, rest: Rest, scratches: [Scratch],
    pool: WorkerPool
  ) {
    guard let first = tasks.first?.product, tasks.allSatisfy({ $0.product.isQuantized }) else {
      return run(tasks, of: input, shared: shared, scratches: scratches, pool: pool)
    }
    for task in tasks {
      precondition(task.epilogue.activation == .none && task.epilogue.gamma == nil, "a sum")
      task.product.check(input, task.output, shared, scratches, pool)
      task.product.check(input, task.output, rest.scratch, scratches, pool)
      task.product.weight.place?.reach()
    }
    show(input, of: tasks)
    let isSingle = input.rows == 1
    pool.forEach(count: (input.rows + Self.sharedRows - 1) / Self.sharedRows) { piece, _ in
      let start = piece * Self.sharedRows
      let rows = start..<min(input.rows, start + Self.sharedRows)
      first.quantize(input, rows: rows, into: shared)
      for row in rows {
        first.separate(row, of: shared, from: input, into: rest.scratch, at: isSingle ? 1 : row)
      }
    }
    let shares = PreparedProducts(tasks, of: input, codes: shared, scratches: scratches)
    if isSingle {
      rest.scratch.takeRow(0, of: shared, inputs: first.inputs)
      pool.forEach(count: shares.count) { piece, worker in
        let (task, _, columns) = shares.place(piece)
        tasks[task].addRow(columns, rest.scratch, rest.sums(worker), scratches[worker])
      }
      return
    }
    pool.forEach(count: shares.count) { piece, worker in
      shares.multiply(piece, worker)
      let (task, rows, columns) = shares.place(piece)
      let output = tasks[task].output
      tasks[task].product.multiplyRests(
        rows, columns, rest.scratch,
        into: output.base + rows.lowerBound * output.stride + columns.lowerBound,
        stride: output.stride, adds: true, scratches[worker])
    }
  }

  /// Takes what the codes in `source` stand for away from a row of `input`, and quantizes what is
  /// left, at most half a step of theirs.
  private func separate(
    _ row: Int, of source: Scratch, from input: MatrixView, into target: Scratch, at place: Int
  ) {
    let stride = Self.quantizedStride(inputs)
    let (quant, codes) = (source.quants[row], source.codes + row * stride)
    let x = input.base + row * input.stride
    for column in 0..<inputs { x[column] -= quant.scale * Float(codes[column]) + quant.minimum }
    kernels.table.pointee.quantize_rows_u8(
      1, inputs, x, input.stride, target.codes + place * stride, stride, target.quants + place)
  }

  /// Some rows of `codes` times some columns of the weight, to as many rows of `y`, which it is
  /// added to when `adds`.
  fileprivate func multiplyRests(
    _ rows: Range<Int>, _ columns: Range<Int>, _ codes: Scratch,
    into y: UnsafeMutablePointer<Float>, stride: Int, adds: Bool, _ scratch: Scratch
  ) {
    let (codeStride, width) = (Self.quantizedStride(inputs), TensorFormat.panelOutputs)
    guard let multiply = kernel.multiply,
      let panelBytes = weight.format.panelByteCount(inputs: inputs)
    else { preconditionFailure("weights in panels") }
    var call = vlm_gemm()
    call.rows = rows.count
    call.inputs = inputs
    call.outputs = columns.count
    call.x = UnsafeRawPointer(codes.codes + rows.lowerBound * codeStride)
    call.x_stride = codeStride
    call.x_quant = UnsafePointer(codes.quants + rows.lowerBound)
    // The columns alone, as if they were a matrix of their own.
    call.weights = weight.bytes.baseAddress.map { $0 + columns.lowerBound / width * panelBytes }
    call.panel_end = (columns.count + width - 1) / width
    call.y = y
    call.y_stride = stride
    if adds {
      call.epilogue.residual = UnsafePointer(y)
      call.epilogue.residual_stride = stride
    }
    call.scratch = scratch.unpacked
    multiply(&call)
  }
}

extension MatrixProduct.Scratch {
  /// Copies a quantized row to the same place here.
  fileprivate func takeRow(_ row: Int, of other: MatrixProduct.Scratch, inputs: Int) {
    let stride = MatrixProduct.quantizedStride(inputs)
    memcpy(codes + row * stride, other.codes + row * stride, stride)
    quants[row] = other.quants[row]
  }
}

extension MatrixProduct.Task {
  /// A row and its rest, which stand in `codes` one after the other, as two rows of one product.
  /// The additions are those of two products, in their order.
  fileprivate func addRow(
    _ columns: Range<Int>, _ codes: MatrixProduct.Scratch, _ sums: UnsafeMutablePointer<Float>,
    _ scratch: MatrixProduct.Scratch
  ) {
    var start = columns.lowerBound
    while start < columns.upperBound {
      let part = start..<min(columns.upperBound, start + MatrixProduct.restOutputs)
      product.multiplyRests(
        0..<2, part, codes, into: sums, stride: MatrixProduct.restOutputs, adds: false, scratch)
      if let bias = epilogue.bias?.floats {
        for column in 0..<part.count { sums[column] += bias[start + column] }
      }
      if let residual = epilogue.residual?.base {
        for column in 0..<part.count { sums[column] += residual[start + column] }
      }
      let (y, second) = (output.base + start, sums + MatrixProduct.restOutputs)
      for column in 0..<part.count { y[column] = sums[column] + second[column] }
      start = part.upperBound
    }
  }
}
