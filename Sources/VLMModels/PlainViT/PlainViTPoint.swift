/// What can be looked at in a plain vision transformer, by the names of transformers' outputs.
package enum PlainViTPoint: ObservationPoint, Equatable {
  /// The tokens behind so many layers: `hidden_states`.
  case hidden(Int)
  /// The tokens behind the last norm, where there is one over them.
  case last
  /// The patches among these.
  case features
  /// The vector for the picture.
  case pooled
  case logits

  package var name: String {
    switch self {
    case .hidden(let index): "hidden.\(index)"
    case .last: "last_hidden_state"
    case .features: "features"
    case .pooled: "pooler_output"
    case .logits: "logits"
    }
  }

  package var role: ObservationRole {
    switch self {
    case .hidden(let index): .layer(index)
    case .features: .features
    case .last, .pooled, .logits: .other
    }
  }
}
