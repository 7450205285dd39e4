/// The names under which checkpoints store a plain vision transformer.
enum PlainViTNaming: Equatable, CaseIterable {
  /// transformers' `Dinov2Model` and its kin: the published files, and the modules' own names.
  case huggingFace
  /// transformers' `ViTModel` and `DeiTModel`, likewise.
  case vit
  /// transformers' `DINOv3ViTModel`.
  case dinov3
  /// timm's; facebookresearch's are the same but for gated MLPs and registers.
  case timm
  /// timm's of a DINOv3, which is an `Eva` there.
  case timmDINOv3
  /// facebookresearch's of a DINOv3.
  case facebookDINOv3

  /// Whether positions are angles.
  var isRotary: Bool { [.dinov3, .timmDINOv3, .facebookDINOv3].contains(self) }
  /// Whether descriptions are timm's.
  var isTimm: Bool { [.timm, .timmDINOv3, .facebookDINOv3].contains(self) }

  /// Whose names `names` are, and what stands before the tower's; nil where there is none.
  static func find(_ names: Set<String>) -> (naming: PlainViTNaming, prefix: String)? {
    for naming in allCases {
      for prefix in naming.prefixes
      where naming.marks.allSatisfy({ $0.contains { names.contains(prefix + $0) } }) {
        return (naming, prefix)
      }
    }
    return nil
  }

  private var prefixes: [String] {
    switch self {
    case .huggingFace: ["", "dinov2.", "dinov2_with_registers."]
    case .vit: ["", "vit.", "deit."]
    case .dinov3, .timm, .timmDINOv3, .facebookDINOv3: [""]
    }
  }

  /// What a convolution of MobileCLIP-B's stem has in front of its number.
  static let stem = "patch_embed.backbone."

  /// Of each of these lists one name is there. Those of a DINOv3 are looked for last, as other
  /// models have these names and a table of positions.
  private var marks: [[String]] {
    let common = [
      ["embeddings.cls_token"], ["embeddings.position_embeddings"],
      ["embeddings.patch_embeddings.projection.weight"],
    ]
    return switch self {
    case .huggingFace: common + [["encoder.layer.0.norm1.weight"]]
    case .vit: common + [lists.map { $0 + "0.layernorm_before.weight" }]
    case .dinov3:
      [["embeddings.cls_token"], ["norm.weight"], ["embeddings.patch_embeddings.weight"]]
    case .timm:
      [
        ["cls_token"], ["pos_embed"], ["blocks.0.attn.qkv.weight"],
        ["patch_embed.proj.weight", Self.stem + "0.conv.weight"],
      ]
    case .timmDINOv3, .facebookDINOv3:
      [
        ["cls_token"], [self == .timmDINOv3 ? "reg_token" : "storage_tokens"],
        ["blocks.0.attn.qkv.weight"], ["patch_embed.proj.weight"],
      ]
    }
  }

  /// What stands before a layer's number. transformers 5 has layers elsewhere in its modules than in
  /// its files.
  private var lists: [String] {
    switch self {
    case .huggingFace: ["encoder.layer."]
    case .vit: ["encoder.layer.", "layers."]
    case .dinov3: ["layer.", "model.layer."]
    case .timm, .timmDINOv3, .facebookDINOv3: ["blocks."]
    }
  }

  /// Our name for `name`, which has lost what stands before the tower's names; nil for a tensor
  /// that is no part of the tower.
  func canonical(_ name: String) -> String? {
    if let ours = Self.single[self]?[name] { return ours }
    guard let rest = lists.lazy.compactMap({ name.dropping($0) }).first else {
      return PatchTransformerShapes.module(name, of: norms)
    }
    let part = rest.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard part.count == 2, let index = Int(part[0]), String(index) == part[0],
      PatchTransformerShapes.layerIndices.contains(index)
    else { return nil }
    let inner = String(part[1])
    let ours = vectors[inner] ?? PatchTransformerShapes.module(inner, of: modules)
    return ours.map { "layers.\(index).\($0)" }
  }

  /// Those of ours that are parts of a DINOv3's tensor `name`, one below the other: queries, keys
  /// and values. Nil for any other.
  func parts(_ name: String) -> [String]? {
    guard self == .timmDINOv3 || self == .facebookDINOv3 else { return nil }
    for leaf in ["weight", "bias"] {
      let end = ".attn.qkv.\(leaf)"
      guard name.hasSuffix(end), let place = String(name.dropLast(end.count)).dropping("blocks."),
        let index = Int(place), String(index) == place,
        PatchTransformerShapes.layerIndices.contains(index)
      else { continue }
      return ["q", "k", "v"].map { "layers.\(index).attention.\($0).\(leaf)" }
    }
    return nil
  }

  /// Whether a tensor follows from others, or is of training alone: which biases of keys are none,
  /// the periods of the angles, the norm and the projections that training had beside the model's.
  func isInert(_ name: String) -> Bool {
    self == .facebookDINOv3
      && (name.hasSuffix(Self.mask) || name == "rope_embed.periods"
        || name.hasPrefix("local_cls_norm.") || name.hasPrefix("projectors."))
  }

  /// What ends the name of a mask that leaves no bias of keys.
  static let mask = ".attn.qkv.bias_mask"

  /// Of the classifier's tensor `name`, which stands beside the tower's under its full name.
  func classifier(_ name: String) -> String? {
    PatchTransformerShapes.module(name, of: classifiers)
  }

