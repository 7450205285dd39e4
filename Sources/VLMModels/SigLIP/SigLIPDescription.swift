import VLMFoundation
import VLMTensor

/// What a checkpoint's description says of SigLIP's vision tower beyond its tensors' shapes.
struct SigLIPDescription {
  let heads: Int
  let activation: Activation
  let epsilon: Float
  /// Numbers that the tensors must agree with, where they are there.
  let stated: [(fields: ConfigFields, key: String)]
  /// Pictures that the position table must be for, by their names.
  let imageSizes: [(field: String, value: MapExtent)]
  /// Pictures that are no squares, of timm's files.
  let wideImages: [MapExtent]
  let pooling: SigLIPPooling
  /// Whether the class is that of a classifier.
  let classifies: Bool
  /// Numbers of classes that are stated.
  let classCounts: [(field: String, value: Int)]
  /// What a person should know, one line each.
  let notes: [Note]
  /// The tower's own fields, in transformers' files.
  private let vision: ConfigFields?

  /// Refuses a number of patches that is not the position table's.
  func checkPatches(_ rows: Int) throws(ModelError) { try vision?.check("num_patches", is: rows) }

  /// What transformers' and timm's classes have alike.
  static let epsilon: Float = 1e-6

  /// - Parameters:
  ///   - place: what the description is called in messages.
  ///   - width: of a token, which Google's models have so many heads for.
  ///   - positions: rows of the position table.
  /// - Throws: `ModelError` for a field that asks for other arithmetic, or has another type.
  init(
    _ json: JSONValue?, _ naming: SigLIPNaming, place: String, width: Int, patchSize: Int,
    positions: Int
  ) throws(ModelError) {
    let whole = json == nil ? nil : try ConfigFields(stated: json, path: place)
    switch naming {
    case .huggingFace: try self.init(huggingFace: whole, width: width, patchSize: patchSize)
    case .timm:
      let activation = Self.timmActivation(width, patchSize, positions)
      try self.init(timm: whole, width: width, patchSize: patchSize, activation)
    }
  }

  private init(
    huggingFace whole: ConfigFields?, width: Int, patchSize: Int
  ) throws(ModelError) {
    let inner = try whole?.statedObject("vision_config")
    try Self.checkParts(whole, inner)
    try whole?.check(.sigLIP)
    try inner?.check(.sigLIP)
    let vision = inner ?? whole ?? ConfigFields(.null, path: "config.json")
    let isTyped = vision.isTyped || whole?.isTyped ?? false
    let guess = Self.heads(ofWidth: width)
    let found =
      whole == nil
      ? (count: guess, isUsual: false)
      : try vision.heads(width: width, usual: (heads: 12, width: 768), guess: guess)
    heads = found.count
    activation = try vision.statedChoice("hidden_act", Self.activations) ?? .geluTanh
    epsilon = try vision.statedEpsilon("layer_norm_eps") ?? Self.epsilon
    self.stated = ["hidden_size", "num_hidden_layers", "intermediate_size"].map { (vision, $0) }
    if let side = try vision.statedSide("patch_size"), side != patchSize {
      throw vision.refusal(
        "patch_size", found: "\(side)", expected: "\(patchSize), which the tensors have")
    }
    imageSizes =
      try vision.statedInt("image_size").map {
        [(vision.name("image_size"), MapExtent(height: $0, width: $0))]
      } ?? []
    wideImages = []
    self.vision = vision
    try vision.check("num_channels", is: 3)
    let usesHead = try vision.statedBool("vision_use_head")
    pooling = .huggingFace(usesHead: whole == nil ? nil : usesHead ?? true)
    let classes = try whole?.statedStrings("architectures") ?? []
    classifies = classes.contains { $0.hasSuffix("ForImageClassification") }
    let labels = try whole?.statedObject("id2label")?.count
    classCounts = classifies ? labels.map { [("config.json.id2label", $0)] } ?? [] : []
    let assumed = counted(heads, "head")
    let origin = Self.origin(ofWidth: width)
    if whole == nil {
      notes = ["no config.json beside the weights: assuming \(assumed), \(origin)"]
    } else {
      let note = vision.assumption(
        isTyped: isTyped,
        [
          "num_attention_heads": assumed, "hidden_act": "GELU by tanh",
          "layer_norm_eps": "an epsilon of \(Self.epsilon.shortestDouble)",
        ], found.isUsual ? "transformers' defaults" : origin)
      notes = note.map { [$0] } ?? []
    }
  }

