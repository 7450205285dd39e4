import CVLMKernels

/// Nonlinearities that models ask for.
package enum Activation: String, Sendable, CaseIterable {
  case none
  /// x/2 (1 + erf(x/√2)).
  case gelu
  case relu
  case geluTanh = "gelu_tanh"
  case quickGELU = "quick_gelu"
  case silu
  /// x min(max(x + 3, 0), 6) / 6.
  case hardSwish = "hard_swish"

  var kernel: vlm_activation {
    switch self {
    case .none: VLM_ACTIVATION_NONE
    case .gelu: VLM_ACTIVATION_GELU
    case .relu: VLM_ACTIVATION_RELU
    case .geluTanh: VLM_ACTIVATION_GELU_TANH
    case .quickGELU: VLM_ACTIVATION_QUICK_GELU
    case .silu: VLM_ACTIVATION_SILU
    case .hardSwish: VLM_ACTIVATION_HARD_SWISH
    }
  }
}

extension Tensor {
  /// The values of an f32 tensor, in stored order.
  ///
  /// - Precondition: the format is f32 and the tensor has bytes.
  package var floats: UnsafePointer<Float> {
    precondition(format.holdsFloats, "'\(name)' holds f32")
    guard let base = bytes.baseAddress else { preconditionFailure("'\(name)' has bytes") }
    return base.assumingMemoryBound(to: Float.self)
  }
}

/// The checked face of the elementwise kernels. Every function runs on the calling thread.
extension KernelSet {
  /// Normalises each row to mean 0 and variance 1 over its columns, then `* weight + bias`.
  /// `output` may be `input`.
  package func layerNorm(
    _ input: MatrixView, weight: Tensor?, bias: Tensor?, epsilon: Float, into output: MatrixView
  ) {
    precondition(input.rows == output.rows && input.columns == output.columns, "same shape")
    precondition(weight.map { $0.elementCount == input.columns } ?? true, "weight per column")
    precondition(bias.map { $0.elementCount == input.columns } ?? true, "bias per column")
    table.pointee.layer_norm_f32(
      input.rows, input.columns, input.base, input.stride, weight?.floats, bias?.floats, epsilon,
      output.base, output.stride)
  }

  /// `x / √(variance + epsilon) * weight` over the columns of each row, the variance that of n - 1,
  /// the mean left where it is. `output` may be `input`.
  package func simpleNorm(
    _ input: MatrixView, weight: Tensor, epsilon: Float, into output: MatrixView
  ) {
    precondition(input.rows == output.rows && input.columns == output.columns, "same shape")
    precondition(weight.elementCount == input.columns, "weight per column")
    table.pointee.simple_norm_f32(
      input.rows, input.columns, input.base, input.stride, weight.floats, epsilon, output.base,
      output.stride)
  }

  /// `sums[c] += Σ_r x[r][c]²`; `sums` is one row.
  package func addSquares(of input: MatrixView, to sums: MatrixView) {
    precondition(sums.rows == 1 && sums.columns == input.columns, "one sum per column")
    table.pointee.sum_squares_f32(
      input.rows, input.columns, input.base, input.stride, sums.base)
  }

  /// `y[r][c] = x[r][c] * scale[c] + shift[c]`; `output` may be `input`.
  package func scaleShift(
    _ input: MatrixView, scale: MatrixView, shift: MatrixView, into output: MatrixView
  ) {
    precondition(scale.columns == input.columns && shift.columns == input.columns, "per column")
    precondition(input.rows == output.rows && input.columns == output.columns, "same shape")
    table.pointee.scale_shift_f32(
      input.rows, input.columns, input.base, input.stride, scale.base, shift.base, output.base,
      output.stride)
  }

  /// The same by vectors of weights.
  package func scaleShift(
    _ input: MatrixView, scale: Tensor, shift: Tensor, into output: MatrixView
  ) {
    precondition(scale.elementCount == input.columns, "per column")
    precondition(shift.elementCount == input.columns, "per column")
    precondition(input.rows == output.rows && input.columns == output.columns, "same shape")
    table.pointee.scale_shift_f32(
      input.rows, input.columns, input.base, input.stride, scale.floats, shift.floats, output.base,
      output.stride)
  }

