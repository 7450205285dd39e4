/// A pointwise convolution in groups of as many outputs as inputs: a small square matrix for each
/// group, `y[g, o] = sum over i of W[g, o, i] x[g, i]`. It has no bias.
///
/// Its matrices are too small for panels. They are stored whole, inputs first, so that the outputs
/// of a group lie side by side.
package struct GroupedLinear: Sendable {
  private let width: Int
  private let channels: Int
  private let weight: Tensor

  /// - Parameters:
  ///   - width: channels of a group.
  ///   - groups: how many there are.
  /// - Throws: `ModelError` when the tensor is missing or has another shape.
  package init(_ weights: Weights, width: Int, groups: Int) throws(ModelError) {
    self.width = width
    channels = width * groups
    weight = try weights.tensor("weight", [channels, 1, 1, width], .depthwise)
  }

  /// All rows on the calling thread; `y` is not `x`.
  package func callAsFunction(_ x: MatrixView, into y: MatrixView) {
    precondition(x.columns == channels && y.columns == channels && x.rows == y.rows, "same shape")
    let matrices = weight.floats
    for row in 0..<x.rows {
      let (input, output) = (x.base + row * x.stride, y.base + row * y.stride)
      output.update(repeating: 0, count: channels)
      for group in Swift.stride(from: 0, to: channels, by: width) {
        for index in 0..<width {
          let factor = input[group + index]
          let column = matrices + index * channels + group
          for place in 0..<width { output[group + place] += factor * column[place] }
        }
      }
    }
  }
}
