import VLMFoundation
import VLMTensor

/// What a checkpoint's description says of SigLIP's vision tower beyond its tensors' shapes.
struct SigLIPDescription {
  let heads: Int
  let activation: Activation
  let epsilon: Float
  /// Numbers that the tensors must agree with, by the description's own names.
  let stated: [(field: String, value: Int)]
  /// Whether a model with a pooling head is said to be run without it.
  let leavesHeadOut: Bool
  /// What a person should know, one line each.
  let notes: [String]

  /// What transformers' and timm's classes have alike.
  private static let epsilon: Float = 1e-6

  /// - Parameters:
  ///   - width: of a token, which Google's models have so many heads for.
  ///   - positions: rows of the position table.
  /// - Throws: `ModelError` for a field that asks for other arithmetic.
  init(
    _ json: JSONValue?, _ naming: SigLIPNaming, width: Int, patchSize: Int, positions: Int
  ) throws(ModelError) {
    let guess = (Self.heads(ofWidth: width), Self.timmActivation(width, patchSize, positions))
    switch naming {
    case .huggingFace:
      let vision = json?["vision_config"] ?? json
      try ConfigKeys.sigLIP.check(json, "config.json")
      try ConfigKeys.sigLIP.check(vision, "vision_config")
      // What is not said is the class's default, which transformers' older files leave out.
      heads = try Self.integer(vision, "num_attention_heads") ?? (json == nil ? guess.0 : 12)
      activation = try Self.activation(vision?["hidden_act"], "hidden_act") ?? .geluTanh
      epsilon = vision?["layer_norm_eps"]?.doubleValue.map { Float($0) } ?? Self.epsilon
      let names = [
        "hidden_size", "num_hidden_layers", "intermediate_size", "patch_size", "image_size",
      ]
      stated = names.compactMap { name in vision?[name]?.intValue.map { (name, $0) } }
      leavesHeadOut = vision?["vision_use_head"]?.boolValue == false
      notes =
        json == nil
        ? ["no config.json beside the weights: assuming \(guess.0) heads, as in Google's SigLIP"]
        : []
    case .timm:
      let model = json?["model_cfg"] ?? json
      let vision = model?["vision_cfg"]
      let arguments = model?["model_args"]
      if vision != nil { try ConfigKeys.sigLIPOpenCLIP.check(vision, "vision_cfg") }
      if arguments != nil { try ConfigKeys.sigLIPTimm.check(arguments, "model_args") }
      let name =
        vision?["timm_model_name"]?.stringValue ?? model?["architecture"]?.stringValue
      heads =
        try Self.integer(arguments, "num_heads") ?? Self.heads(ofModel: name) ?? guess.0
      let named = name.map { Self.timmActivation($0) }
      activation =
        try Self.activation(arguments?["act_layer"], "act_layer") ?? named ?? guess.1
      epsilon = Self.epsilon
      let names = ["embed_dim", "depth", "patch_size"]
      stated = names.compactMap { name in arguments?[name]?.intValue.map { (name, $0) } }
      leavesHeadOut = false
      notes =
        name == nil
        ? [
          "no description beside the weights: assuming \(guess.0) heads and "
            + "\(guess.1 == .gelu ? "GELU by erf" : "GELU by tanh"), as timm's SigLIP of this size"
        ] : []
    }
  }

  /// Whether the description is that of another model with the same names.
  static func isOther(_ json: JSONValue?, _ naming: SigLIPNaming) -> Bool {
    guard naming == .timm else { return false }
    let model = json?["model_cfg"] ?? json
    let name =
      model?["vision_cfg"]?["timm_model_name"]?.stringValue ?? model?["architecture"]?.stringValue
    return name.map { !$0.contains("siglip") } ?? false
  }

  // MARK: - What is not said

  private static func heads(ofWidth width: Int) -> Int {
    [768: 12, 1024: 16, 1152: 16, 1536: 16][width] ?? max(1, width / 64)
  }

  private static func heads(ofModel name: String?) -> Int? {
    guard let name else { return nil }
    return name.contains("_base_") ? 12 : 16
  }

  /// timm runs the first models with erf though they were trained with tanh; those added since have
  /// tanh.
  private static func timmActivation(_ name: String) -> Activation {
    let isLater =
      name.contains("patch32") || name.contains("giantopt") || name.contains("so400m_patch16")
      || name.contains("large") && name.hasSuffix("512")
    return isLater ? .geluTanh : .gelu
  }

  /// The same by the sizes of those models.
  private static func timmActivation(
    _ width: Int, _ patchSize: Int, _ positions: Int
  ) -> Activation {
    let isLater =
      patchSize == 32 || width == 1536 || width == 1152 && patchSize == 16
      || width == 1024 && positions == 32 * 32
    return isLater ? .geluTanh : .gelu
  }

  // MARK: - Fields

  private static func integer(_ json: JSONValue?, _ key: String) throws(ModelError) -> Int? {
    guard let value = json?[key], !value.isNull else { return nil }
    guard let number = value.intValue else {
      throw ModelError(
        .configuration(field: key, found: value.kindWithArticle, expected: "an integer"))
    }
    return number
  }

  private static func activation(
    _ value: JSONValue?, _ key: String
  ) throws(ModelError) -> Activation? {
    guard let value, !value.isNull else { return nil }
    switch value.stringValue {
    case "gelu_pytorch_tanh", "gelu_tanh": return .geluTanh
    case "gelu": return .gelu
    case "quick_gelu": return .quickGELU
    case let other:
      throw ModelError(
        .configuration(
          field: key, found: other.map { "'\($0)'" } ?? value.kindWithArticle,
          expected: "'gelu_pytorch_tanh', 'gelu_tanh', 'gelu' or 'quick_gelu'"))
    }
  }
}

extension ConfigKeys {
  /// `SiglipVisionConfig`, and what stands about it in a `SiglipConfig`.
  static let sigLIP = ConfigKeys(
    free: [
      "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
      "num_channels", "image_size", "patch_size", "hidden_act", "layer_norm_eps", "text_config",
      "vision_config", "image_processor", "vision_use_head",
    ],
    neutral: ["num_register_tokens": [0]])

  /// `CLIPVisionCfg` of open_clip around a SigLIP of timm's.
  static let sigLIPOpenCLIP = ConfigKeys(
    free: openCLIPTimm.free.subtracting(["timm_proj"]),
    neutral: ["timm_pool": ["map", "avg"], "timm_proj": ["none"]],
    isClosed: true)

  /// The arguments of timm's `VisionTransformer` that are read or of no consequence.
  static let sigLIPTimm = ConfigKeys(
    free: [
      "img_size", "patch_size", "in_chans", "num_classes", "embed_dim", "depth", "num_heads",
      "mlp_ratio", "act_layer", "dynamic_img_size", "strict_img_size", "drop_rate",
      "pos_drop_rate", "patch_drop_rate", "proj_drop_rate", "attn_drop_rate", "drop_path_rate",
      "weight_init", "fix_init", "device", "dtype",
      // Taken by `create_model` itself.
      "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir",
      "scriptable", "exportable", "no_jit", "features_only", "pretrained_strict",
    ],
    neutral: [
      "global_pool": ["map", "avg"], "qkv_bias": [true], "final_norm": [true],
      "pos_embed": ["learn"],
    ], isClosed: true)
}
