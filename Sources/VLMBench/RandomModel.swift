import VLMContainer
import VLMConversion
import VLMFoundation
import VLMModels
import VLMTensor

/// Models of the published sizes with random weights: time does not depend on what a model knows.
package enum RandomModel {
  private static let sizes: [(name: String, depths: [Int], channels: [Int])] = [
    ("convnext_atto", [2, 2, 6, 2], [40, 80, 160, 320]),
    ("convnext_femto", [2, 2, 6, 2], [48, 96, 192, 384]),
    ("convnext_pico", [2, 2, 6, 2], [64, 128, 256, 512]),
    ("convnext_nano", [2, 2, 8, 2], [80, 160, 320, 640]),
    ("convnext_tiny", [3, 3, 9, 3], [96, 192, 384, 768]),
    ("convnext_small", [3, 3, 27, 3], [96, 192, 384, 768]),
    ("convnext_base", [3, 3, 27, 3], [128, 256, 512, 1024]),
    ("convnext_large", [3, 3, 27, 3], [192, 384, 768, 1536]),
    ("convnext_xlarge", [3, 3, 27, 3], [256, 512, 1024, 2048]),
    ("convnext_xxlarge", [3, 4, 30, 3], [384, 768, 1536, 3072]),
    // The tower of ConvLLaVA: five stages, features and no classes.
    ("convllava", [3, 3, 27, 3, 6], [192, 384, 768, 1536, 3072]),
  ]

  package static var names: [String] { sizes.map(\.name) }

  private static let clipName = "clip_vit_l_336"
  private static let smallCLIPName = "clip_vit_b_224"
  private static let sigLIPName = "siglip_so400m_384"
  /// Models of `tower` and `language` cases, for messages.
  static var allNames: [String] {
    names + [clipName, smallCLIPName, sigLIPName] + smallNames + RandomEncoder.names
      + languageNames
  }

  /// The geometry of a ConvNeXt by its name.
  package static func config(named name: String) throws -> ConvNeXtConfig {
    try config(named: name, classes: name == "convllava" ? nil : 1000)
  }

  static func config(named name: String, classes: Int?) throws -> ConvNeXtConfig {
    guard let size = sizes.first(where: { $0.name == name }) else {
      throw BenchError(.unknownModel(name))
    }
    return try config(depths: size.depths, channels: size.channels, classes: classes)
  }

  /// A model that classifies or embeds images, by its name.
  package static func image(named name: String) throws -> ModelDescription {
    if name == clipName {
      return ModelDescription(
        ViTFamily.self,
        RandomEncoder.clipViT(layers: 24, feature: .pooled, usesClassToken: true))
    }
    if name == smallCLIPName {
      return ModelDescription(ViTFamily.self, RandomEncoder.smallCLIP)
    }
    if name == sigLIPName {
      return ModelDescription(
        SigLIPFamily.self, RandomEncoder.sigLIP(layers: 27, feature: .attentionPooled))
    }
    if let model = small(named: name) { return model }
    return ModelDescription(ConvNeXtFamily.self, try config(named: name))
  }

  /// A ConvNeXt V1 as timm makes it, with as many stages as `depths`.
  package static func config(
    depths: [Int], channels: [Int], classes: Int?
  ) throws(ModelError) -> ConvNeXtConfig {
    var stages: [JSONValue] = []
    for (depth, width) in zip(depths, channels) {
      let downsample: JSONValue = [
        "kernel": 2, "stride": 2, "dilation": 1, "padding": 0, "trailing_padding": 0,
      ]
      stages.append([
        "depth": .int(depth), "channels": .int(width), "hidden": .int(4 * width), "kernel": 7,
        "dilation": 1, "downsample": stages.isEmpty ? .null : downsample,
      ])
    }
    let head: JSONValue =
      if let classes {
        [
          "norm_before_pool": false, "norm_after_pool": true, "outputs": .int(classes),
          "output_bias": true, "meaning": "classes",
        ]
      } else {
        ["norm_before_pool": false, "norm_after_pool": false]
      }
    return try ConvNeXtConfig(json: [
      "input_channels": 3, "stem": ["type": "patch", "size": 4],
      "stem_channels": .int(channels.first ?? 0), "stages": .array(stages), "layer_scale": true,
      "grn": false, "convolution_bias": true, "activation": "gelu", "epsilon": 1e-6,
      "head_epsilon": 1e-6, "head": head,
    ])
  }

  /// Writes a container as the converter would for `scheme`, but for the values.
  ///
  /// Every panel of a matrix is the same random one, so that large models are made in seconds; the
  /// kernels take no notice.
  package static func write(
    _ config: ConvNeXtConfig, scheme: Scheme, to path: String, seed: UInt64 = 1
  ) throws {
    try write(
      ModelDescription(ConvNeXtFamily.self, config), scheme: scheme, to: path, seed: seed)
  }

  package static func write(
    _ description: ModelDescription, scheme: Scheme, to path: String, seed: UInt64 = 1
  ) throws {
    try write(
      try description.manifest(), config: description.json, scheme: scheme, to: path, seed: seed)
  }

  static func write(
    _ manifest: [TensorSpec], config: JSONValue, scheme: Scheme, to path: String, seed: UInt64 = 1
  ) throws {
    let plan = ConversionPlan(manifest: manifest, policy: QuantizationPolicy(scheme: scheme))
    let writer = try ContainerWriter(path: path, overwrite: true)
    var random = SplitMix64(seed: seed)
    for item in plan.items {
      let (spec, format) = (item.spec, item.format)
      try writer.beginTensor(name: spec.path, format: format, role: spec.role, shape: spec.shape)
      if format.layout == .panels {
        try writePanels(spec, format, &random, writer)
      } else {
        try writeValues(spec, item.byteCount, &random, writer)
      }
      try writer.endTensor()
    }
    try writer.add(section: .config, Array(config.serialized().utf8))
    _ = try writer.finish()
  }

  private static func writePanels(
    _ spec: TensorSpec, _ format: TensorFormat, _ random: inout SplitMix64,
    _ writer: ContainerWriter
  ) throws {
    guard let (outputs, inputs) = format.matrixShape(spec.shape) else { return }
    let full = min(outputs, TensorFormat.panelOutputs)
    // Keeps the variance of the activations about 1.
    let bound = Float(3.0 / Double(inputs)).squareRoot()
    let values = (0..<full * inputs).map { _ in random.next(in: bound) }
    let matrix = TensorFormat(scheme: format.scheme, layout: .panels)
    func panel(_ rows: Int) throws -> [UInt8] {
      try TensorEncoder.encode(
        values: Array(values[..<(rows * inputs)]), shape: [rows, inputs], format: matrix
      ).bytes
    }
    let bytes = try panel(full)
    for _ in 0..<outputs / full { try writer.write(bytes) }
    if outputs % full > 0 { try writer.write(try panel(outputs % full)) }
  }

  private static func writeValues(
    _ spec: TensorSpec, _ byteCount: Int, _ random: inout SplitMix64, _ writer: ContainerWriter
  ) throws {
    let inputs = spec.shape.dropFirst().reduce(1, *)
    let isVector = spec.role == .vector
    let bound = isVector ? 0.1 : Float(3.0 / Double(inputs)).squareRoot()
    // Norm weights around 1; biases and layer scales small.
    let centre: Float = isVector && spec.path.hasSuffix("weight") ? 1 : 0
    let block = (0..<min(1 << 16, byteCount / 4)).map { _ in centre + random.next(in: bound) }
    var left = byteCount
    while left > 0 {
      try block.withUnsafeBytes { bytes in
        try writer.write(UnsafeRawBufferPointer(rebasing: bytes.prefix(left)))
      }
      left -= min(left, block.count * 4)
    }
  }
}
