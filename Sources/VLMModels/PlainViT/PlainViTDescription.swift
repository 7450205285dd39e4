import VLMFoundation
import VLMTensor

/// What a checkpoint's description says of a plain vision transformer beyond its tensors' shapes.
struct PlainViTDescription {
  let heads: Int
  let activation: Activation
  let epsilon: Float
  /// Base of the angles of patches; nil for a model with a table of positions.
  let rotaryBase: Double?
  /// How timm makes one vector of the tokens; nil where nothing is said.
  let pool: (field: String, name: String)?
  /// Whether transformers' class is that of a classifier.
  let classifies: Bool
  /// Whether that one is a DeiT's with two, one of them on the token of distillation.
  let hasTwoClassifiers: Bool
  /// What stands behind the matrix of a pooler; nothing for an identity.
  let poolerActivation: [HeadLayer]
  /// What a person should know, one line each.
  let notes: [Note]
  private let naming: PlainViTNaming
  /// Where the numbers stand that the tensors must agree with.
  private let fields: ConfigFields
  /// Numbers of classes that are stated.
  private let classCounts: [(field: String, value: Int)]
  /// Pictures that the position table must be for, by their names.
  let imageSizes: [(field: String, value: MapExtent)]
  /// Pictures that are no squares.
  let wideImages: [MapExtent]
  /// Where a file says what picture the position table is for; nil for a class to which it is a square.
  let wideKey: String?

  /// Of both libraries' classes.
  private static let epsilon: Float = 1e-6

  /// What transformers' classes have where a file is silent.
  private struct Usual {
    let keys: ConfigKeys
    let heads: (heads: Int, width: Int)
    let epsilon: Float
    /// Whose published models have as many heads as are guessed.
    let owner: String

    init(_ naming: PlainViTNaming) {
      switch naming {
      case .vit: (keys, heads, epsilon, owner) = (.vit, (12, 768), 1e-12, "ViT's")
      case .dinov3: (keys, heads, epsilon, owner) = (.dinov3ViT, (6, 384), 1e-5, "DINOv3's")
      case .huggingFace, .timm, .timmDINOv3, .facebookDINOv3:
        (keys, heads, epsilon, owner) = (
          .dinov2, (12, 768), PlainViTDescription.epsilon, "DINOv2's"
        )
      }
    }
  }

