/// Division by the root of the mean square over the channels of each row, and a weight.
package struct RMSNorm: Sendable {
  private let weight: Tensor
  private let epsilon: Float
  private let kernels: KernelSet

  package init(_ weights: Weights, channels: Int, epsilon: Float) throws(ModelError) {
    weight = try weights.tensor("weight", [channels], .vector)
    self.epsilon = epsilon
    kernels = weights.kernels
  }

  /// `y` may be `x`.
  package func callAsFunction(_ x: MatrixView, into y: MatrixView) {
    kernels.rmsNorm(x, weight: weight, epsilon: epsilon, into: y)
  }
}

/// `RMSNorm` of each head of queries or keys by itself, with one weight for all heads.
package struct HeadNorm: Sendable {
  private let weight: Tensor
  private let epsilon: Float
  private let kernels: KernelSet

  /// - Parameter dimension: of a head.
  package init(_ weights: Weights, dimension: Int, epsilon: Float) throws(ModelError) {
    weight = try weights.tensor("weight", [dimension], .vector)
    self.epsilon = epsilon
    kernels = weights.kernels
  }

  /// Normalises `x`, `[rows, heads * dimension]`, in place.
  package func callAsFunction(_ x: MatrixView) {
    kernels.rmsNorm(ofHeads: x, weight: weight, epsilon: epsilon)
  }
}

/// A table of `count` vectors, looked up by row.
package struct Embedding: Sendable {
  package let count: Int
  package let dimension: Int
  /// The table as a product, for a model whose output layer is the same tensor.
  package let product: MatrixProduct

  /// - Parameter role: `.head` where the table is the output layer too.
  package init(
    _ weights: Weights, count: Int, dimension: Int, role: TensorRole = .embedding
  ) throws(ModelError) {
    let weight = try weights.tensor("weight", [count, dimension], role)
    self.count = count
    self.dimension = dimension
    product = weights.product(weight)
  }

  /// Rows `ids` to `y`, `[ids.count, dimension]`.
  ///
  /// - Precondition: every id is at least 0 and below `count`.
  package func callAsFunction(_ ids: [Int], into y: MatrixView) { product.rows(ids, into: y) }
}
