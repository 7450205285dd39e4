/// What can be looked at in a convolutional tower whose stages make smaller and smaller maps.
package enum ConvolutionPoint: ObservationPoint, Equatable {
  /// The map that leaves the stem.
  case stem
  /// The map that leaves a stage, from 0.
  case stage(Int)
  /// The map that the tower gives: what a projector reads.
  case features
  /// The mean of the last map's positions.
  case pooled
  /// Logits of classes, or a joint embedding before its norm.
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
