import VLMFoundation
import VLMTensor

/// What a description says of a FastViT beyond its tensors' shapes.
struct FastViTDescription {
  /// timm's name of the model.
  let name: String?
  /// Whether a GELU follows the large convolution of a downsampling; nil where nothing says it.
  let activatesDownsampling: Bool?
  /// Side of the square pictures of training.
  let imageSize: Int?
  let timm: TimmDescription

  /// - Parameter place: what the description is called in messages.
  /// - Throws: `ModelError` for a field that asks for other arithmetic, or has another type.
  init(_ json: JSONValue?, _ place: String) throws(ModelError) {
    let whole = try ConfigFields(stated: json, path: place)
    timm = try TimmDescription(try whole.statedObject("model_cfg") ?? whole)
    let vision = try timm.model.statedObject("vision_cfg")
    name = try vision?.statedString("timm_model_name") ?? timm.name
    if let name, name.hasPrefix("fastvit_") { try timm.check(.fastViT) }
    let stated = try timm.arguments.statedBool("lkc_use_act")
    activatesDownsampling = stated ?? name.map { $0.hasPrefix("fastvit_mci") }
    imageSize = try vision?.statedSide("image_size")
  }

  /// Refuses numbers that the tensors do not have.
  func check(_ config: FastViTConfig) throws(ModelError) {
    let stages = config.stages
    try timm.check("layers", is: stages.map(\.depth))
    try timm.check("embed_dims", is: stages.map(\.channels))
    try timm.arguments.check("repmixer_kernel_size", is: config.mixerKernel)
    try timm.arguments.check("down_patch_size", is: config.downsampleKernel)
  }

  /// What is taken where nothing says it.
  func assumption(_ config: FastViTConfig) -> Note? {
    guard activatesDownsampling == nil, config.stages.contains(where: \.downsamples) else {
      return nil
    }
    return Note(
      "the description does not say which FastViT it is: assuming "
        + (config.activatesDownsampling
          ? "a GELU behind the large convolutions, as in the towers of MobileCLIP and FastVLM"
          : "no activation behind the large convolutions, as in Apple's classifiers"))
  }
}

extension ConfigKeys {
  /// The arguments of timm's `FastVit`, which takes no others.
  static let fastViT = ConfigKeys(
    free: timmModel.union([
      "layers", "embed_dims", "mlp_ratios", "token_mixers", "downsamples", "se_downsamples",
      "repmixer_kernel_size", "down_patch_size", "proj_drop_rate", "layer_scale_init_value",
      "lkc_use_act", "stem_use_scale_branch", "cls_ratio", "inference_mode", "features_only",
    ]),
    neutral: ["global_pool": ["avg"], "down_stride": [2]], isClosed: true)
}
