/// What can be looked at in SmolVLM's vision tower, by the names of transformers' outputs.
package enum SmolVLMPoint: ObservationPoint, Equatable {
  /// The patches behind so many layers: `hidden_states`.
  case hidden(Int)
  /// The patches behind the norm that follows the last layer.
  case last
  /// What the projector reads, behind the pixel shuffle.
  case features

  package var name: String {
    switch self {
    case .hidden(let index): "hidden.\(index)"
    case .last: "last_hidden_state"
    case .features: "features"
    }
  }

  package var role: ObservationRole {
    switch self {
    case .hidden(let index): .layer(index)
    case .last: .other
    case .features: .features
    }
  }
}
