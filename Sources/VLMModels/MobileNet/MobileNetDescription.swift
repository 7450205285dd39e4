import VLMFoundation
import VLMTensor

/// What a description says of a MobileNet beyond its tensors' shapes.
struct MobileNetDescription {
  /// timm's name of the model.
  let name: String?
  /// Of the layers; nil where nothing says it.
  let activation: Activation?
  /// Of the batch norms; nil where it is the class's own.
  let epsilon: Float?
  private let model: ConfigFields
  private let arguments: ConfigFields

  /// - Throws: `ModelError` for a model or a field that asks for other arithmetic, or has another
  ///   type.
  init(_ json: JSONValue?, _ naming: MobileNetNaming) throws(ModelError) {
    model = try ConfigFields(stated: json, path: "config.json")
    name = try model.statedString("architecture")
    arguments = try model.statedObject("model_args") ?? ConfigFields(.null, path: "model_args")
    guard let name, name.hasPrefix(naming.prefix) else {
      (activation, epsilon) = (nil, nil)
      return
    }
    try Self.refuseOthers(name, model)
    try arguments.check(naming == .mobileNetV4 ? .mobileNetV4 : .efficientViT)
    try arguments.check("in_chans", is: 3)
    if let pool = try model.statedString("global_pool"), pool != "avg" {
      throw model.refusal("global_pool", found: "'\(pool)'", expected: "'avg'")
    }
    guard naming == .mobileNetV4 else {
      (activation, epsilon) = (nil, try arguments.statedEpsilon("norm_eps"))
      return
    }
    epsilon = try arguments.statedEpsilon("bn_eps")
    let stated = try arguments.statedChoice("act_layer", Self.activations)
    activation = stated ?? (name.hasPrefix("mobilenetv4_hybrid_large") ? .gelu : .relu)
  }

  private static let activations: KeyValuePairs<String, Activation> = [
    "relu": .relu, "gelu": .gelu, "gelu_tanh": .geluTanh, "silu": .silu, "swish": .silu,
    "hard_swish": .hardSwish, "hardswish": .hardSwish,
  ]

  /// Refuses models whose tensors are another's: with a filter before each stride, which has no
  /// weights.
  private static func refuseOthers(_ name: String, _ model: ConfigFields) throws(ModelError) {
    for part in ["_aa_", "_blur_"] where name.contains(part) {
      throw model.refusal(
        "architecture", found: "'\(name)'",
        expected: "a MobileNetV4 without anti-aliasing: pooling before strides is not supported")
    }
  }

  /// Refuses numbers that the tensors do not have.
  ///
  /// - Parameters:
  ///   - widths: channels of the stem and of each stage.
  ///   - dimension: of a head of linear attention; nil without.
  func check(widths: [Int], dimension: Int?) throws(ModelError) {
    if let stated = try arguments.statedInts("widths"), stated != widths {
      throw arguments.refusal(
        "widths", found: "\(stated)", expected: "\(widths), which the tensors have")
    }
    if let dimension { try arguments.check("head_dim", is: dimension) }
  }

  /// Refuses a classifier that the tensors do not have.
  func checkClasses(_ count: Int) throws(ModelError) {
    for fields in [model, arguments] {
      guard let stated = try fields.statedInt("num_classes"), stated != count else { continue }
      // What transformers' wrapper says of a model whose class has no classifier.
      if count == 0, model.has("model_type") { continue }
      throw fields.refusal(
        "num_classes", found: "\(stated)", expected: "\(count), which the tensors have")
    }
  }
}

extension ConfigKeys {
  /// Taken by timm's `create_model` itself, and training's.
  private static let created: Set<String> = [
    "num_classes", "in_chans", "drop_rate", "drop_path_rate", "device", "dtype", "pretrained",
    "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir", "scriptable",
    "exportable", "no_jit", "pretrained_strict",
  ]

  /// The arguments of timm's `MobileNetV3` that `mobilenetv4_…` passes on.
  static let mobileNetV4 = ConfigKeys(
    free: created.union(["act_layer", "bn_eps", "bn_momentum"]),
    neutral: ["global_pool": ["avg"], "pad_type": [""]], isClosed: true)

  /// The arguments of timm's `EfficientVit` and `EfficientVitLarge`.
  static let efficientViT = ConfigKeys(
    free: created.union([
      "widths", "depths", "head_dim", "expand_ratio", "head_widths", "norm_eps",
    ]), neutral: ["global_pool": ["avg"]], isClosed: true)
}