  private init(
    timm whole: ConfigFields?, width: Int, patchSize: Int, _ usual: Activation
  ) throws(ModelError) {
    let guess = Self.heads(ofWidth: width)
    let none = ConfigFields(.null, path: "config.json")
    let model = try whole?.statedObject("model_cfg") ?? whole ?? none
    let vision = try model.statedObject("vision_cfg")
    let arguments = try model.statedObject("model_args") ?? none
    try vision?.check(.sigLIPOpenCLIP)
    if model.has("model_args") { try arguments.check(.sigLIPTimm) }
    let name = try Self.timmName(whole?.value)
    let statedHeads = try arguments.statedHeads("num_heads", width: width, of: "embed_dim")
    heads = statedHeads ?? Self.heads(ofModel: name) ?? guess
    let named = name.map { Self.timmActivation($0) }
    let statedActivation = try arguments.statedChoice("act_layer", Self.activations)
    activation = statedActivation ?? named ?? usual
    epsilon = Self.epsilon
    var numbers: [(fields: ConfigFields, key: String)] = [
      (arguments, "embed_dim"), (arguments, "depth"),
    ]
    // The tower's own output, as nothing projects it.
    if vision != nil { numbers.append((model, "embed_dim")) }
    stated = numbers
    if let side = try arguments.statedSide("patch_size"), side != patchSize {
      throw arguments.refusal(
        "patch_size", found: "\(side)", expected: "\(patchSize), which the tensors have")
    }
    var sizes: [(field: String, value: MapExtent)] = []
    for (part, key) in [(vision ?? none, "image_size"), (arguments, "img_size")] {
      if let size = try part.statedExtent(key) { sizes.append((part.name(key), size)) }
    }
    imageSizes = sizes
    wideImages = (sizes.map(\.value) + [try model.timmInput()].compactMap { $0 }).filter {
      $0.height != $0.width
    }
    try arguments.check("in_chans", is: 3)
    var pools: [(field: String, pool: String)] = []
    for (part, key) in [
      (model, "global_pool"), (arguments, "global_pool"), (vision ?? none, "timm_pool"),
    ] {
      if let pool = try part.statedString(key) { pools.append((part.name(key), pool)) }
    }
    // open_clip's default is to take the mean, whatever the model.
    let isMean = name?.contains("_gap_") ?? false
    let usualPool: String? = vision != nil || name == nil ? nil : isMean ? "avg" : "map"
    pooling = .timm(stated: pools, usual: usualPool)
    classifies = false
    var counts: [(field: String, value: Int)] = []
    for part in vision == nil ? [model, arguments] : [arguments] {
      let key = "num_classes"
      if let count = try part.statedInt(key) { counts.append((part.name(key), count)) }
    }
    classCounts = counts
    self.vision = nil
    var assumed: [String] = []
    if name == nil, statedHeads == nil { assumed.append(counted(guess, "head")) }
    if name == nil, statedActivation == nil {
      assumed.append(usual == .gelu ? "GELU by erf" : "GELU by tanh")
    }
    let place =
      whole == nil
      ? "no description beside the weights" : "the description does not say which model it is"
    notes =
      assumed.isEmpty
      ? []
      : ["\(place): assuming \(assumed.joined(separator: " and ")), as timm's SigLIP of this size"]
  }

