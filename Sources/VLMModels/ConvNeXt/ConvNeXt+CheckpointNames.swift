/// The names under which checkpoints store a ConvNeXt. Ours are timm's.
package enum ConvNeXtNaming: String, Sendable, CaseIterable {
  case timm
  /// `facebookresearch/ConvNeXt` and `ConvNeXt-V2`.
  case facebook
  /// transformers' `ConvNextModel`, `ConvNextV2Model`.
  case huggingFace = "hugging-face"
  /// An open_clip model whose image tower is a timm ConvNeXt.
  case openCLIP = "open_clip"

  /// The naming that `names` follow, nil when they are no ConvNeXt's.
  static func detect(_ names: some Sequence<String>) -> ConvNeXtNaming? {
    var found: ConvNeXtNaming?
    for name in names {
      if name.hasPrefix("visual.trunk.stages.") { return .openCLIP }
      if name.contains("encoder.stages."), name.contains(".dwconv.") { return .huggingFace }
      if name.hasPrefix("stages."), name.contains(".conv_dw.") { return .timm }
      if name.hasPrefix("downsample_layers.") { found = .facebook }
    }
    return found
  }

  /// Our name for the checkpoint's `name`; nil for a tensor that is no part of the image model.
  package func canonical(_ name: String) -> String? {
    switch self {
    case .timm: Self.fromTimm(name)
    case .facebook: Self.fromFacebook(name)
    case .huggingFace: Self.fromHuggingFace(name)
    case .openCLIP: Self.fromOpenCLIP(name)
    }
  }

  private static func fromTimm(_ name: String) -> String? {
    let part = name.split(separator: ".", omittingEmptySubsequences: false)
    guard let first = part.first, ["stem", "stages", "head", "norm_pre"].contains(first) else {
      return nil
    }
    // LLaVA-HR stores the layer scale as the block's "weight", because transformers' loader
    // rewrites every "gamma".
    if part.count == 5, part[0] == "stages", part[2] == "blocks", part[4] == "weight" {
      return "stages.\(part[1]).blocks.\(part[3]).gamma"
    }
    return name
  }

  private static func fromFacebook(_ name: String) -> String? {
    let part = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    switch part.first {
    case "downsample_layers" where part.count == 4:
      return part[1] == "0"
        ? "stem.\(part[2]).\(part[3])" : "stages.\(part[1]).downsample.\(part[2]).\(part[3])"
    case "stages" where part.count >= 4:
      let inner: String
      switch part[3...].joined(separator: ".") {
      case "gamma": inner = "gamma"
      case "grn.gamma", "grn.weight": inner = "mlp.grn.weight"
      case "grn.beta", "grn.bias": inner = "mlp.grn.bias"
      case let rest where rest.hasPrefix("dwconv."): inner = "conv_dw." + rest.dropFirst(7)
      case let rest where rest.hasPrefix("pwconv1."): inner = "mlp.fc1." + rest.dropFirst(8)
      case let rest where rest.hasPrefix("pwconv2."): inner = "mlp.fc2." + rest.dropFirst(8)
      case let rest: inner = rest
      }
      return "stages.\(part[1]).blocks.\(part[2]).\(inner)"
    case "norm" where part.count == 2: return "head.norm.\(part[1])"
    case "head" where part.count == 2: return "head.fc.\(part[1])"
    default: return nil
    }
  }

  private static func fromHuggingFace(_ name: String) -> String? {
    var part = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    if let first = part.first, ["convnext", "convnextv2"].contains(first) { part.removeFirst() }
    switch part.first {
    case "embeddings" where part.count == 3:
      switch part[1] {
      case "patch_embeddings": return "stem.0.\(part[2])"
      case "layernorm": return "stem.1.\(part[2])"
      default: return nil
      }
    case "encoder" where part.count >= 5 && part[1] == "stages":
      let stage = part[2]
      if part[3] == "downsampling_layer" {
        return "stages.\(stage).downsample." + part[4...].joined(separator: ".")
      }
      guard part[3] == "layers", part.count >= 6 else { return nil }
      let inner: String
      switch part[5] {
      case "layer_scale_parameter": inner = "gamma"
      case "dwconv": inner = "conv_dw"
      case "layernorm": inner = "norm"
      case "pwconv1": inner = "mlp.fc1"
      case "pwconv2": inner = "mlp.fc2"
      case "grn": inner = "mlp.grn"
      case let other: inner = other
      }
      return (["stages", stage, "blocks", part[4], inner] + part[6...]).joined(separator: ".")
    case "layernorm" where part.count == 2: return "head.norm.\(part[1])"
    case "classifier" where part.count == 2: return "head.fc.\(part[1])"
    default: return nil
    }
  }

  private static func fromOpenCLIP(_ name: String) -> String? {
    if name.hasPrefix("visual.trunk.") { return fromTimm(String(name.dropFirst(13))) }
    switch name {
    case "visual.head.proj.weight": return "head.fc.weight"
    case "visual.head.proj.bias": return "head.fc.bias"
    case "visual.head.mlp.fc1.weight": return "head.pre_logits.fc.weight"
    case "visual.head.mlp.fc1.bias": return "head.pre_logits.fc.bias"
    case "visual.head.mlp.fc2.weight": return "head.fc.weight"
    case "visual.head.mlp.fc2.bias": return "head.fc.bias"
    default: return nil
    }
  }
}