  /// - Parameters:
  ///   - place: what the description is called in messages.
  ///   - width: of a token.
  /// - Throws: `ModelError` for a field that asks for other arithmetic, or has another type.
  init(
    _ json: JSONValue?, _ naming: PlainViTNaming, _ place: String, width: Int
  ) throws(ModelError) {
    let whole = try ConfigFields(stated: json, path: place)
    self.naming = naming
    switch naming {
    case .huggingFace, .vit, .dinov3:
      let usual = Usual(naming)
      try whole.check(usual.keys)
      rotaryBase = naming == .dinov3 ? try Self.rotaryBase(whole) : nil
      let guess = Self.heads(ofWidth: width, naming)
      let found =
        json == nil
        ? (count: guess, isUsual: false)
        : try whole.heads(width: width, usual: usual.heads, guess: guess)
      heads = found.count
      activation = try whole.statedChoice("hidden_act", Self.activations) ?? .gelu
      epsilon = try whole.statedEpsilon("layer_norm_eps") ?? usual.epsilon
      let pooler = try whole.statedChoice("pooler_act", Self.poolerActivations)
      poolerActivation = pooler ?? [.activation(.tanh)]
      pool = nil
      fields = whole
      try whole.check("num_channels", is: 3)
      let classes = try whole.statedStrings("architectures") ?? []
      hasTwoClassifiers = classes.contains { $0.hasSuffix("ForImageClassificationWithTeacher") }
      classifies =
        hasTwoClassifiers || classes.contains { $0.hasSuffix("ForImageClassification") }
      let labels = try whole.statedObject("id2label")?.count
      classCounts = classifies ? labels.map { [(whole.name("id2label"), $0)] } ?? [] : []
      let size = try whole.statedExtent("image_size")
      imageSizes = size.map { [(whole.name("image_size"), $0)] } ?? []
      // To a DINOv2 its table is always one of a square; a DINOv3 has none.
      wideKey = naming == .vit ? whole.name("image_size") : nil
      if naming == .huggingFace, let size, size.height != size.width {
        throw whole.refusal(
          "image_size", found: "[\(size.height), \(size.width)]",
          expected: "a square, for which transformers' DINOv2 takes its position table")
      }
      wideImages = imageSizes.map(\.value).filter { $0.height != $0.width }
      let note = whole.assumption(
        isTyped: whole.isTyped,
        ["num_attention_heads": counted(found.count, "head")],
        found.isUsual ? "transformers' default" : "as in \(usual.owner) models of this width")
      notes =
        json == nil
        ? [Self.note("no config.json beside the weights", heads, width, naming)]
        : note.map { [$0] } ?? []
    case .timm, .timmDINOv3, .facebookDINOv3:
      let arguments =
        try whole.statedObject("model_args") ?? ConfigFields(.null, path: "model_args")
      if whole.has("model_args") {
        try arguments.check(naming == .timm ? .plainViTTimm : .dinov3Timm)
      }
      rotaryBase =
        naming == .timm ? nil : try arguments.statedDouble("rope_temperature") ?? Self.rotaryBase
      let name = try whole.statedString("architecture")
      let stated = try arguments.statedHeads("num_heads", width: width, of: "embed_dim")
      let named = name.flatMap { Self.heads(ofModel: $0, naming) }
      heads = stated ?? named ?? Self.heads(ofWidth: width, naming)
      let isQuick = name?.contains("_quickgelu_") ?? false
      activation =
        try arguments.statedChoice("act_layer", Self.activations) ?? (isQuick ? .quickGELU : .gelu)
      // timm's towers of CLIPs, which have their norms.
      let isClip = name?.contains("_clip_") ?? false
      epsilon = isClip || naming.isRotary ? 1e-5 : Self.epsilon
      fields = arguments
      try arguments.check("in_chans", is: 3)
      var pools: [(field: String, name: String)] = []
      for part in [arguments, whole] {
        if let pool = try part.statedString("global_pool") {
          pools.append((part.name("global_pool"), pool))
        }
      }
      // timm's default; LingBot's models state otherwise, as facebookresearch's code does.
      let isMean = naming == .timmDINOv3 && !(name?.contains("_lingbot") ?? false)
      pool = pools.first ?? (isMean ? (whole.name("global_pool"), "avg") : nil)
      (classifies, hasTwoClassifiers, poolerActivation) = (false, false, [])
      var counts: [(field: String, value: Int)] = []
      for part in [whole, arguments] {
        let key = "num_classes"
        if let count = try part.statedInt(key) { counts.append((part.name(key), count)) }
      }
      classCounts = counts
      let size = try arguments.statedExtent("img_size")
      imageSizes = size.map { [(arguments.name("img_size"), $0)] } ?? []
      wideImages = ([size, try whole.timmInput()].compactMap { $0 }).filter {
        $0.height != $0.width
      }
      wideKey = naming == .timm ? arguments.name("img_size") : nil
      notes =
        stated == nil && named == nil
        ? [
          Self.note(
            json == nil
              ? "no description beside the weights"
              : "the description does not say which"
                + " model it is", heads, width, naming)
        ] : []
    }
  }

  /// Whether the description is that of another model with the same names.
  static func isOther(
    _ json: JSONValue?, _ naming: PlainViTNaming
  ) throws(ModelError) -> Bool {
    let whole = try ConfigFields(stated: json, path: "config.json")
    switch naming {
    case .huggingFace, .vit, .dinov3:
      let stated = PlainViTFamily.stated
      let names = try whole.statedStrings("architectures") ?? []
      if !names.isEmpty { return !names.contains(where: stated.classes.contains) }
      return try whole.statedString("model_type").map { !stated.types.contains($0) } ?? false
    case .timm:
      guard let name = try whole.statedString("architecture") else { return false }
      return !["vit_", "deit_", "deit3_", "flexivit_"].contains { name.hasPrefix($0) }
    case .timmDINOv3, .facebookDINOv3:
      guard let name = try whole.statedString("architecture") else { return false }
      return !name.hasPrefix("vit_") || !["_dinov3", "_lingbot"].contains { name.contains($0) }
    }
  }

