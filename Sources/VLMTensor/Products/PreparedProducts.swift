import CVLMKernels

/// Products of one input as the kernels take them, made once for all pieces: a token's pieces take
/// half a microsecond each, and counting references would be a good part of that.
final class PreparedProducts: @unchecked Sendable {
  /// Pieces of all products.
  let count: Int
  private let products: UnsafeMutableBufferPointer<Prepared>
  private let unpacked: UnsafeMutableBufferPointer<UnsafeMutableRawPointer>
  private let tasks: [MatrixProduct.Task]
  private let input: MatrixView
  private let owners: [MatrixProduct.Scratch]

  private struct Prepared {
    let kernel: ProductKernel.Multiply?
    /// All rows; without scratch and panels.
    let call: vlm_gemm
    /// Bytes of an element of x.
    let element: Int
    let pieces: ProductPieces
    let firstPiece: Int
    let end: Int
  }

  /// - Parameters:
  ///   - codes: the input's rows, quantized, where a product takes them so.
  ///   - scratches: one for each thread.
  ///   - outliers: of each row, which are not in the codes; all products are quantized then.
  init(
    _ tasks: [MatrixProduct.Task], of input: MatrixView, codes: MatrixProduct.Scratch,
    scratches: [MatrixProduct.Scratch], outliers: Int = 0
  ) {
    self.tasks = tasks
    self.input = input
    owners = scratches + [codes]
    products = .allocate(capacity: tasks.count)
    unpacked = .allocate(capacity: scratches.count)
    for (index, scratch) in scratches.enumerated() {
      unpacked.initializeElement(at: index, to: scratch.unpacked)
    }
    var end = 0
    for (index, task) in tasks.enumerated() {
      let product = task.product
      let pieces = product.pieces(rows: input.rows)
      let first = end
      end += pieces.count
      var (call, element) = (vlm_gemm(), 1)
      switch product.kernel {
      case .rowMajor: break
      case .codes:
        call = product.call(
          x: codes.codes, stride: MatrixProduct.quantizedStride(product.inputs), rows: input.rows,
          task.output, task.epilogue, codes)
        call.x_quant = UnsafePointer(codes.quants)
        if outliers > 0 {
          call.outliers = UnsafePointer(codes.outliers)
          call.outliers_per_row = outliers
        }
      case .floats:
        call = product.call(
          x: input.base, stride: input.stride, rows: input.rows, task.output, task.epilogue, codes)
        element = MemoryLayout<Float>.stride
      }
      products.initializeElement(
        at: index,
        to: Prepared(
          kernel: product.kernel.multiply, call: call, element: element, pieces: pieces,
          firstPiece: first, end: end))
    }
    count = end
  }

  deinit {
    products.deallocate()
    unpacked.deallocate()
  }

  /// The product that a piece belongs to, and its rows and outputs.
  func place(_ piece: Int) -> (product: Int, rows: Range<Int>, outputs: Range<Int>) {
    var index = 0
    while piece >= products[index].end { index += 1 }
    let (rows, columns) = products[index].pieces[piece - products[index].firstPiece]
    return (index, rows, columns)
  }

  func multiply(_ piece: Int, _ worker: Int) {
    let (index, rows, columns) = place(piece)
    guard let kernel = products[index].kernel else {
      let task = tasks[index]
      task.product.multiplyFloat(
        input[rows], outputs: columns, into: task.output[rows], task.epilogue.rows(rows))
      return
    }
    let (width, row) = (TensorFormat.panelOutputs, rows.lowerBound)
    var call = products[index].call
    call.rows = rows.count
    call.x += row * call.x_stride * products[index].element
    call.x_quant = call.x_quant.map { $0 + row }
    call.y += row * call.y_stride
    call.epilogue.residual = call.epilogue.residual.map { $0 + row * call.epilogue.residual_stride }
    call.panel_begin = columns.lowerBound / width
    call.panel_end = (columns.upperBound + width - 1) / width
    call.scratch = unpacked[worker]
    call.outliers = call.outliers.map { $0 + row * call.outliers_per_row }
    kernel(&call)
  }
}
