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
  private let model: ConfigFields
  private let arguments: ConfigFields

  /// - Parameter place: what the description is called in messages.
  /// - Throws: `ModelError` for a field that asks for other arithmetic, or has another type.
  init(_ json: JSONValue?, _ place: String) throws(ModelError) {
    let whole = try ConfigFields(stated: json, path: place)
    model = try whole.statedObject("model_cfg") ?? whole
    let vision = try model.statedObject("vision_cfg")
    let trunk = try vision?.statedString("timm_model_name")
    let architecture = try model.statedString("architecture")
    name = trunk ?? architecture
    arguments = try model.statedObject("model_args") ?? ConfigFields(.null, path: "model_args")
    if let name, name.hasPrefix("fastvit_") {
      try arguments.check(.fastViT)
      try arguments.check("in_chans", is: 3)
      if let pool = try model.statedString("global_pool"), vision == nil, pool != "avg" {
        throw model.refusal("global_pool", found: "'\(pool)'", expected: "'avg'")
      }
    }
    let stated = try arguments.statedBool("lkc_use_act")
    activatesDownsampling = stated ?? name.map { $0.hasPrefix("fastvit_mci") }
    imageSize = try vision?.statedSide("image_size")
  }

  /// Refuses numbers that the tensors do not have.
  func check(_ config: FastViTConfig) throws(ModelError) {
    let stages = config.stages
    for (key, found) in [("layers", stages.map(\.depth)), ("embed_dims", stages.map(\.channels))] {
      guard let stated = try arguments.statedInts(key), stated != found else { continue }
      throw arguments.refusal(
        key, found: "\(stated)", expected: "\(found), which the tensors have")
    }
    try arguments.check("repmixer_kernel_size", is: config.mixerKernel)
    try arguments.check("down_patch_size", is: config.downsampleKernel)
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
    free: [
      "layers", "embed_dims", "mlp_ratios", "token_mixers", "downsamples", "se_downsamples",
      "repmixer_kernel_size", "num_classes", "down_patch_size", "drop_rate", "proj_drop_rate",
      "drop_path_rate", "layer_scale_init_value", "lkc_use_act", "stem_use_scale_branch",
      "cls_ratio", "inference_mode", "in_chans", "device", "dtype",
      // Taken by `create_model` itself.
      "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir",
      "scriptable", "exportable", "no_jit", "features_only", "pretrained_strict",
    ],
    neutral: ["global_pool": ["avg"], "down_stride": [2]], isClosed: true)
}
