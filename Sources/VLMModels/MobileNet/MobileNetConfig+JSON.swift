import VLMFoundation
import VLMTensor

// What a container says of a MobileNet.

extension MobileNetConfig {
  package var json: JSONValue {
    var object = JSONObject()
    object.set("stem", .array(stem.map(\.json)))
    object.set("stages", .array(stages.map { ["blocks": .array($0.map(\.json))] }))
    if let final { object.set("final", final.json) }
    object.set("layers", head.json)
    object.set("is_classifier", .bool(isClassifier))
    return .object(object)
  }

  /// Reads what `json` wrote; every field is checked, and what a model may be without may be missing.
  package init(json: JSONValue, path: String) throws(ModelError) {
    let fields = ConfigFields(json, path: path)
    stages = []
    for entry in try fields.objects("stages", limit: Self.maximumStages) {
      stages.append(try Self.blocks(entry, "blocks"))
    }
    stem = try Self.blocks(fields, "stem")
    final = fields.has("final") ? try Layer(try fields.object("final")) : nil
    head = try [HeadLayer](fields)
    isClassifier = try fields.bool("is_classifier")
    try validate(path)
  }

  private static func blocks(_ fields: ConfigFields, _ key: String) throws(ModelError) -> [Block] {
    var blocks: [Block] = []
    for entry in try fields.objects(key, limit: maximumBlocks) { blocks.append(try Block(entry)) }
    return blocks
  }
}

extension MobileNetConfig.Layer {
  fileprivate var json: JSONValue {
    var object = JSONObject()
    object.set("kernel", .int(kernel))
    object.set("stride", .int(stride))
    object.set("outputs", outputs.map { .int($0) } ?? .null)
    object.set("activation", .string(activation.rawValue))
    // Files from before there were these have none.
    if let smoothing { object.set(smoothing.rawValue, true) }
    return .object(object)
  }

  fileprivate init(_ fields: ConfigFields) throws(ModelError) {
    self.init(
      kernel: try fields.int("kernel"), stride: try fields.int("stride"),
      outputs: fields.has("outputs") ? try fields.int("outputs") : nil,
      activation: try fields.activation("activation"))
    for kind in MobileNetConfig.Smoothing.allCases
    where try fields.bool(kind.rawValue, default: false) {
      guard smoothing == nil else {
        throw fields.refusal(kind.rawValue, found: "true", expected: "one of mean and blur")
      }
      smoothing = kind
    }
  }
}

extension MobileNetConfig.Block {
  fileprivate var json: JSONValue {
    switch self {
    case .bottleneck(let block):
      [
        "type": "bottleneck", "layers": .array(block.layers.map(\.json)),
        "residual": .bool(block.isResidual), "scale": .bool(block.hasScale),
      ]
    case .linearMixer(let mixer):
      [
        "type": "linear_attention", "heads": .int(mixer.heads),
        "dimension": .int(mixer.dimension), "kernels": .array(mixer.kernels.map { .int($0) }),
      ]
    case .sharedMixer(let mixer):
      [
        "type": "shared_attention", "heads": .int(mixer.heads),
        "dimension": .int(mixer.dimension),
        "reduction": mixer.reduction.map { .int($0) } ?? .null, "scale": .bool(mixer.hasScale),
      ]
    }
  }

  fileprivate init(_ fields: ConfigFields) throws(ModelError) {
    switch try fields.string("type") {
    case "bottleneck":
      var layers: [MobileNetConfig.Layer] = []
      for entry in try fields.objects(
        "layers", limit: MobileNetConfig.maximumLayers)
      {
        layers.append(try MobileNetConfig.Layer(entry))
      }
      self = .bottleneck(
        MobileNetConfig.Bottleneck(
          layers, isResidual: try fields.bool("residual"), hasScale: try fields.bool("scale")))
    case "linear_attention":
      self = .linearMixer(
        MobileNetConfig.LinearMixer(
          heads: try fields.int("heads"), dimension: try fields.int("dimension"),
          kernels: try fields.statedInts("kernels") ?? []))
    case "shared_attention":
      self = .sharedMixer(
        MobileNetConfig.SharedMixer(
          heads: try fields.int("heads"), dimension: try fields.int("dimension"),
          reduction: fields.has("reduction") ? try fields.int("reduction") : nil,
          hasScale: try fields.bool("scale")))
    case let other:
      throw fields.unexpected(
        "type", other, expected: "bottleneck, linear_attention or shared_attention")
    }
  }
}
