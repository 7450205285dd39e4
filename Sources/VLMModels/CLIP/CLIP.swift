import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// Both towers, and how their similarity is told: a CLIP's or a SigLIP's.
package final class CLIP: Sendable {
  package let config: CLIPConfig
  package let image: any VisionTower
  package let text: TextTower
  /// Logits are the cosines times this: e to the stored scale.
  private let storedScale: Tensor
  private let storedBias: Tensor?

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(_ weights: Weights, _ config: CLIPConfig) throws(ModelError) {
    self.config = config
    image = try config.imageTower.tower(weights["image"])
    text = try TextTower(weights["text"], config.textTower)
    storedScale = try weights.tensor("logit_scale", [1], .vector)
    storedBias = try weights.vector("logit_bias", 1, if: config.hasBias)
  }

  package var scale: Float { expf(storedScale.floats[0]) }
  /// What is added to the logits.
  package var bias: Float { storedBias?.floats[0] ?? 0 }
}
