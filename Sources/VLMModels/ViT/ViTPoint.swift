/// What can be looked at in a vision transformer.
package enum ViTPoint: ObservationPoint, Equatable {
  /// What is added to the patches, resampled where the picture has another size.
  case positions
  /// Patches and positions, before the first norm.
  case embeddings
  /// The same with the class token that a tower drops behind them.
  case embeddingsWithClass
  /// The tokens behind so many layers, transformers' `hidden_states`.
  case hidden(Int)
  /// The patches' tokens of the last layer but one, which is what LLaVA takes of such a tower.
  case selected
  /// The tokens behind the last layer.
  case last
  /// The vector for the picture, before any projection.
  case pooled
  case logits
  /// The projected vector, before its norm.
  case projected
  /// What a projector reads.
  case features

  package var name: String {
    switch self {
    case .positions: "position_embedding"
    case .embeddings: "embeddings"
    case .embeddingsWithClass: "embeddings_with_cls"
    case .hidden(let index): "hidden.\(index)"
    case .selected: "select_layer_-2_patch"
    case .last: "last_hidden_state"
    case .pooled: "pooler_output"
    case .logits: "logits"
    case .projected: "image_embedding_raw"
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