  /// Depthwise convolution of rows `lines` of one image, channels last.
  ///
  /// - Parameters:
  ///   - input: `[height * width, channels]`, without gaps.
  ///   - weight: stored `[kernel, kernel, channels]` (`AxisOrder.tapsFirst`).
  ///   - output: `[lines.count * width, channels]`, without gaps.
  package func depthwise(
    _ input: MatrixView, height: Int, width: Int, lines: Range<Int>, weight: Tensor, kernel: Int,
    dilation: Int, bias: Tensor?, into output: MatrixView
  ) {
    precondition(input.rows == height * width && input.stride == input.columns, "whole image")
    precondition(lines.lowerBound >= 0 && lines.upperBound <= height, "lines inside the image")
    precondition(output.rows == lines.count * width && output.columns == input.columns, "output")
    precondition(output.stride == output.columns, "output without gaps")
    precondition(kernel % 2 == 1 && dilation >= 1, "odd kernel")
    precondition(weight.elementCount == kernel * kernel * input.columns, "weight shape")
    precondition(weight.format.order == .tapsFirst, "weight order")
    var call = vlm_depthwise(
      height: height, width: width, channels: input.columns, kernel: kernel, dilation: dilation,
      row_begin: lines.lowerBound, row_end: lines.upperBound, x: input.base,
      weights: weight.floats, bias: bias?.floats, y: output.base)
    table.pointee.depthwise_f32(&call)
  }

  /// The mean of all rows, accumulated in f64: `[1, columns]`.
  package func meanOfRows(_ input: MatrixView, into output: MatrixView) {
    precondition(output.rows == 1 && output.columns == input.columns, "one row")
    var sums = [Double](repeating: 0, count: input.columns)
    for row in 0..<input.rows {
      let start = input.base + row * input.stride
      for column in 0..<input.columns { sums[column] += Double(start[column]) }
    }
    let scale = 1 / Double(max(1, input.rows))
    for column in 0..<input.columns { output.base[column] = Float(sums[column] * scale) }
  }
}

extension KernelSet {
  /// The largest value of each column: `[1, columns]`.
  package func maximumOfRows(_ input: MatrixView, into output: MatrixView) {
    precondition(output.rows == 1 && output.columns == input.columns, "one row")
    for column in 0..<input.columns {
      var largest = -Float.infinity
      for row in 0..<input.rows { largest = max(largest, input.base[row * input.stride + column]) }
      output.base[column] = largest
    }
  }
}

/// Windows of an image laid out as matrix rows, so that a convolution becomes a product.
package struct PatchGeometry: Sendable, Equatable {
  package let kernel: Int
  package let stride: Int
  package let dilation: Int
  /// Zero rows and columns before the first one; the far side gets what the output size needs.
  package let padding: Int
  /// Zeros after the last row and column.
  package let trailingPadding: Int

  package init(
    kernel: Int, stride: Int, dilation: Int = 1, padding: Int = 0, trailingPadding: Int = 0
  ) {
    self.kernel = kernel
    self.stride = stride
    self.dilation = dilation
    self.padding = padding
    self.trailingPadding = trailingPadding
  }

  /// Windows do not overlap and need no zeros: each input element is read at most once.
  package var isPartition: Bool {
    stride == kernel && dilation == 1 && padding == 0 && trailingPadding == 0
  }

  /// Output extent for an input extent; rows and columns that fill no window are dropped.
  package func outputExtent(_ extent: Int) -> Int {
    let span = dilation * (kernel - 1) + 1
    let padded = extent + padding + trailingPadding
    return padded < span ? 0 : (padded - span) / stride + 1
  }

  /// Copies the windows of output lines `lines` of one image into rows of `output`.
  ///
  /// - Parameters:
  ///   - input: `[height * width, channels]`, without gaps.
  ///   - output: `[lines.count * outputWidth, kernel * kernel * channels]`; window order is
  ///     (y, x, channel).
  package func gather(
    _ input: MatrixView, height: Int, width: Int, lines: Range<Int>, into output: MatrixView
  ) {
    let channels = input.columns
    let outputWidth = outputExtent(width)
    precondition(input.rows == height * width && input.stride == channels, "whole image")
    precondition(output.rows == lines.count * outputWidth, "one row per window")
    precondition(output.columns == kernel * kernel * channels, "window size")
    for (index, line) in lines.enumerated() {
      for column in 0..<outputWidth {
        var target = output.base + (index * outputWidth + column) * output.stride
        for dy in 0..<kernel {
          let y = line * stride + dy * dilation - padding
          guard y >= 0 && y < height else {
            target.update(repeating: 0, count: kernel * channels)
            target += kernel * channels
            continue
          }
          let x = column * stride - padding
          if dilation == 1 && x >= 0 && x + kernel <= width {
            target.update(from: input.base + (y * width + x) * channels, count: kernel * channels)
            target += kernel * channels
            continue
          }
          for dx in 0..<kernel {
            let x = x + dx * dilation
            if x >= 0 && x < width {
              target.update(from: input.base + (y * width + x) * channels, count: channels)
            } else {
              target.update(repeating: 0, count: channels)
            }
            target += channels
          }
        }
      }
    }
  }
}
