import VLMFoundation

/// The names under which checkpoints store a FastViT. All are brought to timm's.
enum FastViTNaming: Equatable, CaseIterable {
  case timm
  /// Apple's, of ml-fastvit, ml-mobileclip and ml-fastvlm: stages, and what stands between them,
  /// are one list.
  case apple

  /// Whose names `names` are, and what stands before the tower's; nil where there is no FastViT.
  static func find(_ names: Set<String>) -> (naming: FastViTNaming, prefix: String)? {
    for naming in allCases {
      for prefix in naming.prefixes {
        let isThere = naming.marks.allSatisfy { forms in
          forms.contains { names.contains(prefix + $0) }
        }
        if isThere { return (naming, prefix) }
      }
    }
    return nil
  }

  /// What may stand before the tower's names.
  private var prefixes: [String] {
    switch self {
    case .timm: ["", "timm_model.", "visual.trunk."]
    case .apple: ["", "model.", "image_encoder.model."]
    }
  }

  /// Names that a FastViT has, each as it is trained and as it is fused.
  private var marks: [[String]] {
    switch self {
    case .timm:
      [
        ["stem.0.reparam_conv.weight", "stem.0.conv_kxk.0.conv.weight"],
        ["stages.0.blocks.0.mlp.conv.conv.weight"],
        ["final_conv.reparam_conv.weight", "final_conv.conv_kxk.0.conv.weight"],
      ]
    case .apple:
      [
        ["patch_embed.0.reparam_conv.weight", "patch_embed.0.rbr_conv.0.conv.weight"],
        ["network.0.0.convffn.conv.conv.weight"],
        ["conv_exp.reparam_conv.weight", "conv_exp.rbr_conv.0.conv.weight"],
      ]
    }
  }

  /// timm's names for `names`, which have lost what stands before the tower's.
  func timm(_ names: [String]) -> [String] {
    guard self == .apple else { return names }
    let ends = Set(
      names.compactMap { name in
        name.contains(".proj.0.") || name.contains(".proj.1.") ? Self.place(name)?.index : nil
      }
    ).sorted()
    return names.map { Self.timm($0, ends: ends) }
  }

  /// Of "network.5.proj.0.weight", 5 and "proj.0.weight".
  private static func place(_ name: String) -> (index: Int, rest: String)? {
    guard let inner = name.dropping("network.") else { return nil }
    let part = inner.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard part.count == 2, let index = Int(part[0]), String(index) == part[0] else { return nil }
    return (index, String(part[1]))
  }

  /// As timm's `checkpoint_filter_fn` does it.
  ///
  /// - Parameter ends: where downsampling convolutions stand in the list, each the first of a
  ///   stage.
  private static func timm(_ name: String, ends: [Int]) -> String {
    var result = name
    if let (index, rest) = place(name) {
      let stage = "stages.\(ends.count { $0 <= index })."
      if rest.hasPrefix("proj.") {
        result = stage + "downsample." + rest
      } else if let leaf = rest.dropping("pe.") {
        result = stage + "pos_emb.pos_enc." + leaf
      } else if rest.hasPrefix("reparam_conv.") {
        result = stage + "pos_emb." + rest
      } else {
        result = stage + "blocks." + rest
      }
    } else if let rest = name.dropping("patch_embed.") {
      result = "stem." + rest
    } else if let rest = name.dropping("conv_exp.") {
      result = "final_conv." + rest
    } else if let leaf = name.dropping("head."), ["weight", "bias"].contains(leaf) {
      result = "head.fc." + leaf
    }
    let parts = result.split(separator: ".", omittingEmptySubsequences: false).map { part in
      words[String(part)] ?? String(part)
    }
    result = parts.joined(separator: ".")
    return parts.last?.hasPrefix("layer_scale") == true ? result + ".gamma" : result
  }

  private static let words = [
    "rbr_conv": "conv_kxk", "rbr_scale": "conv_scale", "rbr_skip": "identity",
    "lkb_origin": "large_conv", "lkb_reparam": "reparam_conv", "convffn": "mlp", "reduce": "fc1",
    "expand": "fc2",
  ]
}
