/// The names under which transformers' `CLIPVisionModel` and `CLIPModel` store the vision tower.
package enum ViTNaming {
  /// What stands before the tower's names, up to transformers 4 always and since then in a
  /// `CLIPModel` only.
  private static let prefix = "vision_model."
  private static let patch = "embeddings.patch_embedding.weight"
  /// Beside the tower, of `CLIPVisionModelWithProjection` and `CLIPModel`.
  static let projection = "visual_projection.weight"

  /// Whether a tensor is of the tower for texts, or of what both meet in.
  static func isOfTexts(_ name: String) -> Bool {
    ["text_model", "text_projection", "logit_scale", "logit_bias"]
      .contains(name.prefix { $0 != "." })
  }

  /// The tensors that may be a tower's, each with its name behind `prefix`, and those that are none;
  /// nil when `names` have no patch embedding where a tower has it.
  static func split(
    _ names: [CheckpointFacts.Name]
  ) -> (
    tower: [(name: CheckpointFacts.Name, prefixed: String)], others: [CheckpointFacts.Name]
  )? {
    let all = Set(names.map(\.name))
    let isPrefixed = all.contains(prefix + patch)
    guard isPrefixed || all.contains(patch) && all.contains("embeddings.class_embedding") else {
      return nil
    }
    var others: [CheckpointFacts.Name] = []
    var tower: [(name: CheckpointFacts.Name, prefixed: String)] = []
    for name in names {
      if isPrefixed && !name.name.hasPrefix(prefix) || name.name == projection {
        others.append(name)
      } else {
        tower.append((name, isPrefixed ? name.name : prefix + name.name))
      }
    }
    return (tower, others)
  }

  /// Our name for `name`, which has lost any prefix before "vision_model."; nil for a tensor that
  /// is no part of the tower.
  package static func canonical(_ name: String) -> String? {
    let part = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard part.first == "vision_model" else { return nil }
    switch (part.dropFirst().first, part.count) {
    case ("embeddings", 3) where part[2] == "class_embedding": return "embeddings.class"
    case ("embeddings", 4) where part[2] == "patch_embedding" && part[3] == "weight":
      return "embeddings.patch.weight"
    case ("embeddings", 4) where part[2] == "position_embedding" && part[3] == "weight":
      return "embeddings.position"
    // The library's own spelling.
    case ("pre_layrnorm", 3): return "pre_norm.\(part[2])"
    case ("post_layernorm", 3): return "post_norm.\(part[2])"
    case ("encoder", 6...7) where part[2] == "layers":
      return layer(part[4...]).map { "layers.\(part[3]).\($0)" }
    default: return nil
    }
  }

  /// Our name within a layer.
  static func layer(_ part: ArraySlice<String>) -> String? {
    let inner = part.joined(separator: ".")
    for (theirs, ours) in names where inner.hasPrefix(theirs + ".") {
      let rest = inner.dropFirst(theirs.count + 1)
      return rest == "weight" || rest == "bias" ? "\(ours).\(rest)" : nil
    }
    return nil
  }

  private static let names: [(String, String)] = [
    ("self_attn.q_proj", "attention.q"), ("self_attn.k_proj", "attention.k"),
    ("self_attn.v_proj", "attention.v"), ("self_attn.out_proj", "attention.out"),
    ("layer_norm1", "norm1"), ("layer_norm2", "norm2"), ("mlp.fc1", "mlp.fc1"),
    ("mlp.fc2", "mlp.fc2"),
  ]
}
