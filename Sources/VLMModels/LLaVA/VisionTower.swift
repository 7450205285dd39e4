import VLMKernels
import VLMNN
import VLMTensor

/// What turns a picture into visual tokens: a kind of image encoder, with its geometry.
package enum VisionTower: Sendable, Equatable {
  /// ConvLLaVA: the last stage's map as it is, flattened row by row, without a norm.
  case convNeXt(ConvNeXtConfig)

  /// The value of `type` in the container.
  package var type: String {
    switch self {
    case .convNeXt: "convnext"
    }
  }

  /// Columns of a token.
  package var tokenChannels: Int {
    switch self {
    case .convNeXt(let config): config.featureChannels
    }
  }

  /// Pixels between one token and the next, in both directions.
  package var stride: Int {
    switch self {
    case .convNeXt(let config): config.stride
    }
  }

  /// Whether the tower takes pictures of any height and width.
  package var takesAnyAspect: Bool {
    switch self {
    case .convNeXt: true
    }
  }

  package var json: JSONValue {
    switch self {
    case .convNeXt(let config): ["type": .string(type), "convnext": config.json]
    }
  }

  /// - Throws: `ModelError` for an unknown type, or a field that is missing or out of range.
  package init(json: JSONValue) throws(ModelError) {
    switch json["type"]?.stringValue {
    case "convnext":
      let config = try ConvNeXtConfig(json: json["convnext"] ?? .null)
      try Self.requireTrunk(config)
      self = .convNeXt(config)
    case let other:
      throw ModelError(
        .configuration(
          field: "tower.type", found: other.map { "'\($0)'" } ?? "nothing", expected: "'convnext'"))
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
