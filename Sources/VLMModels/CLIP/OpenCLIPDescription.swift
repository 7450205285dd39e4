import VLMFoundation
import VLMTensor

/// What `open_clip_config.json` says of a CLIP: `model_cfg`, or its content by itself.
struct OpenCLIPDescription {
  private let model: ConfigFields
  let vision: ConfigFields?
  let text: ConfigFields?
  /// The name of a model of timm's that sees the pictures.
  let timmName: String?

  /// - Throws: `ModelError` for what is no object.
  init(_ description: JSONValue?) throws(ModelError) {
    let whole = try ConfigFields(stated: description, path: "open_clip_config.json")
    model = try whole.statedObject("model_cfg") ?? whole
    vision = try model.statedObject("vision_cfg")
    text = try model.statedObject("text_cfg")
    timmName = try vision?.statedString("timm_model_name")
    // Beside the weights may lie another library's description instead.
    if vision != nil { try model.check(.openCLIP) }
  }

  /// Whether activations are quick GELU; nil where nothing is said.
  func quickGELU() throws(ModelError) -> Bool? { try model.statedBool("quick_gelu") }

  /// Whether it is stated that logits have a bias.
  var hasBias: Bool { vision != nil && model.has("init_logit_bias") }

  /// What the text tower's norms add to the variance; nil where nothing is said.
  func textEpsilon() throws(ModelError) -> Float? {
    guard let options = try text?.statedObject("norm_kwargs") else { return nil }
    try options.check(ConfigKeys(free: ["eps"], neutral: [:], isClosed: true))
    return try options.statedEpsilon("eps")
  }

  /// Whether the text tower's GELU is the one by tanh.
  func textHasTanh() throws(ModelError) -> Bool {
    guard let options = try text?.statedObject("act_kwargs") else { return false }
    try options.check(ConfigKeys(free: ["approximate"], neutral: [:], isClosed: true))
    return try options.statedChoice("approximate", ["tanh": true, "none": false]) ?? false
  }

  /// Heads of the tower for texts, 8 whatever the width where it is described and nothing is said.
  func textHeads(width: Int) throws(ModelError) -> Int {
    guard let text else { return max(1, width / 64) }
    if let heads = try text.statedHeads("heads", width: width, of: "width") { return heads }
    guard width % 8 == 0 else {
      throw text.refusal(
        "heads", found: "nothing",
        expected: "a divisor of width, \(width), as the default, 8, is none")
    }
    return 8
  }

  /// Refuses a description that contradicts the image tower.
  func check(_ tower: ViTConfig) throws(ModelError) {
    if let vision {
      try vision.check("layers", is: tower.encoder.layers)
      try vision.check("width", is: tower.encoder.width)
      try vision.checkSide("image_size", patches: tower.tableSide, patchSize: tower.patchSize)
      if let side = try vision.statedSide("patch_size"), side != tower.patchSize {
        throw vision.refusal(
          "patch_size", found: "\(side)",
          expected: "\(tower.patchSize), which the tensors have")
      }
      try Self.checkHidden(vision, tower.encoder)
    }
    if vision != nil, let width = tower.projection { try model.check("embed_dim", is: width) }
  }

  /// Refuses a description that contradicts the tower for texts.
  func check(_ tower: TextTowerConfig) throws(ModelError) {
    guard let text else { return }
    try text.check("layers", is: tower.encoder.layers)
    try text.check("width", is: tower.encoder.width)
    try text.check("context_length", is: tower.contextLength)
    try text.check("vocab_size", is: tower.vocabulary)
    try Self.checkHidden(text, tower.encoder)
  }

  private static func checkHidden(
    _ fields: ConfigFields, _ encoder: TransformerConfig
  ) throws(ModelError) {
    guard let ratio = try fields.statedDouble("mlp_ratio") else { return }
    let hidden = Double(encoder.width) * ratio
    guard Int(exactly: hidden.rounded(.towardZero)) != encoder.hidden else { return }
    throw fields.refusal(
      "mlp_ratio", found: "\(ratio)",
      expected: "\(Double(encoder.hidden) / Double(encoder.width)), which the tensors have")
  }
}
