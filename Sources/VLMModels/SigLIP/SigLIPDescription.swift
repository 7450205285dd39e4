import VLMFoundation
import VLMTensor

/// What a checkpoint's description says of SigLIP's vision tower beyond its tensors' shapes.
struct SigLIPDescription {
  let heads: Int
  let activation: Activation
  let epsilon: Float
  /// Numbers that the tensors must agree with, by the description's own names.
  let stated: [(field: String, value: Int)]
  /// Sides of the picture that the position table must be for, by their names.
  let imageSizes: [(field: String, value: Int)]
  let pooling: SigLIPPooling
  /// Whether the class is that of a classifier.
  let classifies: Bool
  /// Numbers of classes that are stated.
  let classCounts: [(field: String, value: Int)]
  /// What a person should know, one line each.
  let notes: [Note]

  /// What transformers' and timm's classes have alike.
  private static let epsilon: Float = 1e-6

  /// - Parameters:
  ///   - width: of a token, which Google's models have so many heads for.
  ///   - positions: rows of the position table.
  /// - Throws: `ModelError` for a field that asks for other arithmetic, or has another type.
  init(
    _ json: JSONValue?, _ naming: SigLIPNaming, width: Int, patchSize: Int, positions: Int
  ) throws(ModelError) {
    switch naming {
    case .huggingFace: try self.init(huggingFace: json, width: width)
    case .timm:
      let activation = Self.timmActivation(width, patchSize, positions)
      try self.init(timm: json, width: width, activation)
    }
  }

  private init(huggingFace json: JSONValue?, width: Int) throws(ModelError) {
    let guess = Self.heads(ofWidth: width)
    let inner = try SigLIPField.object(json, "vision_config")
    try Self.checkParts(json, inner)
    let vision = inner ?? json
    try ConfigKeys.sigLIP.check(json, "config.json")
    try ConfigKeys.sigLIP.check(vision, "vision_config")
    // What is not said is the class's default, which transformers' older files leave out.
    heads = try SigLIPField.integer(vision, "num_attention_heads") ?? (json == nil ? guess : 12)
    activation = try Self.activation(vision?["hidden_act"], "hidden_act") ?? .geluTanh
    epsilon = try SigLIPField.number(vision, "layer_norm_eps").map { Float($0) } ?? Self.epsilon
    let names = ["hidden_size", "num_hidden_layers", "intermediate_size", "patch_size"]
    stated = try Self.numbers(vision, names)
    imageSizes = try Self.numbers(vision, ["image_size"])
    try SigLIPField.checkChannels(vision, "num_channels")
    let usesHead = try SigLIPField.bool(vision, "vision_use_head")
    pooling = .huggingFace(usesHead: json == nil ? nil : usesHead ?? true)
    let classes = json?["architectures"]?.arrayValue ?? []
    classifies = classes.contains("SiglipForImageClassification")
    let labels = try SigLIPField.object(json, "id2label")?.objectValue?.members.count
    var counts: [(field: String, value: Int)] = []
    if classifies, let labels { counts.append((field: "id2label", value: labels)) }
    classCounts = counts
    notes =
      json == nil
      ? ["no config.json beside the weights: assuming \(guess) heads, as in Google's SigLIP"]
      : []
  }

