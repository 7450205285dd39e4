import VLMFoundation
import VLMTensor

/// What timm's `config.json` says of a model, as transformers' wrapper of timm says it too.
struct TimmDescription {
  /// timm's name of the model, sizes included.
  let name: String?
  let model: ConfigFields
  /// What its class was given; nothing where they are the model's usual ones.
  let arguments: ConfigFields

  /// - Throws: `ModelError` for a field of another type.
  init(_ model: ConfigFields) throws(ModelError) {
    self.model = model
    name = try model.statedString("architecture")
    arguments = try model.statedObject("model_args") ?? ConfigFields(.null, path: "model_args")
  }

  /// Refuses arguments that ask for other arithmetic, and another pooling than the mean of the last map.
  func check(_ keys: ConfigKeys) throws(ModelError) {
    try arguments.check(keys)
    try arguments.check("in_chans", is: 3)
    if let pool = try model.statedString("global_pool"), pool != "avg" {
      throw model.refusal("global_pool", found: "'\(pool)'", expected: "'avg'")
    }
  }

  /// Refuses a list that the tensors do not have.
  func check(_ key: String, is found: [Int]) throws(ModelError) {
    guard let stated = try arguments.statedInts(key), stated != found else { return }
    throw arguments.refusal(
      key, found: "\(stated)", expected: "\(found), which the tensors have")
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
  /// Arguments of every model of timm's that `create_model` itself takes, or that no result depends on.
  static let timmModel: Set<String> = [
    "num_classes", "in_chans", "drop_rate", "drop_path_rate", "device", "dtype", "pretrained",
    "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir", "scriptable",
    "exportable", "no_jit", "pretrained_strict",
  ]
}
