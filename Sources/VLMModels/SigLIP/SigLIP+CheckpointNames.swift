/// The names under which checkpoints store SigLIP's vision tower.
package enum SigLIPNaming: Sendable, Equatable, CaseIterable {
  /// transformers': behind "vision_model." in its files up to transformers 4, and always in whole
  /// models; behind nothing in a `SiglipVisionModel` of transformers 5.
  case huggingFace
  /// timm's, and open_clip's, whose "visual.trunk" is a model of timm's.
  case timm

  /// What may stand before the tower's names.
  private var prefixes: [String] {
    self == .huggingFace ? ["vision_model.", ""] : ["visual.trunk.", ""]
  }

  /// Names that such a tower has, and one that others with the same names have: a class token's.
  private var marks: (present: [String], absent: String) {
    switch self {
    case .huggingFace:
      (
        [
          "embeddings.patch_embedding.weight", "embeddings.patch_embedding.bias",
          "embeddings.position_embedding.weight", "post_layernorm.weight",
        ], "embeddings.class_embedding"
      )
    case .timm:
      (
        ["patch_embed.proj.weight", "patch_embed.proj.bias", "pos_embed", "norm.weight"],
        "cls_token"
      )
    }
  }

  /// Whose names `names` are, and what stands before the tower's; nil where there is no tower.
  ///
  /// - Parameter lacking: how many of the tensors that tell a tower may be missing.
  static func find(
    _ names: Set<String>, lacking: Int = 0
  ) -> (naming: SigLIPNaming, prefix: String)? {
    for naming in allCases {
      let (present, absent) = naming.marks
      for prefix in naming.prefixes where !names.contains(prefix + absent) {
        let missing = present.filter { !names.contains(prefix + $0) }
        if missing.count <= lacking { return (naming, prefix) }
      }
    }
    return nil
  }

  /// Our names of the tensors that tell a tower.
  var requiredNames: [String] { marks.present.compactMap(canonical) }

  /// Whether a tensor is of the tower for texts beside this one, or of what both meet in.
  func isOfTexts(_ name: String) -> Bool {
    let part = name.split(separator: ".", maxSplits: 2)
    switch part.first {
    case "logit_scale", "logit_bias": return part.count == 1
    case "text_model":
      return self == .huggingFace && part.count == 3
        && ["embeddings", "encoder", "final_layer_norm", "head"].contains(part[1])
    case "text": return self == .timm && part.count > 1
    default: return false
    }
  }

  /// Our name for `name`, which has lost what stands before the tower's names; nil for a tensor that
  /// is no part of the tower.
  package func canonical(_ name: String) -> String? {
    switch self {
    case .huggingFace: Self.huggingFaceName(name)
    case .timm: Self.timmName(name)
    }
  }

  /// Of the classifier's tensor `name`, which stands beside the tower's under its full name.
  func classifier(_ name: String) -> String? {
    let module = self == .huggingFace ? "classifier." : "head."
    guard let leaf = name.dropping(module), ["weight", "bias"].contains(leaf) else { return nil }
    return "classifier.0.\(leaf)"
  }

  private static let single = [
    "embeddings.patch_embedding.weight": "embeddings.patch.weight",
    "embeddings.patch_embedding.bias": "embeddings.patch.bias",
    "embeddings.position_embedding.weight": "embeddings.position",
    "post_layernorm.weight": "post_norm.weight", "post_layernorm.bias": "post_norm.bias",
    "head.probe": "head.probe",
    "head.attention.in_proj_weight": "head.attention.qkv.weight",
    "head.attention.in_proj_bias": "head.attention.qkv.bias",
    "patch_embed.proj.weight": "embeddings.patch.weight",
    "patch_embed.proj.bias": "embeddings.patch.bias", "pos_embed": "embeddings.position",
    "norm.weight": "post_norm.weight", "norm.bias": "post_norm.bias",
    "attn_pool.latent": "head.probe",
  ]

  private static func huggingFaceName(_ name: String) -> String? {
    if let ours = single[name] { return ours }
    if let rest = name.dropping("head.") {
      let modules = [
        "attention.out_proj": "attention.out", "layernorm": "norm", "mlp.fc1": "mlp.fc1",
        "mlp.fc2": "mlp.fc2",
      ]
      return PatchTransformerShapes.module(rest, of: modules).map { "head.\($0)" }
    }
    let modules = [
      "self_attn.q_proj": "attention.q", "self_attn.k_proj": "attention.k",
      "self_attn.v_proj": "attention.v", "self_attn.out_proj": "attention.out",
      "layer_norm1": "norm1", "layer_norm2": "norm2", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
    ]
    return name.dropping("encoder.layers.").flatMap { layer($0, of: modules) }
  }

  private static func timmName(_ name: String) -> String? {
    if let ours = single[name] { return ours }
    if let rest = name.dropping("attn_pool.") {
      let modules = [
        "q": "attention.q", "kv": "attention.kv", "proj": "attention.out", "norm": "norm",
        "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
      ]
      return PatchTransformerShapes.module(rest, of: modules).map { "head.\($0)" }
    }
    let modules = [
      "attn.qkv": "attention.qkv", "attn.proj": "attention.out", "norm1": "norm1",
      "norm2": "norm2", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
    ]
    return name.dropping("blocks.").flatMap { layer($0, of: modules) }
  }

  /// Of "3.mlp.fc1.weight", which has lost what layers stand in.
  private static func layer(_ name: String, of modules: [String: String]) -> String? {
    let part = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard part.count == 2, let index = Int(part[0]), String(index) == part[0],
      PatchTransformerShapes.layerIndices.contains(index)
    else { return nil }
    let ours = PatchTransformerShapes.module(String(part[1]), of: modules)
    return ours.map { "layers.\(part[0]).\($0)" }
  }
}
