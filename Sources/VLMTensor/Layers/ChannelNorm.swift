/// What a norm does to the channels of each row.
package enum NormKind: String, Sendable, Equatable, CaseIterable {
  /// Mean 0, variance 1, then weight and bias.
  case layer
  /// Division by the root of the mean square, then a weight.
  case rms
  /// timm's SimpleNorm: division by the root of the unbiased variance, the mean left where it is,
  /// then a weight.
  case simple
}

/// A norm of the kind that the model's configuration names.
package enum ChannelNorm: Sendable {
  case layer(LayerNorm)
  case rms(RMSNorm)
  case simple(SimpleNorm)

  package init(
    _ weights: Weights, channels: Int, epsilon: Float, _ kind: NormKind
  ) throws(ModelError) {
    switch kind {
    case .layer: self = .layer(try LayerNorm(weights, channels: channels, epsilon: epsilon))
    case .rms: self = .rms(try RMSNorm(weights, channels: channels, epsilon: epsilon))
    case .simple: self = .simple(try SimpleNorm(weights, channels: channels, epsilon: epsilon))
    }
  }

  /// `y` may be `x`.
  package func callAsFunction(_ x: MatrixView, into y: MatrixView) {
    switch self {
    case .layer(let norm): norm(x, into: y)
    case .rms(let norm): norm(x, into: y)
    case .simple(let norm): norm(x, into: y)
    }
  }
}

/// Division by the root of the unbiased variance over the channels of each row, and a weight.
package struct SimpleNorm: Sendable {
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
    kernels.simpleNorm(x, weight: weight, epsilon: epsilon, into: y)
  }
}

/// PyTorch's `BatchNorm1d` as it runs behind training: for each column
/// `(x - mean) / √(variance + epsilon) * weight + bias`.
package struct BatchNorm: Sendable {
  private let mean: Tensor
  private let variance: Tensor
  private let weight: Tensor?
  private let bias: Tensor?
  private let epsilon: Float

  package init(
    _ weights: Weights, channels: Int, epsilon: Float, affine: Bool
  ) throws(ModelError) {
    mean = try weights.tensor("mean", [channels], .vector)
    variance = try weights.tensor("variance", [channels], .vector)
    weight = try weights.vector("weight", channels, if: affine)
    bias = try weights.vector("bias", channels, if: affine)
    self.epsilon = epsilon
  }

  /// In place.
  package func callAsFunction(_ x: MatrixView) {
    for column in 0..<x.columns {
      let deviation = (Double(variance.floats[column]) + Double(epsilon)).squareRoot()
      let scale = Double(weight?.floats[column] ?? 1) / deviation
      let shift = Double(bias?.floats[column] ?? 0) - Double(mean.floats[column]) * scale
      for row in 0..<x.rows {
        x[row, column] = Float(Double(x[row, column]) * scale + shift)
      }
    }
  }
}