  /// Refuses numbers that contradict the tensors.
  ///
  /// - Parameter classes: that the tensors have; nil for no classifier.
  func check(_ config: PlainViTConfig, classes: Int?) throws(ModelError) {
    let encoder = config.encoder
    for key in ["hidden_size", "embed_dim"] { try fields.check(key, is: encoder.width) }
    for key in ["num_hidden_layers", "depth"] { try fields.check(key, is: encoder.layers) }
    try fields.check("intermediate_size", is: encoder.hidden)
    if !config.pooler.isEmpty { try fields.check("pooler_output_size", is: config.vectorWidth) }
    try checkRatio(config)
    for key in ["num_register_tokens", "reg_tokens", "num_reg_tokens"] {
      try fields.check(key, is: config.registers)
    }
    if let side = try fields.statedSide("patch_size"), side != config.patchSize {
      throw fields.refusal(
        "patch_size", found: "\(side)", expected: "\(config.patchSize), which the tensors have")
    }
    for (key, found) in [
      ("qkv_bias", config.hasProjectionBias), ("use_swiglu_ffn", config.mlp.isGated),
      ("query_bias", config.hasProjectionBias), ("value_bias", config.hasProjectionBias),
      ("key_bias", config.hasKeyBias), ("use_gated_mlp", config.mlp.isGated),
      ("swiglu_mlp", config.mlp.isGated),
    ] {
      guard let stated = try fields.statedBool(key), stated != found else { continue }
      throw fields.refusal(key, found: "\(stated)", expected: "\(found), as the tensors have it")
    }
    for (field, count) in classCounts where count != classes ?? 0 {
      // transformers' wrapper of timm says of a model without a classifier how many there were.
      if classes == nil, naming.isTimm, fields.path != "model_args" { continue }
      throw ModelError(
        .configuration(
          field: field, found: "\(count)", expected: "\(classes ?? 0), which the tensors have"))
    }
  }

  /// `mlp_ratio`, from which transformers' DINOv2 and timm have the width of an MLP.
  private func checkRatio(_ config: PlainViTConfig) throws(ModelError) {
    guard naming == .huggingFace || naming.isTimm,
      let ratio = try fields.statedDouble("mlp_ratio")
    else { return }
    let (width, hidden) = (config.encoder.width, config.encoder.hidden)
    guard ratio > 0, ratio <= 1e6 else {
      throw fields.refusal("mlp_ratio", found: "\(ratio)", expected: "a number above 0")
    }
    let plain = Int(Double(width) * ratio)
    // transformers keeps the size of a gated MLP near that of a plain one; timm halves what it states.
    let gated = (Int(Double(plain) * 2 / 3) + 7) / 8 * 8
    var widths = config.mlp == .plain ? [plain] : naming == .timm ? [plain / 2, plain] : [gated]
    if config.mlp == .splitGate, naming.isRotary {
      // That of the 7B; the others fill up to multiples of 8.
      let multiple = min(4096, max(1, try fields.statedInt("swiglu_align_to") ?? 64))
      widths = Array(plain..<plain + multiple)
    }
    guard !widths.contains(hidden) else { return }
    throw fields.refusal(
      "mlp_ratio", found: "\(ratio)",
      expected: "one with which \(width) columns make MLPs of \(hidden), which the tensors have")
  }

  // MARK: - What is not said

  /// `rope_theta`, which newer files have in an object about the rotation.
  private static func rotaryBase(_ fields: ConfigFields) throws(ModelError) -> Double {
    let inner = try fields.statedObject("rope_parameters")
    if let kind = try inner?.statedString("rope_type"), kind != "default" {
      throw fields.refusal("rope_parameters.rope_type", found: "'\(kind)'", expected: "'default'")
    }
    let outer = try fields.statedDouble("rope_theta")
    return try inner?.statedDouble("rope_theta") ?? outer ?? rotaryBase
  }

  /// Of all published DINOv3s.
  private static let rotaryBase = 100.0

  private static func note(
    _ place: String, _ heads: Int, _ width: Int, _ naming: PlainViTNaming
  ) -> Note {
    let origin =
      publishedHeads(naming)[width] == nil
      ? "a guess, as no published model has \(width) columns"
      : "as in the published models of this width"
    return Note("\(place): assuming \(counted(heads, "head")), \(origin)")
  }

  /// Of timm's and Meta's ViTs, by their width.
  private static func publishedHeads(_ naming: PlainViTNaming) -> [Int: Int] {
    naming.isRotary
      ? [192: 3, 384: 6, 768: 12, 1024: 16, 1280: 20, 1536: 24, 4096: 32]
      : [192: 3, 384: 6, 512: 8, 768: 12, 1024: 16, 1280: 16, 1408: 16, 1536: 24, 1664: 16]
  }

  private static func heads(ofWidth width: Int, _ naming: PlainViTNaming) -> Int {
    publishedHeads(naming)[width] ?? max(1, width / 64)
  }

  private static func heads(ofModel name: String, _ naming: PlainViTNaming) -> Int? {
    let sizes: KeyValuePairs<String, Int> =
      naming.isRotary
      ? [
        "_tiny_": 3, "_small_": 6, "_medium_": 8, "_base_": 12, "_large_": 16, "_huge_": 20,
        "_giant_": 24, "_7b_": 32,
      ]
      : ["_tiny_": 3, "_small_": 6, "_medium_": 8, "_base_": 12, "_large_": 16, "_huge_": 16]
    return sizes.first { name.contains($0.key) }?.value
  }

