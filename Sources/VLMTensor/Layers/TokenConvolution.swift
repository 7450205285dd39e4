/// One filter per channel over neighbouring tokens, as many before as behind.
package struct TokenConvolution: Sendable {
  /// Stored `[1, kernel, channels]`.
  private let weight: Tensor
  private let bias: Tensor
  private let kernel: Int

  /// - Parameter kernel: tokens that a filter sees, an odd number.
  package init(_ weights: Weights, channels: Int, kernel: Int) throws(ModelError) {
    weight = try weights.tensor("weight", [channels, 1, 1, kernel], .depthwise)
    bias = try weights.tensor("bias", [channels], .vector)
    self.kernel = kernel
  }

  /// Rows `rows` of the result, `[tokens, channels]` as `x`; reads those around them. Beyond both ends of
  /// `x` are zeros. `y` shares no memory with `x`.
  package func callAsFunction(_ x: MatrixView, rows: Range<Int>, into y: MatrixView) {
    let channels = x.columns
    let (taps, shifts) = (weight.floats, bias.floats)
    for row in rows {
      let output = y.base + row * y.stride
      output.update(from: shifts, count: channels)
      let first = row - kernel / 2
      for source in max(0, first)..<min(x.rows, first + kernel) {
        let (input, tap) = (x.base + source * x.stride, taps + (source - first) * channels)
        for channel in 0..<channels { output[channel] += input[channel] * tap[channel] }
      }
    }
  }
}