  private init(
    timm json: JSONValue?, width: Int, _ usual: Activation
  ) throws(ModelError) {
    let guess = Self.heads(ofWidth: width)
    let outer = try SigLIPField.object(json, "model_cfg")
    let model = outer ?? json
    let vision = try SigLIPField.object(model, "vision_cfg")
    let arguments = try SigLIPField.object(model, "model_args")
    if vision != nil { try ConfigKeys.sigLIPOpenCLIP.check(vision, "vision_cfg") }
    if arguments != nil { try ConfigKeys.sigLIPTimm.check(arguments, "model_args") }
    let name = try Self.timmName(json)
    let statedHeads = try SigLIPField.integer(arguments, "num_heads")
    heads = statedHeads ?? Self.heads(ofModel: name) ?? guess
    let named = name.map { Self.timmActivation($0) }
    let statedActivation = try Self.activation(arguments?["act_layer"], "act_layer")
    activation = statedActivation ?? named ?? usual
    epsilon = Self.epsilon
    var numbers = try Self.numbers(arguments, ["embed_dim", "depth"])
    if let side = try SigLIPField.side(arguments, "patch_size") {
      numbers.append(("patch_size", side))
    }
    // The tower's own output, as nothing projects it.
    if vision != nil { numbers += try Self.numbers(model, ["embed_dim"]) }
    stated = numbers
    var sizes: [(field: String, value: Int)] = []
    for (part, key) in [(vision, "image_size"), (arguments, "img_size")] {
      if let side = try SigLIPField.side(part, key) { sizes.append((key, side)) }
    }
    imageSizes = sizes
    try SigLIPField.checkChannels(arguments, "in_chans")
    var pools: [(field: String, pool: String)] = []
    for (part, key) in [
      (model, "global_pool"), (arguments, "global_pool"), (vision, "timm_pool"),
    ] {
      if let pool = try SigLIPField.text(part, key) { pools.append((key, pool)) }
    }
    // open_clip's default is to take the mean, whatever the model.
    let isMean = name?.contains("_gap_") ?? false
    let usualPool: String? = vision != nil || name == nil ? nil : isMean ? "avg" : "map"
    pooling = .timm(stated: pools, usual: usualPool)
    classifies = false
    let top = vision == nil ? try Self.numbers(model, ["num_classes"]) : []
    let inner = try Self.numbers(arguments, ["num_classes"])
    classCounts = top + inner
    var assumed: [String] = []
    if name == nil, statedHeads == nil { assumed.append("\(guess) head\(guess == 1 ? "" : "s")") }
    if name == nil, statedActivation == nil {
      assumed.append(usual == .gelu ? "GELU by erf" : "GELU by tanh")
    }
    let place =
      json == nil
      ? "no description beside the weights" : "the description does not say which model it is"
    notes =
      assumed.isEmpty
      ? []
      : ["\(place): assuming \(assumed.joined(separator: " and ")), as timm's SigLIP of this size"]
  }

  /// A whole model has its tower's description inside, and that one is a SigLIP's.
  private static func checkParts(
    _ json: JSONValue?, _ vision: JSONValue?
  ) throws(ModelError) {
    let whole: [JSONValue] = ["SiglipModel", "SiglipForImageClassification"]
    let isWhole =
      json?["model_type"] == "siglip"
      || (json?["architectures"]?.arrayValue ?? []).contains { whole.contains($0) }
    if isWhole, vision == nil {
      throw ModelError(
        .configuration(field: "vision_config", found: "nothing", expected: "an object"))
    }
    guard let type = try SigLIPField.text(vision, "model_type"),
      !SigLIPFamily.stated.towerTypes.contains(type)
    else { return }
    throw ModelError(
      .configuration(
        field: "vision_config.model_type", found: "'\(type)'",
        expected: Registry.alternatives(SigLIPFamily.stated.towerTypes.sorted())))
  }

  /// The name of timm's model that a description states.
  static func timmName(_ json: JSONValue?) throws(ModelError) -> String? {
    let model = json?["model_cfg"] ?? json
    if let name = try SigLIPField.text(model?["vision_cfg"], "timm_model_name") { return name }
    return try SigLIPField.text(model, "architecture")
  }

  /// Whether the description is that of another model with the same names.
  static func isOther(_ json: JSONValue?, _ naming: SigLIPNaming) throws(ModelError) -> Bool {
    guard naming == .timm else { return false }
    return try timmName(json).map { !$0.contains("siglip") } ?? false
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

  private static func numbers(
    _ json: JSONValue?, _ names: [String]
  ) throws(ModelError) -> [(field: String, value: Int)] {
    var numbers: [(field: String, value: Int)] = []
    for name in names {
      if let value = try SigLIPField.integer(json, name) { numbers.append((name, value)) }
    }
    return numbers
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
