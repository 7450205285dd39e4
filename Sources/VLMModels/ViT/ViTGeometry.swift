import VLMFoundation
import VLMTensor

/// Works out a tower's configuration from its tensors' shapes and, where shapes cannot tell, from
/// transformers' description.
package struct ViTGeometry {
  /// By our name.
  private let shapes: [String: [Int]]
  private let description: JSONValue?
  /// The whole of which that may be a part.
  private let whole: JSONValue?

  /// - Parameters:
  ///   - shapes: of the tower's tensors, by our names.
  ///   - description: `config.json` of a `CLIPVisionModel` or a `CLIPModel`, if there. Without it
  ///     the heads are 64 wide and the activation is quick GELU, as in every CLIP of OpenAI's.
  package init(shapes: [String: [Int]], description: JSONValue?) {
    self.shapes = shapes
    whole = description
    self.description = description.map { CLIPDescription($0, "vision_config").json }
  }

  /// - Parameters:
  ///   - feature: what is made of the tokens.
  ///   - selectLayer: an index into transformers' `hidden_states`, of which -1 is what leaves the
  ///     last layer; layers behind the one selected are left out.
  package func config(
    feature: ViTConfig.Feature, usesClassToken: Bool = true, selectLayer: Int = -1
  ) throws(ModelError) -> ViTConfig {
    try ConfigKeys.clip.check(whole, "config.json")
    try ConfigKeys.clip.check(description, "vision_config")
    let patch = try shape("embeddings.patch.weight", rank: 4)
    let table = try shape("embeddings.position", rank: 2)
    guard patch[1] == 3, patch[2] == patch[3] else {
      throw ModelError(
        .shape(
          "embeddings.patch.weight", found: patch, expected: [patch[0], 3, patch[2], patch[2]]))
    }
    let side = Self.squareRoot(table[0] - 1)
    guard side > 0, side * side == table[0] - 1 else {
      throw ModelError(
        .configuration(
          field: "position_embedding", found: "\(table[0]) rows",
          expected: "one more than the square of a whole number"))
    }
    let layers = layerCount
    guard layers > 0 else { throw ModelError(.missingTensor("layers.0.mlp.fc1.weight")) }
    let range = (-layers)...layers
    guard range.contains(selectLayer), selectLayer != 0 else {
      throw ModelError(
        .configuration(
          field: "mm_vision_select_layer", found: "\(selectLayer)",
          expected: "\(-layers) to \(layers), but not 0"))
    }
    let kept = selectLayer < 0 ? layers + 1 + selectLayer : selectLayer
    let (imageSize, overflow) = side.multipliedReportingOverflow(by: patch[2])
    var config = ViTConfig(
      imageSize: overflow ? 0 : imageSize, patchSize: patch[2],
      encoder: TransformerConfig(
        width: patch[0], layers: kept, heads: try heads(width: patch[0]),
        hidden: try shape("layers.0.mlp.fc1.weight", rank: 2)[0], activation: try activation(),
        epsilon: Float(
          description?["layer_norm_eps"]?.doubleValue
            ?? Double(TransformerConfig.defaultEpsilon))),
      feature: feature, usesClassToken: usesClassToken)
    config.layout = shapes["layers.0.attention.qkv.weight"] == nil ? .huggingFace : .openCLIP
    if feature == .pooled, let projection = shapes["projection"] {
      let (outputs, inputs) = config.layout == .openCLIP ? (1, 0) : (0, 1)
      guard projection.count == 2, projection[inputs] == patch[0] else {
        throw ModelError(
          .shape(
            "projection", found: projection,
            expected: config.layout == .openCLIP ? [patch[0], -1] : [-1, patch[0]]))
      }
      config.projection = projection[outputs]
    }
    try config.validate()
    try check(config, layers: layers)
    return config
  }

  private func shape(_ name: String, rank: Int) throws(ModelError) -> [Int] {
    guard let shape = shapes[name] else { throw ModelError(.missingTensor(name)) }
    guard shape.count == rank else {
      throw ModelError(
        .shape(name, found: shape, expected: Array(repeating: -1, count: rank)))
    }
    return shape
  }

  private var layerCount: Int {
    var count = 0
    for name in shapes.keys where name.hasPrefix("layers.") {
      let part = name.split(separator: ".", maxSplits: 2)
      guard part.count == 3, let index = Int(part[1]), (0..<1000).contains(index) else { continue }
      count = max(count, index + 1)
    }
    return count
  }

  private func heads(width: Int) throws(ModelError) -> Int {
    guard let stated = description?["num_attention_heads"], !stated.isNull else {
      // transformers' own default, which its newer files leave out.
      let isStated = description?["hidden_size"] != nil || description?["patch_size"] != nil
      return isStated && width % 12 == 0 ? 12 : max(1, width / 64)
    }
    guard let heads = stated.intValue else {
      throw ModelError(
        .configuration(
          field: "num_attention_heads", found: stated.kindWithArticle, expected: "an integer"))
    }
    return heads
  }

  private func activation() throws(ModelError) -> Activation {
    try CLIPDescription.activation(description)
  }

  /// A description that contradicts the tensors is another model's.
  private func check(_ config: ViTConfig, layers: Int) throws(ModelError) {
    let facts = [
      ("hidden_size", config.encoder.width), ("num_hidden_layers", layers),
      ("intermediate_size", config.encoder.hidden), ("patch_size", config.patchSize),
    ]
    for (field, found) in facts {
      guard let stated = description?[field]?.intValue, stated != found else { continue }
      throw ModelError(
        .configuration(
          field: field, found: "\(stated)", expected: "\(found), which the tensors have"))
    }
    if let stated = description?["image_size"]?.intValue,
      stated / config.patchSize != config.tableSide
    {
      throw ModelError(
        .configuration(
          field: "image_size", found: "\(stated)",
          expected: "\(config.imageSize), which the position table has"))
    }
  }

  private static func squareRoot(_ value: Int) -> Int {
    guard value > 0 else { return 0 }
    return Int(Double(value).squareRoot().rounded())
  }
}
