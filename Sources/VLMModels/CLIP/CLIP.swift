import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// Both towers, and the scale of their similarity.
package final class CLIP: Sendable {
  package let config: CLIPConfig
  package let image: any VisionTower
  package let text: TextTower
  /// Logits are the cosines times this: e to the stored scale.
  private let storedScale: Tensor

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(_ weights: Weights, _ config: CLIPConfig) throws(ModelError) {
    self.config = config
    image = try config.imageTower.tower(weights["image"])
    text = try TextTower(weights["text"], config.textTower)
    storedScale = try weights.tensor("logit_scale", [1], .vector)
  }

  package var scale: Float { expf(storedScale.floats[0]) }
}
