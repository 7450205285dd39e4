/// A convolution whose every group reads one channel and makes `multiplier` of it, with a stride
/// and as much padding as leaves the extent at stride 1: `y[m c + j] = filter(m c + j) * x[c]`.
///
/// It runs on the kernel of the depthwise convolution: channels are repeated where a group has
/// several outputs, and columns that the stride passes over are made and dropped.
package struct GroupedConvolution: Sendable {
  package let outputs: Int
  package let kernel: Int
  package let stride: Int
  private let multiplier: Int
  private let weight: Tensor
  private let bias: Tensor?
  private let kernels: KernelSet

  /// - Parameters:
  ///   - multiplier: outputs of a group.
  ///   - kernel: an odd number.
  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(
    _ weights: Weights, inputs: Int, multiplier: Int, kernel: Int, stride: Int
  ) throws(ModelError) {
    outputs = inputs * multiplier
    (self.multiplier, self.kernel, self.stride) = (multiplier, kernel, stride)
    weight = try weights.tensor("weight", [outputs, 1, kernel, kernel], .depthwise)
    bias = try weights.vector("bias", outputs)
    kernels = weights.kernels
  }

  /// Rows or columns of the output.
  package func outputExtent(_ extent: Int) -> Int { extent < 1 ? 0 : (extent - 1) / stride + 1 }

  /// The lines of an image of `height` lines that the output lines `lines` are made from.
  package func inputLines(_ lines: Range<Int>, height: Int) -> Range<Int> {
    let reach = kernel / 2
    let first = max(0, lines.lowerBound * stride - reach)
    return first..<max(first, min(height, (lines.upperBound - 1) * stride + reach + 1))
  }

  /// Values of scratch for `lines` output lines of an image of `width` columns.
  package func scratchCount(lines: Int, width: Int) -> Int {
    let repeated = multiplier > 1 ? (lines - 1) * stride + kernel : 0
    return (repeated + (stride > 1 ? 1 : 0)) * width * outputs
  }

  /// Output lines `lines` of one image.
  ///
  /// - Parameters:
  ///   - x: its lines `inputLines(lines, height:)`, or more of them, `[lines * width, inputs]`.
  ///   - first: the line that `x` begins with.
  ///   - y: `[lines * outputExtent(width), outputs]`, without gaps.
  ///   - scratch: `scratchCount` values, for this call alone.
  package func callAsFunction(
    _ x: MatrixView, from first: Int, height: Int, width: Int, lines: Range<Int>,
    into y: MatrixView, scratch: Activations
  ) {
    let needed = inputLines(lines, height: height)
    var slice = x[(needed.lowerBound - first) * width..<(needed.upperBound - first) * width]
    var used = 0
    if multiplier > 1 {
      used = slice.rows
      let repeated = scratch.matrix(rows: used, columns: outputs)
      Self.repeatChannels(slice, multiplier, into: repeated)
      slice = repeated
    }
    func convolve(_ lines: Range<Int>, into target: MatrixView) {
      kernels.depthwise(
        slice, height: needed.count, width: width, lines: lines, weight: weight, kernel: kernel,
        dilation: 1, bias: bias, into: target)
    }
    guard stride > 1 else {
      let start = lines.lowerBound - needed.lowerBound
      return convolve(start..<start + lines.count, into: y)
    }
    let all = scratch.matrix(rows: used + width, columns: outputs)
    let (line, columns) = (all[used..<used + width], outputExtent(width))
    for (index, row) in lines.enumerated() {
      let place = row * stride - needed.lowerBound
      convolve(place..<place + 1, into: line)
      for column in 0..<columns {
        (y.base + (index * columns + column) * y.stride).update(
          from: line.base + column * stride * outputs, count: outputs)
      }
    }
  }

  private static func repeatChannels(
    _ x: MatrixView, _ count: Int, into y: MatrixView
  ) {
    for row in 0..<x.rows {
      let source = x.base + row * x.stride
      var target = y.base + row * y.stride
      for channel in 0..<x.columns {
        let value = source[channel]
        for _ in 0..<count {
          target.pointee = value
          target += 1
        }
      }
    }
  }
}
