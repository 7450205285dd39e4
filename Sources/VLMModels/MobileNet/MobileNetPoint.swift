/// What can be looked at in a MobileNet.
package enum MobileNetPoint: ObservationPoint, Equatable {
  /// The map that leaves the stem.
  case stem
  /// The map that leaves a stage, from 0.
  case stage(Int)
  /// The map that leaves the last stage.
  case features
  /// The mean of its positions, behind the convolution that an EfficientViT has before.
  case pooled
  case logits

  package var name: String {
    switch self {
    case .stem: "stem"
    case .stage(let index): "stage\(index)"
    case .features: "features"
    case .pooled: "pooled"
    case .logits: "logits"
    }
  }

  package var role: ObservationRole {
    switch self {
    case .stage(let index): .stage(index)
    case .features: .features
    case .stem, .pooled, .logits: .other
    }
  }
}
