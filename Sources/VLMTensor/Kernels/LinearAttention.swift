/// Attention without a softmax, whose cost grows with the positions and not with their square (Cai
/// et al., "EfficientViT: Multi-Scale Linear Attention for High-Resolution Dense Prediction"):
/// `y = relu(q) (relu(k)ᵀ v) / (relu(q) · sum of relu(k) + epsilon)`.
package struct LinearAttention: Sendable {
  /// Columns of a head's queries, of its keys and of its values.
  package let dimension: Int
  private let epsilon: Float

  package init(dimension: Int, epsilon: Float) {
    (self.dimension, self.epsilon) = (dimension, epsilon)
  }

  /// Values of scratch for one head.
  package var scratchCount: Int { dimension * (dimension + 1) }

  /// One head, on the calling thread.
  ///
  /// - Parameters:
  ///   - joint: of all heads, one behind the other: queries, keys and values, `[rows, 3 dimension]`
  ///     each.
  ///   - y: of all heads, `[rows, dimension]` each.
  ///   - scratch: `scratchCount` values, for this call alone.
  package func callAsFunction(
    head: Int, of joint: MatrixView, into y: MatrixView, scratch: Activations
  ) {
    precondition((head + 1) * 3 * dimension <= joint.columns, "a head of the input")
    precondition((head + 1) * dimension <= y.columns && y.rows == joint.rows, "and of the output")
    let (dimension, width) = (dimension, dimension + 1)
    let sums = scratch.matrix(rows: dimension, columns: width).base
    sums.update(repeating: 0, count: dimension * width)
    let queries = joint.base + head * 3 * dimension
    for row in 0..<joint.rows {
      let key = queries + row * joint.stride + dimension
      let value = key + dimension
      for index in 0..<dimension where !(key[index] <= 0) {
        let (weight, sum) = (key[index], sums + index * width)
        for column in 0..<dimension { sum[column] += weight * value[column] }
        sum[dimension] += weight
      }
    }
    let output = y.base + head * dimension
    for row in 0..<joint.rows {
      let (query, target) = (queries + row * joint.stride, output + row * y.stride)
      target.update(repeating: 0, count: dimension)
      var total = epsilon
      for index in 0..<dimension where !(query[index] <= 0) {
        let (weight, sum) = (query[index], sums + index * width)
        for column in 0..<dimension { target[column] += weight * sum[column] }
        total += weight * sum[dimension]
      }
      for column in 0..<dimension { target[column] /= total }
    }
  }
}
