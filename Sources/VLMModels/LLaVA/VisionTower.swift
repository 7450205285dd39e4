import VLMFoundation
import VLMTensor

/// What turns a picture into visual tokens: a kind of image encoder, with its geometry.
package enum VisionTower: Sendable, Equatable {
  /// ConvLLaVA: the last stage's map as it is, flattened row by row, without a norm.
  case convNeXt(ConvNeXtConfig)
  /// LLaVA-1.5: the patches' tokens of a transformer's layer, without a norm.
  case clipViT(CLIPViTConfig)
  /// LLaVA-HR: both, at two resolutions.
  case multiResolution(MultiResolutionConfig)

  /// The value of `type` in the container.
  package var type: String {
    switch self {
    case .convNeXt: "convnext"
    case .clipViT: "clip_vit"
    case .multiResolution: "multi_resolution"
    }
  }

  package var isMultiResolution: Bool {
    if case .multiResolution = self { return true }
    return false
  }

  /// Columns of a token.
  package var tokenChannels: Int {
    switch self {
    case .convNeXt(let config): config.featureChannels
    case .clipViT(let config): config.encoder.width
    case .multiResolution(let config): config.width
    }
  }

  /// Pixels between one token and the next, in both directions.
  package var stride: Int {
    switch self {
    case .convNeXt(let config): config.stride
    case .clipViT(let config): config.patchSize
    case .multiResolution(let config): config.slow.stride
    }
  }

  /// Whether the tower takes pictures of any height and width.
  package var takesAnyAspect: Bool {
    switch self {
    case .convNeXt: true
    case .clipViT, .multiResolution: false
    }
  }

  package var json: JSONValue {
    switch self {
    case .convNeXt(let config): ["type": .string(type), "convnext": config.json]
    case .clipViT(let config): ["type": .string(type), "clip_vit": config.json]
    case .multiResolution(let config):
      ["type": .string(type), "multi_resolution": config.json]
    }
  }

  /// - Throws: `ModelError` for an unknown type, or a field that is missing or out of range.
  package init(json: JSONValue) throws(ModelError) {
    switch json["type"]?.stringValue {
    case "convnext":
      let config = try ConvNeXtConfig(json: json["convnext"] ?? .null)
      try Self.requireTrunk(config)
      self = .convNeXt(config)
    case "clip_vit":
      let config = try CLIPViTConfig(json: json["clip_vit"] ?? .null)
      guard !config.feature.isVector, config.classifier.isEmpty else {
        throw ModelError(
          .configuration(
            field: "tower.clip_vit.feature", found: "'\(config.feature.rawValue)'",
            expected: "'patches' or 'tokens'"))
      }
      self = .clipViT(config)
    case "multi_resolution":
      self = .multiResolution(
        try MultiResolutionConfig(json: json["multi_resolution"] ?? .null))
    case let other:
      throw ModelError(
        .configuration(
          field: "tower.type", found: other.map { "'\($0)'" } ?? "nothing",
          expected: "'convnext', 'clip_vit' or 'multi_resolution'"))
    }
  }

  /// A tower ends with its trunk: a head would have weights that nothing uses.
  private static func requireTrunk(_ config: ConvNeXtConfig) throws(ModelError) {
    guard config.head == .none else {
      throw ModelError(
        .configuration(field: "tower.convnext.head", found: "a head", expected: "none"))
    }
    guard config.inputChannels == 3 else {
      throw ModelError(
        .configuration(
          field: "tower.convnext.input_channels", found: "\(config.inputChannels)",
          expected: "3, as images have"))
    }
  }
}

extension ConvNeXtConfig {
  /// Pixels from one row of the last feature map to the next.
  package var stride: Int {
    let strides =
      stemConvolutions.map(\.geometry.stride) + stages.compactMap { $0.downsample?.stride }
    return strides.reduce(1, *)
  }
}

extension ConvNeXtConfig.Head {
  /// No head: the trunk alone.
  package static let none = ConvNeXtConfig.Head(
    normBeforePool: false, normAfterPool: false, hidden: nil, hiddenBias: false, output: nil)
}
