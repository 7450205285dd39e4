import VLMTensor

/// The weights of a container with other matrices in the place of some of them.
package final class OverlayWeights: WeightSource {
  private let weights: ContainerWeights
  private let replacements: [Tensor]

  /// - Parameter replacements: each of the name, shape and format of the one that it replaces.
  package init(_ weights: ContainerWeights, replacing replacements: [Tensor]) {
    self.weights = weights
    self.replacements = replacements
  }

  package func tensor(_ spec: TensorSpec) throws(ModelError) -> Tensor {
    let own = try weights.tensor(spec)
    guard let replacement = replacements.first(where: { $0.name == spec.path }) else { return own }
    precondition(
      own.shape == replacement.shape && own.format == replacement.format,
      "a matrix as the one that it replaces")
    return replacement
  }
}
