import VLMFoundation
import VLMTensor

/// Works out a tower's configuration from its tensors' shapes and, where shapes cannot tell, from
/// transformers' description.
package struct ViTGeometry {
  /// By our name.
  private let shapes: [String: [Int]]
  private let description: JSONValue?
  private let place: String

  /// - Parameters:
  ///   - shapes: of the tower's tensors, by our names.
  ///   - description: `config.json` of a `CLIPVisionModel` or a `CLIPModel`, if there. Without it
  ///     the heads are 64 wide and the activation is quick GELU, as in every CLIP of OpenAI's.
  ///   - place: what the description is called in messages.
  package init(
    shapes: [String: [Int]], description: JSONValue?, place: String = "config.json"
  ) {
    self.shapes = shapes
    self.description = description
    self.place = place
  }

  /// - Parameters:
  ///   - feature: what is made of the tokens.
  ///   - selectLayer: an index into transformers' `hidden_states`, of which -1 is what leaves the
  ///     last layer; layers behind the one selected are left out.
  /// - Throws: `ModelError` when the tensors contradict each other or the description, and for a
  ///   field of another type.
  package func config(
    feature: ViTConfig.Feature, usesClassToken: Bool = true, selectLayer: Int = -1
  ) throws(ModelError) -> ViTConfig {
    let stated = try CLIPDescription(description, "vision_config", place: place)
    try stated.whole.check(.clip)
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
        width: patch[0], layers: kept, heads: try heads(stated, patch[0]).count,
        hidden: try shape("layers.0.mlp.fc1.weight", rank: 2)[0],
        activation: try stated.activation(),
        epsilon: try stated.epsilon()),
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
    try check(config, layers: layers, stated.fields)
    return config
  }

  /// What `config` takes where the description is silent, one line each.
  func notes() throws(ModelError) -> [Note] {
    guard description != nil else { return [] }
    let stated = try CLIPDescription(description, "vision_config", place: place)
    let width = try shape("embeddings.patch.weight", rank: 4)[0]
    let note = stated.assumption(
      heads: try heads(stated, width), try stated.activation(), try stated.epsilon())
    return note.map { [$0] } ?? []
  }

  /// By transformers' own default, where it is one.
  private func heads(
    _ stated: CLIPDescription, _ width: Int
  ) throws(ModelError) -> (count: Int, isUsual: Bool) {
    try stated.heads(width: width, usual: (heads: 12, width: 768))
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

  /// A description that contradicts the tensors is another model's.
  private func check(
    _ config: ViTConfig, layers: Int, _ fields: ConfigFields
  ) throws(ModelError) {
    try fields.check("hidden_size", is: config.encoder.width)
    try fields.check("num_hidden_layers", is: layers)
    try fields.check("intermediate_size", is: config.encoder.hidden)
    try fields.check("patch_size", is: config.patchSize)
    try fields.check("num_channels", is: 3)
    try fields.checkSide("image_size", patches: config.tableSide, patchSize: config.patchSize)
  }

  private static func squareRoot(_ value: Int) -> Int {
    guard value > 0 else { return 0 }
    return Int(Double(value).squareRoot().rounded())
  }
}
