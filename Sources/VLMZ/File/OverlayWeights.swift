import VLMTensor

/// The weights of a container with another matrix in the place of one of them.
package final class OverlayWeights: WeightSource {
  private let weights: ContainerWeights
  private let replacement: Tensor

  /// - Parameter replacement: of the name, shape and format of the one that it replaces.
  package init(_ weights: ContainerWeights, replacing replacement: Tensor) {
    self.weights = weights
    self.replacement = replacement
  }

  package func tensor(_ spec: TensorSpec) throws(ModelError) -> Tensor {
    let own = try weights.tensor(spec)
    guard spec.path == replacement.name else { return own }
    precondition(
      own.shape == replacement.shape && own.format == replacement.format,
      "a matrix as the one that it replaces")
    return replacement
  }
}
