import VLMFoundation

/// The names under which LLaVA-HR stores its vision tower.
package enum MultiResolutionNaming {
  package enum Meaning: Sendable, Equatable {
    /// Our name for it.
    case tensor(String)
    /// Stored, but read by no computation: the transformer's last norm, the classifier of the
    /// ConvNeXt.
    case dead
    case unused
  }

  /// What `name` is, which has lost "model.vision_tower." before it.
  package static func meaning(_ name: String) -> Meaning {
    if let rest = name.dropping("fast_vision_tower.vision_tower.") {
      if rest == "vision_model.embeddings.position_ids" { return .dead }
      guard let ours = ViTNaming.canonical(rest) else { return .unused }
      return ours.hasPrefix("post_norm.") ? .dead : .tensor("fast." + ours)
    }
    if let rest = name.dropping("slow_vision_tower.vision_tower.") {
      guard let ours = ConvNeXtNaming.timm.canonical(rest) else { return .unused }
      let isDead = ours.hasPrefix("head.") || ours.hasPrefix("norm_pre.")
      return isDead ? .dead : .tensor("slow." + ours)
    }
    if let rest = name.dropping("align_stages_latent.") { return .tensor("adapters." + rest) }
    if let rest = name.dropping("align_stages.0.") {
      if let inner = rest.dropping("fast_proj.") { return .tensor("final.fast." + inner) }
      if let inner = rest.dropping("slow_proj.") { return .tensor("final.slow." + inner) }
    }
    return .unused
  }

  /// The shape that the model states for our `name`: 1×1 convolutions are matrices.
  package static func modelShape(_ name: String, _ shape: [Int]) -> [Int] {
    let isAdapter = name.hasPrefix("adapters.") && !name.contains(".fast_conv.")
    if isAdapter, shape.count == 4, shape[2] == 1, shape[3] == 1 { return [shape[0], shape[1]] }
    return shape
  }
}
