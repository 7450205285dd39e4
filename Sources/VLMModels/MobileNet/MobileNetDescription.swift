import VLMFoundation
import VLMTensor

/// What a description says of a MobileNet beyond its tensors' shapes.
struct MobileNetDescription {
  let timm: TimmDescription
  /// Of the layers; nil where nothing says it.
  let activation: Activation?
  /// Of the batch norms; nil where it is the class's own.
  let epsilon: Float?
  /// By what strides are anti-aliased: `mobilenetv4_conv_aa_…` and `…_blur_…`, whose tensors are those
  /// of a model that strides.
  var smoothing: MobileNetConfig.Smoothing? {
    guard let name = timm.name else { return nil }
    return name.contains("_aa_") ? .mean : name.contains("_blur_") ? .blur : nil
  }

  /// - Throws: `ModelError` for a model or a field that asks for other arithmetic, or has another
  ///   type.
  init(_ json: JSONValue?, _ naming: MobileNetNaming) throws(ModelError) {
    timm = try TimmDescription(try ConfigFields(stated: json, path: "config.json"))
    guard let name = timm.name, name.hasPrefix(naming.prefix) else {
      (activation, epsilon) = (nil, nil)
      return
    }
    try timm.check(naming == .mobileNetV4 ? .mobileNetV4 : .efficientViT)
    guard naming == .mobileNetV4 else {
      (activation, epsilon) = (nil, try timm.arguments.statedEpsilon("norm_eps"))
      return
    }
    epsilon = try timm.arguments.statedEpsilon("bn_eps")
    let stated = try timm.arguments.statedChoice("act_layer", Self.activations)
    activation = stated ?? (name.hasPrefix("mobilenetv4_hybrid_large") ? .gelu : .relu)
  }

  private static let activations: KeyValuePairs<String, Activation> = [
    "relu": .relu, "gelu": .gelu, "gelu_tanh": .geluTanh, "silu": .silu, "swish": .silu,
    "hard_swish": .hardSwish, "hardswish": .hardSwish,
  ]

  /// Refuses numbers that the tensors do not have.
  ///
  /// - Parameters:
  ///   - widths: channels of the stem and of each stage.
  ///   - dimension: of a head of linear attention; nil without.
  func check(widths: [Int], dimension: Int?) throws(ModelError) {
    try timm.check("widths", is: widths)
    if let dimension { try timm.arguments.check("head_dim", is: dimension) }
  }
}

extension ConfigKeys {
  /// The arguments of timm's `MobileNetV3` that `mobilenetv4_…` passes on.
  static let mobileNetV4 = ConfigKeys(
    free: timmModel.union(["act_layer", "bn_eps", "bn_momentum"]),
    neutral: ["global_pool": ["avg"], "pad_type": [""]], isClosed: true)

  /// The arguments of timm's `EfficientVit` and `EfficientVitLarge`.
  static let efficientViT = ConfigKeys(
    free: timmModel.union([
      "widths", "depths", "head_dim", "expand_ratio", "head_widths", "norm_eps",
    ]), neutral: ["global_pool": ["avg"]], isClosed: true)
}
