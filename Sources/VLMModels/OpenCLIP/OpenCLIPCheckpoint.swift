import VLMKernels
import VLMNN
import VLMTensor

/// An open_clip checkpoint with both towers, recognised by its tensors' names.
enum OpenCLIPCheckpoint {
  /// The model that the tensors make up; nil when they are none of these, or lack a text tower.
  ///
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    let names = facts.names
    guard names.contains(where: { $0.name.hasPrefix("visual.trunk.stages.") }) else { return nil }
    var text: [String: ModelCheckpoint.Source] = [:]
    var imageNames: [CheckpointFacts.Name] = []
    for (name, shape) in names {
      guard let ours = canonical(name) else {
        imageNames.append((name, shape))
        continue
      }
      let stated = ours == "logit_scale" && shape.isEmpty ? [1] : shape
      let source = ModelCheckpoint.Source(original: name, shape: stated)
      if let other = text.updateValue(source, forKey: ours) {
        throw ModelError(
          .configuration(
            field: "tensor '\(ours)'", found: "'\(other.original)' and '\(name)'",
            expected: "one of them"))
      }
    }
    // Files of the image tower alone are a ConvNeXt.
    guard text["text.tokens.weight"] != nil else { return nil }
    guard
      let image = try ConvNeXtCheckpoint(names: imageNames, description: facts.description)
    else { return nil }
    let config = OpenCLIPConfig(
      image: image.config, text: try textConfig(text, description: facts.description))
    try config.validate()
    var tensors = text
    for (name, source) in image.tensors {
      tensors["image.\(name)"] = ModelCheckpoint.Source(
        original: source.original, shape: source.shape)
    }
    return ModelCheckpoint(
      description: .openCLIP(config), naming: "open_clip", tensors: tensors, foreign: image.foreign)
  }

  /// Our name for a tensor that is not the image tower's: those of `CLIP` lie at the top, those of
  /// `CustomTextCLIP` under "text.".
  static func canonical(_ name: String) -> String? {
    if name == "logit_scale" { return name }
    let inner = name.dropping("text.") ?? name
    switch inner {
    case "token_embedding.weight": return "text.tokens.weight"
    case "positional_embedding": return "text.positions"
    case "text_projection": return "text.projection"
    case "ln_final.weight": return "text.norm.weight"
    case "ln_final.bias": return "text.norm.bias"
    default: break
    }
    guard let rest = inner.dropping("transformer.resblocks.") else { return nil }
    let part = rest.split(separator: ".", maxSplits: 1)
    guard part.count == 2, let ours = layerNames[String(part[1])] else { return nil }
    return "text.layers.\(part[0]).\(ours)"
  }

  private static let layerNames = [
    "ln_1.weight": "norm1.weight", "ln_1.bias": "norm1.bias",
    "attn.in_proj_weight": "attention.qkv.weight", "attn.in_proj_bias": "attention.qkv.bias",
    "attn.out_proj.weight": "attention.out.weight", "attn.out_proj.bias": "attention.out.bias",
    "ln_2.weight": "norm2.weight", "ln_2.bias": "norm2.bias",
    "mlp.c_fc.weight": "mlp.fc1.weight", "mlp.c_fc.bias": "mlp.fc1.bias",
    "mlp.c_proj.weight": "mlp.fc2.weight", "mlp.c_proj.bias": "mlp.fc2.bias",
  ]

  private static func textConfig(
    _ tensors: [String: ModelCheckpoint.Source], description: JSONValue?
  ) throws(ModelError) -> TextTowerConfig {
    func shape(_ name: String) throws(ModelError) -> [Int] {
      guard let shape = tensors[name]?.shape else { throw ModelError(.missingTensor(name)) }
      guard shape.count == 2 else {
        throw ModelError(.shape(name, found: shape, expected: [-1, -1]))
      }
      return shape
    }
    let tokens = try shape("text.tokens.weight")
    let positions = try shape("text.positions")
    let projection = try shape("text.projection")
    let inner = try shape("text.layers.0.mlp.fc1.weight")
    var layers = 0
    for name in tensors.keys where name.hasPrefix("text.layers.") {
      let part = name.split(separator: ".", maxSplits: 3)
      guard part.count == 4, let index = Int(part[2]), (0..<1000).contains(index) else { continue }
      layers = max(layers, index + 1)
    }
    let model = description?["model_cfg"] ?? description
    let stated = model?["text_cfg"]
    // open_clip's own default is 8, whatever the width.
    let heads = stated.map { $0["heads"]?.intValue ?? 8 } ?? max(1, tokens[1] / 64)
    let isQuick = model?["quick_gelu"]?.boolValue ?? false
    let config = TextTowerConfig(
      vocabulary: tokens[0], contextLength: positions[0],
      encoder: TransformerConfig(
        width: tokens[1], layers: layers, heads: heads, hidden: inner[0],
        activation: isQuick ? .quickGELU : .gelu),
      embedding: projection[1])
    try config.validate()
    return config
  }
}
