/// What can be looked at in LLaVA-HR's tower, by the names of upstream's modules.
package enum MultiResolutionPoint: ObservationPoint {
  /// Where a branch enters an adapter or the fusion, what is made of each there, and what leaves.
  package enum Adapter: String, Sendable {
    case entering = "in_fast"
    case slow = "slow_proj"
    case fast = "fast_proj"
    /// Before its tanh.
    case gate = "gate_pre_tanh"
    case leaving = "out"
  }

  /// The fast path's copy of the picture.
  case smallCopy
  /// Of the fast path's transformer.
  case fast(any ObservationPoint)
  /// Of the slow path's tower.
  case slow(any ObservationPoint)
  case adapter(Int, Adapter)
  /// Where the two paths become one.
  case fusion(Adapter)
  case visualTokens
  /// What a projector reads, which is the same.
  case features

  package var name: String {
    switch self {
    case .smallCopy: "fast.pixel_in"
    case .fast(let point):
      switch point.role {
      case .layer(0): "fast.pre_layernorm"
      case .layer(let count): "fast.layer\(count - 1)"
      default: "fast.\(point.name)"
      }
    case .slow(let point): "slow.\(point.name)"
    case .adapter(let index, let point): "adapter\(index).\(point.rawValue)"
    case .fusion(let point): "align.\(point.rawValue)"
    case .visualTokens: "visual_tokens"
    case .features: "features"
    }
  }

  /// The names say which of the two towers they belong to.
  package var nameUnderLanguageModel: String {
    if case .features = self { return "tower.features" }
    return name
  }

  package var role: ObservationRole {
    switch self {
    case .fast(let point):
      if case .layer(1...) = point.role { .lowResolution } else { .other }
    case .slow(let point):
      if case .stage = point.role { .highResolution } else { .other }
    case .adapter(let index, .gate): .gate(index)
    case .features: .features
    case .smallCopy, .adapter, .fusion, .visualTokens: .other
    }
  }
}