  /// Of transformers' table of activations those that a pooler is known with.
  private static let poolerActivations: KeyValuePairs<String, [HeadLayer]> = [
    "tanh": [.activation(.tanh)], "gelu": [.activation(.gelu)], "relu": [.activation(.relu)],
    "silu": [.activation(.silu)], "sigmoid": [.activation(.sigmoid)], "linear": [],
  ]

  private static let activations: KeyValuePairs<String, Activation> = [
    "gelu": .gelu, "gelu_pytorch_tanh": .geluTanh, "gelu_new": .geluTanh, "gelu_tanh": .geluTanh,
    "quick_gelu": .quickGELU, "relu": .relu, "silu": .silu,
  ]
}

extension ConfigKeys {
  /// `Dinov2Config` and `Dinov2WithRegistersConfig`.
  static let dinov2 = ConfigKeys(
    free: [
      "hidden_size", "num_hidden_layers", "num_attention_heads", "mlp_ratio", "hidden_act",
      "layer_norm_eps", "image_size", "patch_size", "num_channels", "qkv_bias",
      "layerscale_value", "drop_path_rate", "use_swiglu_ffn", "num_register_tokens",
      "out_features", "out_indices", "stage_names", "apply_layernorm", "reshape_hidden_states",
      "use_mask_token", "interpolate_antialias", "interpolate_offset",
    ],
    neutral: [:])

  /// `ViTConfig` and `DeiTConfig`. What `encoder_stride` says is of a decoder that no file here has.
  static let vit = ConfigKeys(
    free: [
      "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
      "layer_norm_eps", "image_size", "patch_size", "num_channels", "qkv_bias", "encoder_stride",
      "pooler_output_size", "pooler_act",
    ],
    neutral: [:])

  /// `DINOv3ViTConfig`. What `pos_embed_…` say is of training.
  static let dinov3ViT = ConfigKeys(
    free: dinov2.free.subtracting(["qkv_bias", "use_swiglu_ffn", "mlp_ratio"]).union([
      "intermediate_size", "rope_theta", "rope_parameters", "query_bias", "key_bias",
      "value_bias", "use_gated_mlp", "pos_embed_shift", "pos_embed_jitter", "pos_embed_rescale",
    ]),
    neutral: ["proj_bias": [true], "mlp_bias": [true]])

  /// The arguments of timm's `Eva` as DINOv3s have it. What shifts, scales and jitters coordinates is
  /// of training.
  static let dinov3Timm = ConfigKeys(
    free: timmModel.union([
      "img_size", "patch_size", "global_pool", "embed_dim", "depth", "num_heads", "mlp_ratio",
      "qkv_bias", "init_values", "num_reg_tokens", "use_fc_norm", "use_post_transformer_norm",
      "dynamic_img_size", "swiglu_mlp", "swiglu_align_to", "pos_drop_rate", "patch_drop_rate",
      "proj_drop_rate", "attn_drop_rate", "head_init_scale", "rope_temperature",
      "rope_shift_coords", "rope_jitter_coords", "rope_rescale_coords", "no_embed_class",
      "ref_feat_shape", "features_only",
    ]),
    neutral: [
      "rope_type": ["dinov3"], "rope_rotate_half": [true], "use_rot_pos_emb": [true],
      "use_abs_pos_emb": [false], "rope_grid_offset": [0], "rope_grid_indexing": ["ij"],
      "class_token": [true], "qkv_fused": [true], "qk_norm": [false], "scale_mlp": [false],
      "scale_attn_inner": [false], "attn_type": ["eva"], "use_post_norm": [false],
      "use_pre_transformer_norm": [false], "attn_only_layer_scale": [false],
      "dynamic_img_pad": [false],
    ], isClosed: true)

  /// The arguments of timm's `VisionTransformer` that are read or of no consequence.
  static let plainViTTimm = ConfigKeys(
    free: timmModel.union([
      "img_size", "patch_size", "global_pool", "embed_dim", "depth", "num_heads", "mlp_ratio",
      "qkv_bias", "init_values", "no_embed_class", "reg_tokens", "fc_norm", "dynamic_img_size",
      "strict_img_size", "act_layer", "pos_drop_rate", "patch_drop_rate", "proj_drop_rate",
      "attn_drop_rate", "weight_init", "fix_init", "features_only",
    ]),
    neutral: [
      "class_token": [true], "pos_embed": ["learn"], "proj_bias": [true], "final_norm": [true],
    ], isClosed: true)
}
