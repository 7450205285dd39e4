/// What can be looked at in a SigLIP, by the names of transformers' outputs.
package enum SigLIPPoint: ObservationPoint, Equatable {
  /// What is added to the patches, resampled where the picture has another size.
  case positions
  /// The tokens behind so many layers: `hidden_states`.
  case hidden(Int)
  /// The tokens behind the norm that follows the last layer.
  case last
  /// The vector for the picture: `pooler_output`, or the mean of the tokens of a model without a
  /// pooling head.
  case pooled
  case logits
  /// What a projector reads.
  case features

  package var name: String {
    switch self {
    case .positions: "position_embedding"
    case .hidden(let index): "hidden.\(index)"
    case .last: "last_hidden_state"
    case .pooled: "pooler_output"
    case .logits: "logits"
    case .features: "features"
    }
  }

  package var role: ObservationRole {
    switch self {
    case .hidden(let index): .layer(index)
    case .features: .features
    default: .other
    }
  }
}
