import VLMFoundation
import VLMTensor

/// What transformers' `config.json` says of one of CLIP's towers.
struct CLIPDescription {
  /// Of the file that has the tower's inside.
  let whole: ConfigFields
  /// The tower's own fields.
  let fields: ConfigFields
  /// Whether it is stated which class it describes.
  var isTyped: Bool { whole.isTyped || fields.isTyped }

  /// - Parameters:
  ///   - description: of the tower or of a whole `CLIPModel`; nil for none.
  ///   - part: "vision_config" or "text_config".
  ///   - place: what the description is called in messages.
  /// - Throws: `ModelError` for what is no object, and for keys that are another model's.
  init(
    _ description: JSONValue?, _ part: String, place: String = "config.json"
  ) throws(ModelError) {
    whole = try ConfigFields(stated: description, path: place)
    // OpenAI's first files have it once more under this name, which transformers lets win whole:
    // what it leaves out is the default.
    let (first, second) = (
      try whole.statedObject(part + "_dict"), try whole.statedObject(part)
    )
    // A description of an image tower alone is that tower's.
    let none = part == "vision_config" ? whole : ConfigFields(.null, path: part)
    fields = first ?? second ?? none
    try fields.check(.clip)
  }

  /// Models of transformers that name their tensors as CLIP does and compute something else.
  private static let kin = ["siglip", "xclip", "owlv", "blip", "altclip", "groupvit"]

  /// - Throws: `ModelError` naming such a model where the description says that it is one.
  static func refuseKin(_ facts: CheckpointFacts) throws(ModelError) {
    guard let type = facts.description?["model_type"]?.stringValue,
      kin.contains(where: { type.hasPrefix($0) }),
      facts.names.contains(where: {
        $0.name.hasPrefix("vision_model.") || $0.name.hasPrefix("embeddings.")
      })
    else { return }
    throw ModelError(
      .configuration(field: "model_type", found: "'\(type)'", expected: "'clip' or a ConvNeXt's"))
  }

  /// `hidden_act`, quick GELU where nothing is said.
  func activation() throws(ModelError) -> Activation {
    try fields.statedChoice("hidden_act", ["quick_gelu": .quickGELU, "gelu": .gelu]) ?? .quickGELU
  }

  /// `layer_norm_eps`.
  func epsilon() throws(ModelError) -> Float {
    try fields.statedEpsilon("layer_norm_eps") ?? TransformerConfig.defaultEpsilon
  }

  /// Heads of a tower of so many columns.
  ///
  /// - Parameter usual: heads and columns that are the class's defaults.
  func heads(
    width: Int, usual: (heads: Int, width: Int)
  ) throws(ModelError) -> (count: Int, isUsual: Bool) {
    try fields.heads(width: width, usual: usual, guess: max(1, width / 64))
  }

  /// What is taken where the description is silent; nil where it says enough.
  func assumption(
    heads: (count: Int, isUsual: Bool), _ activation: Activation, _ epsilon: Float
  ) -> Note? {
    fields.assumption(
      isTyped: isTyped,
      [
        "num_attention_heads": counted(heads.count, "head"),
        "hidden_act": activation == .quickGELU ? "quick GELU" : activation.rawValue,
        "layer_norm_eps": "an epsilon of \(epsilon.shortestDouble)",
      ], heads.isUsual ? "transformers' defaults" : "as in OpenAI's CLIP")
  }
}
