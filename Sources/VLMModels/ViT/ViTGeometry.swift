import VLMFoundation
import VLMTensor

/// Works out a tower's configuration from its tensors' shapes and, where shapes cannot tell, from
/// transformers' description.
package struct ViTGeometry {
  private let shapes: PatchTransformerShapes
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
    self.shapes = PatchTransformerShapes(shapes)
    self.description = description
    self.place = place
  }

  /// - Parameters:
  ///   - feature: what is made of the tokens.
  ///   - selectLayers: indices into transformers' `hidden_states`, of which -1 is what leaves the
  ///     last layer; layers behind those selected are left out.
  /// - Throws: `ModelError` when the tensors contradict each other or the description, and for a
  ///   field of another type.
  package func config(
    feature: ViTConfig.Feature, usesClassToken: Bool = true, selectLayers: [Int] = [-1]
  ) throws(ModelError) -> ViTConfig {
    let stated = try CLIPDescription(description, "vision_config", place: place)
    try stated.whole.check(.clip)
    let (width, patchSize) = try shapes.patches()
    let side = try shapes.table(classToken: true).grid.height
    let layers = try shapes.layers()
    let (read, run) = try FeatureLayers.selected(selectLayers, of: layers)
    let (imageSize, overflow) = side.multipliedReportingOverflow(by: patchSize)
    var config = ViTConfig(
      imageSize: overflow ? 0 : imageSize, patchSize: patchSize,
      encoder: TransformerConfig(
        width: width, layers: run,
        heads: try heads(stated, width).count,
        hidden: try shapes.shape("layers.0.mlp.fc1.weight", rank: 2)[0],
        activation: try stated.activation(),
        epsilon: try stated.epsilon()),
      feature: feature, usesClassToken: usesClassToken)
    config.featureLayers = read
    config.layout = shapes["layers.0.attention.qkv.weight"] == nil ? .huggingFace : .openCLIP
    if feature == .pooled, let projection = shapes["projection"] {
      let (outputs, inputs) = config.layout == .openCLIP ? (1, 0) : (0, 1)
      guard projection.count == 2, projection[inputs] == width else {
        throw ModelError(
          .shape(
            "projection", found: projection,
            expected: config.layout == .openCLIP ? [width, -1] : [-1, width]))
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
    let width = try shapes.patches().width
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
}
