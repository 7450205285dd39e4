/// What can be looked at in a ConvNeXt.
package enum ConvNeXtPoint: ObservationPoint, Equatable {
  /// The map that leaves the stem.
  case stem
  /// The map that leaves a stage, from 0.
  case stage(Int)
  /// The last map behind a norm over it, where there is one.
  case features
  /// What pooling makes of it.
  case pooled
  /// The same behind its norm.
  case headNorm
  /// Behind the hidden layer of a head.
  case preLogits
  /// Behind a layer of a head that was put in the place of the usual one.
  case headLayer(Int)
  /// Logits of classes, or a joint embedding before its norm.
  case logits

  package var name: String {
    switch self {
    case .stem: "stem"
    case .stage(let index): "stage\(index)"
    case .features: "features"
    case .pooled: "pooled"
    case .headNorm: "head_norm"
    case .preLogits: "pre_logits"
    case .headLayer(let index): "head.\(index)"
    case .logits: "logits"
    }
  }

  /// ConvLLaVA's code calls what leaves the stem its embeddings.
  package var nameUnderLanguageModel: String {
    self == .stem ? "tower.embeddings" : "tower.\(name)"
  }

  package var role: ObservationRole {
    switch self {
    case .stage(let index): .stage(index)
    case .features: .features
    case .stem, .pooled, .headNorm, .preLogits, .headLayer, .logits: .other
    }
  }
}
