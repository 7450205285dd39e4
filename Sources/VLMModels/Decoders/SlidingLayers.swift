import VLMFoundation
import VLMTensor

extension LLaMAConfig {
  /// Gives layers their windows, those that `layer_types` names or else those that the class's rule
  /// gives.
  ///
  /// - Parameters:
  ///   - window: positions that a query of such a layer sees; nil where there are none.
  ///   - slides: whether layer i has a window where the file does not say.
  /// - Throws: `ModelError` for types that are not known, not of every layer, or without a window.
  mutating func slide(
    _ fields: ConfigFields, window: Int?, where slides: (Int) -> Bool
  ) throws(ModelError) {
    guard let types = try Self.layerTypes(fields, layers: layers) else {
      traits.slide(layers, window: window, where: slides)
      return
    }
    let sliding = types.map { $0 == Self.sliding }
    guard window != nil || !sliding.contains(true) else {
      throw fields.unexpected("layer_types", Self.sliding, expected: "full_attention")
    }
    traits.slide(layers, window: window) { sliding[$0] }
  }

  /// Lets layers with a window turn by `base`, unscaled.
  mutating func turnWindows(base: Double) {
    let local = traits.layers.indices.filter { traits.layers[$0].window != nil }
    guard !local.isEmpty else { return }
    traits.localBase = base
    for index in local { traits.layers[index].rotation = .local }
  }

  private static let sliding = "sliding_attention"

  private static func layerTypes(
    _ fields: ConfigFields, layers: Int
  ) throws(ModelError) -> [String]? {
    guard fields.has("layer_types") else { return nil }
    let expected = "full_attention or sliding_attention"
    guard let types = fields.value["layer_types"]?.arrayValue else {
      throw fields.unexpected("layer_types", "no list", expected: expected)
    }
    var names: [String] = []
    for type in types {
      guard let name = type.stringValue, ["full_attention", sliding].contains(name) else {
        throw fields.unexpected(
          "layer_types", type.stringValue ?? type.serialized(), expected: expected)
      }
      names.append(name)
    }
    guard names.count == layers else {
      throw fields.unexpected(
        "layer_types", "\(names.count) layers", expected: "\(layers), as num_hidden_layers says")
    }
    return names
  }
}

extension ConfigFields {
  /// Positions that a query of a sliding layer sees; nil where there is no window.
  ///
  /// - Parameters:
  ///   - usual: the class's, for a file without the key; null in a file means that there is none.
  ///   - isUsed: whether the class uses a window where `use_sliding_window` does not say.
  func slidingWindow(usual: Int? = nil, isUsed: Bool = true) throws(ModelError) -> Int? {
    guard try bool("use_sliding_window", default: isUsed) else { return nil }
    if value["sliding_window"] == nil { return usual }
    return try statedInt("sliding_window", 1...LLaMAConfig.maximumContext)
  }

  /// The base by which sliding layers turn, unscaled, in classes of whose `rope_parameters` transformers 5
  /// makes an object for each type of layer.
  ///
  /// - Parameter usual: for a file without one for sliding layers.
  func slidingBase(usual: Double) throws(ModelError) -> Double {
    guard let rotation = try statedObject("rope_parameters"),
      let local = try rotation.statedObject("sliding_attention")
    else { return usual }
    let kind = try local.statedString("rope_type") ?? "default"
    guard kind == "default" else {
      throw local.unexpected("rope_type", kind, expected: "default")
    }
    try local.check(.rotation)
    return try local.double("rope_theta", default: usual)
  }
}
