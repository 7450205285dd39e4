import CVLMKernels
import CVLMSystem

/// What becomes of a finished sum: `residual + gamma * activation(sum + bias)`. The residual may be
/// the output itself where there is neither gamma nor activation.
package struct Epilogue: Sendable {
  package var bias: Tensor?
  package var activation: Activation
  package var gamma: Tensor?
  package var residual: MatrixView?

  package init(
    bias: Tensor? = nil, activation: Activation = .none, gamma: Tensor? = nil,
    residual: MatrixView? = nil
  ) {
    self.bias = bias
    self.activation = activation
    self.gamma = gamma
    self.residual = residual
  }

  /// What is left to do for rows `range` of the product.
  func rows(_ range: Range<Int>) -> Epilogue {
    var part = self
    part.residual = residual?[range]
    return part
  }

  var kernel: vlm_epilogue {
    vlm_epilogue(
      bias: bias?.floats, gamma: gamma?.floats, residual: residual.map { UnsafePointer($0.base) },
      residual_stride: residual?.stride ?? 0, activation: activation.kernel)
  }
}

/// A matrix of weights ready to multiply: what its scheme multiplies with, bound once.
package struct MatrixProduct: Sendable {
  package let inputs: Int
  package let outputs: Int
  let weight: Tensor
  package let kernels: KernelSet
  let kernel: ProductKernel
  /// Sees what is multiplied; nil but for calibration.
  let observer: (any ProductObserver)?
  package var scheme: Scheme { weight.format.scheme }
  /// Whether a row of the result has the same bits whatever rows are multiplied with it. A library of
  /// linear algebra rounds one row otherwise than several.
  package var keepsRowsApart: Bool {
    if case .rowMajor = kernel { false } else { true }
  }

  /// - Precondition: `weight` is f32 row-major or in panels, and is a matrix in its axis order.
  package init(_ weight: Tensor, kernels: KernelSet, observer: (any ProductObserver)? = nil) {
    // A placeholder has the shape of its spec but no order; only its size matters.
    let outputs = weight.shape.first ?? 0
    self.outputs = outputs
    inputs = outputs == 0 ? 0 : weight.elementCount / outputs
    self.weight = weight
    self.kernels = kernels
    self.observer = observer
    kernel = weight.format.scheme.kernel(in: kernels)
    // A placeholder has no bytes, and multiplies nothing.
    if case .rowMajor = kernel, !weight.bytes.isEmpty { OpenBLAS.beginLoad() }
  }

  /// Space that one thread needs for products of up to `rows` rows.
  package final class Scratch: @unchecked Sendable {
    let rows: Int
    private let quantized: AlignedBytes
    private let rowQuants: AlignedBytes
    private let rowOutliers: AlignedBytes
    /// Outliers that there is room for.
    let outlierRoom: Int
    private let kernel: AlignedBytes
    let maximumInputs: Int

    /// - Parameter keepsOutliers: whether there is room for those of each row.
    package init(rows: Int, maximumInputs: Int, kernels: KernelSet, keepsOutliers: Bool = false) {
      self.rows = rows
      self.maximumInputs = maximumInputs
      quantized = AlignedBytes(count: rows * MatrixProduct.quantizedStride(maximumInputs))
      rowQuants = AlignedBytes(count: rows * MemoryLayout<vlm_row_quant>.stride)
      outlierRoom = keepsOutliers ? rows * Int(VLM_MAX_OUTLIERS) : 0
      rowOutliers = AlignedBytes(count: outlierRoom * MemoryLayout<vlm_outlier>.stride)
      kernel = AlignedBytes(count: kernels.table.pointee.gemm_scratch_bytes(maximumInputs))
    }

    /// Quantized rows, `quantizedStride` apart.
    var codes: UnsafeMutablePointer<UInt8> {
      quantized.base.assumingMemoryBound(to: UInt8.self)
    }

    var quants: UnsafeMutablePointer<vlm_row_quant> {
      rowQuants.base.assumingMemoryBound(to: vlm_row_quant.self)
    }

    /// What the kernel unpacks to.
    var unpacked: UnsafeMutableRawPointer { kernel.base }

    /// What `run` keeps apart from the codes of each row, as many as `Outliers` says.
    var outliers: UnsafeMutablePointer<vlm_outlier> {
      rowOutliers.base.assumingMemoryBound(to: vlm_outlier.self)
    }
  }

  /// Bytes from one quantized row to the next: a whole number of 64-byte tile rows.
  package static func quantizedStride(_ inputs: Int) -> Int { vlm_row_code_stride(inputs) }

  /// `y[r][n] = epilogue(Σ_k x[r][k] W[n][k])` on the calling thread.
  ///
  /// - Parameters:
  ///   - input: `[rows, inputs]`.
  ///   - output: `[rows, outputs]`, not overlapping `input`.
  package func callAsFunction(
    _ input: MatrixView, into output: MatrixView, _ epilogue: Epilogue, _ scratch: Scratch
  ) {
    precondition(input.columns == inputs && output.columns == outputs, "matrix shapes")
    precondition(input.rows == output.rows && input.rows <= scratch.rows, "rows")
    precondition(inputs <= scratch.maximumInputs, "scratch for the inputs")
    precondition(epilogue.bias.map { $0.elementCount == outputs } ?? true, "bias per output")
    precondition(epilogue.gamma.map { $0.elementCount == outputs } ?? true, "gamma per output")
    guard input.rows > 0 else { return }
    weight.place?.reach()
    show(input)
    switch kernel {
    case .rowMajor: multiplyFloat(input, outputs: 0..<outputs, into: output, epilogue)
    case .floats(let multiply):
      var call = self.call(
        x: input.base, stride: input.stride, rows: input.rows, output, epilogue, scratch)
      multiply(&call)
    case .codes(let multiply):
      quantize(input, rows: 0..<input.rows, into: scratch)
      var call = self.call(
        x: scratch.codes, stride: Self.quantizedStride(inputs), rows: input.rows, output, epilogue,
        scratch)
      call.x_quant = UnsafePointer(scratch.quants)
      multiply(&call)
    }
  }

  func multiplyFloat(
    _ input: MatrixView, outputs range: Range<Int>, into output: MatrixView, _ epilogue: Epilogue
  ) {
    let (first, count) = (range.lowerBound, range.count)
    var parts = epilogue.kernel
    // The sums are written over the output before the epilogue reads its residual.
    let isInPlace = epilogue.residual?.base == output.base
    precondition(
      !isInPlace || epilogue.gamma == nil && epilogue.activation == .none,
      "a residual in place of the output is added to plain sums")
    let (weights, sums) = (weight.floats + first * inputs, output.base + first)
    if OpenBLAS.isThere {
      vlm_sgemm(
        input.rows, count, inputs, input.base, input.stride, weights, isInPlace ? 1 : 0, sums,
        output.stride)
    } else {
      kernels.table.pointee.multiply_f32(
        input.rows, inputs, count, input.base, input.stride, weights, isInPlace, sums,
        output.stride)
    }
    if isInPlace { parts.residual = nil }
    parts.bias = parts.bias.map { $0 + first }
    parts.gamma = parts.gamma.map { $0 + first }
    parts.residual = parts.residual.map { $0 + first }
    kernels.table.pointee.epilogue_f32(
      output.rows, count, output.base + first, output.stride, &parts)
  }

  private var panelCount: Int { vlm_panel_count(outputs) }

  /// Quantizes some rows of `input` to their place in `target`.
  func quantize(_ input: MatrixView, rows: Range<Int>, into target: Scratch) {
    let stride = Self.quantizedStride(inputs)
    kernels.table.pointee.quantize_rows_u8(
      rows.count, inputs, input.base + rows.lowerBound * input.stride, input.stride,
      target.codes + rows.lowerBound * stride, stride, target.quants + rows.lowerBound)
  }

  /// Quantizes some rows of `input` without their `perRow` outliers, which it overwrites.
  func quantizeApart(_ input: MatrixView, rows: Range<Int>, perRow: Int, into target: Scratch) {
    let stride = Self.quantizedStride(inputs)
    let first = rows.lowerBound
    let outliers = target.outliers + first * perRow
    kernels.table.pointee.take_outliers(
      rows.count, inputs, perRow, input.base + first * input.stride, input.stride, outliers)
    quantize(input, rows: rows, into: target)
    vlm_settle_outliers(
      rows.count, inputs, perRow, target.codes + first * stride, stride, target.quants + first,
      outliers)
  }

  func call(
    x: UnsafeRawPointer, stride: Int, rows: Int, _ output: MatrixView, _ epilogue: Epilogue,
    _ scratch: Scratch
  ) -> vlm_gemm {
    precondition(weight.format.layout == .panels, "weights in panels")
    return vlm_gemm(
      rows: rows, inputs: inputs, outputs: outputs, x: x, x_stride: stride, x_quant: nil,
      weights: weight.bytes.baseAddress, panel_begin: 0, panel_end: panelCount,
      y: output.base, y_stride: output.stride, epilogue: epilogue.kernel,
      scratch: scratch.unpacked, outliers: nil, outliers_per_row: 0)
  }
}

// MARK: - Rows of the weight

extension MatrixProduct {
  /// Rows `ids` of the weight: embeddings looked up in a table of any scheme.
  ///
  /// - Parameter output: `[ids.count, inputs]`.
  /// - Precondition: every id is at least 0 and below `outputs`.
  package func rows(_ ids: [Int], into output: MatrixView) {
    precondition(output.rows == ids.count && output.columns == inputs, "a row per id")
    precondition(ids.allSatisfy { (0..<outputs).contains($0) }, "rows of the weight")
    guard let base = weight.bytes.baseAddress else { return }
    let scheme = weight.format.scheme.descriptor
    for (row, id) in ids.enumerated() {
      scheme.copyRow(id, of: base, inputs: inputs, into: output.base + row * output.stride)
    }
  }
}