  private var classifiers: [String: String] {
    switch self {
    case .huggingFace, .dinov3: ["classifier": "classifier.0"]
    case .vit:
      [
        "classifier": "classifier.0", "cls_classifier": "classifier.0",
        "distillation_classifier": "distilled_classifier.0",
      ]
    case .timm: ["head": "classifier.0", "head_dist": "distilled_classifier.0"]
    case .timmDINOv3, .facebookDINOv3: ["head": "classifier.0"]
    }
  }

  private static let embeddings = [
    "embeddings.cls_token": "embeddings.class",
    "embeddings.patch_embeddings.projection.weight": "embeddings.patch.weight",
    "embeddings.patch_embeddings.projection.bias": "embeddings.patch.bias",
    "embeddings.position_embeddings": "embeddings.position",
  ]

  private static let single: [PlainViTNaming: [String: String]] = [
    .huggingFace: embeddings.merging(["embeddings.register_tokens": "embeddings.registers"]) { $1 },
    .vit: embeddings.merging(["embeddings.distillation_token": "embeddings.distillation"]) { $1 },
    .dinov3: [
      "embeddings.cls_token": "embeddings.class",
      "embeddings.register_tokens": "embeddings.registers",
      "embeddings.patch_embeddings.weight": "embeddings.patch.weight",
      "embeddings.patch_embeddings.bias": "embeddings.patch.bias",
    ],
    .timm: [
      "cls_token": "embeddings.class", "dist_token": "embeddings.distillation",
      "reg_token": "embeddings.registers",
      "register_tokens": "embeddings.registers",
      "patch_embed.proj.weight": "embeddings.patch.weight",
      "patch_embed.proj.bias": "embeddings.patch.bias", "pos_embed": "embeddings.position",
    ],
    .timmDINOv3: fusedDINOv3.merging(["reg_token": "embeddings.registers"]) { $1 },
    .facebookDINOv3: fusedDINOv3.merging(["storage_tokens": "embeddings.registers"]) { $1 },
  ]

  private static let fusedDINOv3 = [
    "cls_token": "embeddings.class", "patch_embed.proj.weight": "embeddings.patch.weight",
    "patch_embed.proj.bias": "embeddings.patch.bias",
  ]

  /// What is no weight and no bias of a module.
  private var vectors: [String: String] {
    switch self {
    case .timmDINOv3:
      [
        "gamma_1": "attention.gamma", "gamma_2": "mlp.gamma", "attn.q_bias": "attention.q.bias",
        "attn.v_bias": "attention.v.bias",
      ]
    default:
      [
        "layer_scale1.lambda1": "attention.gamma", "layer_scale2.lambda1": "mlp.gamma",
        "ls1.gamma": "attention.gamma", "ls2.gamma": "mlp.gamma",
      ]
    }
  }

  private var norms: [String: String] {
    switch self {
    case .huggingFace: ["layernorm": "post_norm"]
    case .vit: ["layernorm": "post_norm", "pooler.dense": "pooler.0"]
    case .dinov3, .facebookDINOv3: ["norm": "post_norm"]
    case .timmDINOv3: ["norm": "post_norm", "fc_norm": "post_norm"]
    case .timm: ["norm": "post_norm", "fc_norm": "post_norm", "norm_pre": "pre_norm"]
    }
  }

  private var modules: [String: String] {
    switch self {
    case .huggingFace, .dinov3:
      [
        "norm1": "norm1", "norm2": "norm2", "attention.attention.query": "attention.q",
        "attention.attention.key": "attention.k", "attention.attention.value": "attention.v",
        "attention.output.dense": "attention.out", "attention.q_proj": "attention.q",
        "attention.k_proj": "attention.k", "attention.v_proj": "attention.v",
        "attention.o_proj": "attention.out", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
        "mlp.weights_in": "mlp.fc1", "mlp.weights_out": "mlp.fc2", "mlp.gate_proj": "mlp.gate",
        "mlp.up_proj": "mlp.up", "mlp.down_proj": "mlp.fc2",
      ]
    case .vit:
      [
        "layernorm_before": "norm1", "layernorm_after": "norm2",
        "attention.attention.query": "attention.q", "attention.attention.key": "attention.k",
        "attention.attention.value": "attention.v", "attention.output.dense": "attention.out",
        "attention.q_proj": "attention.q", "attention.k_proj": "attention.k",
        "attention.v_proj": "attention.v", "attention.o_proj": "attention.out",
        "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2", "mlp.fc1": "mlp.fc1",
        "mlp.fc2": "mlp.fc2",
      ]
    case .timm:
      [
        "norm1": "norm1", "norm2": "norm2", "attn.qkv": "attention.qkv",
        "attn.proj": "attention.out", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
        "mlp.w12": "mlp.fc1", "mlp.w3": "mlp.fc2",
      ]
    case .timmDINOv3, .facebookDINOv3:
      [
        "norm1": "norm1", "norm2": "norm2", "attn.proj": "attention.out", "mlp.fc1": "mlp.fc1",
        "mlp.fc2": "mlp.fc2", "mlp.fc1_g": "mlp.gate", "mlp.fc1_x": "mlp.up",
        "mlp.w1": "mlp.gate", "mlp.w2": "mlp.up", "mlp.w3": "mlp.fc2",
      ]
    }
  }
}
