/// The parts of a SmolVLM that a checkpoint's tensors belong to, in transformers' names.
package enum SmolVLMNaming {
  package enum Part: Equatable {
    /// Of the vision tower, our name without "tower".
    case vision(String)
    /// Our name, "projector" included.
    case projector(String)
    /// As a checkpoint of the language model alone calls it.
    case language(String)
    case other
  }

  private static let connector = "connector.modality_projection.proj.weight"

  /// What stands before the names of all parts but the head: "model." or nothing, behind what a
  /// training module put there; nil where there is no such model, or several.
  package static func prefix(_ names: some Sequence<String>) -> String? {
    let found = names.filter { $0.hasSuffix(connector) }
    guard found.count == 1, let name = found.first else { return nil }
    let prefix = String(name.dropLast(connector.count))
    return prefix.isEmpty || prefix.hasSuffix(".") ? prefix : nil
  }

  /// The head's name: it stands outside of the model's other parts.
  static func head(_ prefix: String) -> String {
    let isInner = prefix == "model." || prefix.hasSuffix(".model.")
    return (isInner ? String(prefix.dropLast(6)) : prefix) + "lm_head.weight"
  }

  /// What a tensor belongs to; `prefix` stands before the names.
  package static func part(_ name: String, prefix: String) -> Part {
    if name == head(prefix) { return .language("lm_head.weight") }
    guard let rest = name.dropping(prefix) else { return .other }
    if rest == connector { return .projector("projector.0.weight") }
    if let inner = rest.dropping("text_model.") { return .language("model." + inner) }
    guard let inner = rest.dropping("vision_model."), !inner.hasPrefix("head."),
      // The tower is a SigLIP's but for its positions and the pooling, and its names are.
      let ours = SigLIPNaming.huggingFace.canonical(inner)
    else { return .other }
    return .vision(ours)
  }
}