  /// A whole model has its tower's description inside, and that one is a SigLIP's.
  private static func checkParts(
    _ whole: ConfigFields?, _ vision: ConfigFields?
  ) throws(ModelError) {
    let classes: Set<String> = [
      "SiglipModel", "SiglipForImageClassification", "Siglip2Model",
      "Siglip2ForImageClassification",
    ]
    if let whole, vision == nil {
      let type = try whole.statedString("model_type")
      let names = try whole.statedStrings("architectures") ?? []
      if type == "siglip" || type == "siglip2" || names.contains(where: classes.contains) {
        throw whole.wrong("vision_config", expected: "an object")
      }
    }
    let outer = try whole?.statedString("model_type") ?? ""
    let towers =
      outer == "siglip2"
      ? ["siglip2_vision_model"]
      : ["siglip_vision_model"] + (outer == "siglip" ? [] : ["siglip2_vision_model"])
    guard let type = try vision?.statedString("model_type"), let vision, !towers.contains(type)
    else { return }
    throw vision.refusal(
      "model_type", found: "'\(type)'", expected: Registry.alternatives(towers))
  }

  /// The name of timm's model that a description states.
  static func timmName(_ json: JSONValue?) throws(ModelError) -> String? {
    let whole = try ConfigFields(stated: json, path: "config.json")
    let model = try whole.statedObject("model_cfg") ?? whole
    if let name = try model.statedObject("vision_cfg")?.statedString("timm_model_name") {
      return name
    }
    return try model.statedString("architecture")
  }

  /// Whether the description is that of another model with the same names.
  static func isOther(_ json: JSONValue?, _ naming: SigLIPNaming) throws(ModelError) -> Bool {
    guard naming == .timm else { return false }
    return try timmName(json).map { !$0.contains("siglip") } ?? false
  }

  // MARK: - What is not said

  /// Of Google's models, by their width.
  private static let publishedHeads = [768: 12, 1024: 16, 1152: 16, 1536: 16]

  static func heads(ofWidth width: Int) -> Int { publishedHeads[width] ?? max(1, width / 64) }

  /// Where that number comes from, for notes.
  static func origin(ofWidth width: Int) -> String {
    publishedHeads[width] == nil
      ? "a guess, as no SigLIP of Google's has \(width) columns" : "as in Google's SigLIP"
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

  /// By the names of both libraries.
  static let activations: KeyValuePairs<String, Activation> = [
    "gelu_pytorch_tanh": .geluTanh, "gelu_tanh": .geluTanh, "gelu": .gelu,
    "quick_gelu": .quickGELU,
  ]
}

extension ConfigKeys {
  /// `SiglipVisionConfig`, and what stands about it in a `SiglipConfig`.
  static let sigLIP = ConfigKeys(
    free: [
      "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
      "num_channels", "image_size", "patch_size", "hidden_act", "layer_norm_eps", "text_config",
      "vision_config", "image_processor", "vision_use_head", "num_patches",
    ],
    neutral: ["num_register_tokens": [0]])

  /// `CLIPVisionCfg` of open_clip around a SigLIP of timm's.
  static let sigLIPOpenCLIP = ConfigKeys(
    free: openCLIPTimm.free.subtracting(["timm_proj"]),
    neutral: ["timm_pool": ["map", "avg"], "timm_proj": ["none"]],
    isClosed: true)

  /// The arguments of timm's `VisionTransformer` that are read or of no consequence.
  static let sigLIPTimm = ConfigKeys(
    free: timmModel.union([
      "img_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio", "act_layer",
      "dynamic_img_size", "strict_img_size", "pos_drop_rate", "patch_drop_rate",
      "proj_drop_rate", "attn_drop_rate", "weight_init", "fix_init", "features_only",
    ]),
    neutral: [
      "global_pool": ["map", "avg"], "qkv_bias": [true], "final_norm": [true],
      "pos_embed": ["learn"],
    ], isClosed: true)
}
