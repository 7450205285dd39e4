/// The names under which checkpoints store a ConvNeXt. Ours are timm's.
package enum ConvNeXtNaming: String, Sendable, CaseIterable {
  case timm
  /// `facebookresearch/ConvNeXt` and `ConvNeXt-V2`.
  case facebook
  /// transformers' `ConvNextModel`, `ConvNextV2Model`.
  case huggingFace = "hugging-face"
  /// An open_clip model whose image tower is a timm ConvNeXt.
  case openCLIP = "open_clip"
  case torchvision
  /// transformers' `DINOv3ConvNextModel`.
  case dinov3 = "hugging-face-dinov3"
  /// mmpretrain and its kin.
  case openMMLab = "openmmlab"

  /// Whether the description beside the weights is transformers'.
  var isTransformers: Bool { self == .huggingFace || self == .dinov3 }

  /// What our names of norms on the outputs of stages begin with, which backbones of detectors have.
  static let outputNorm = "out_norm."

  /// Our name for the checkpoint's `name`; nil for a tensor that is no part of the image model.
  package func canonical(_ name: String) -> String? {
    switch self {
    case .timm: Self.fromTimm(name)
    case .facebook: Self.fromFacebook(name)
    case .huggingFace: Self.fromHuggingFace(name)
    case .openCLIP: Self.fromOpenCLIP(name)
    case .torchvision: Self.fromTorchvision(name)
    case .dinov3: Self.fromDINOv3(name)
    case .openMMLab: Self.fromOpenMMLab(name)
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
      case let rest where rest.hasPrefix("depthwise_conv."):
        inner = "conv_dw." + rest.dropFirst(15)
      case let rest where rest.hasPrefix("pointwise_conv1."):
        inner = "mlp.fc1." + rest.dropFirst(16)
      case let rest where rest.hasPrefix("pointwise_conv2."):
        inner = "mlp.fc2." + rest.dropFirst(16)
      case let rest where rest.hasPrefix("pwconv1."): inner = "mlp.fc1." + rest.dropFirst(8)
      case let rest where rest.hasPrefix("pwconv2."): inner = "mlp.fc2." + rest.dropFirst(8)
      case let rest: inner = rest
      }
      return "stages.\(part[1]).blocks.\(part[2]).\(inner)"
    case "norm" where part.count == 2: return "head.norm.\(part[1])"
    // DINOv3's own files have the last norm in a list, too.
    case "norms" where part.count == 3: return "\(outputNorm)\(part[1]).\(part[2])"
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
    // Of a backbone, "stage1" and on.
    case "hidden_states_norms" where part.count == 3:
      guard let stage = Int(part[1].dropFirst(5)), stage > 0 else { return nil }
      return "\(outputNorm)\(stage - 1).\(part[2])"
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

  /// Stem, stages and the convolutions between them are one list: stage s is its part 2s + 1.
  private static func fromTorchvision(_ name: String) -> String? {
    let part = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    if part.count == 3, part[0] == "classifier" {
      switch part[1] {
      case "0": return "head.norm.\(part[2])"
      case "2": return "head.fc.\(part[2])"
      default: return nil
      }
    }
    guard part.count >= 4, part[0] == "features", let index = Int(part[1]), index >= 0 else {
      return nil
    }
    let rest = part[3...].joined(separator: ".")
    if index == 0 { return "stem.\(part[2]).\(rest)" }
    let stage = index / 2
    if index % 2 == 0 { return "stages.\(stage).downsample.\(part[2]).\(rest)" }
    let block = "stages.\(stage).blocks.\(part[2])."
    if rest == "layer_scale" { return block + "gamma" }
    guard part.count == 6, part[3] == "block" else { return nil }
    switch part[4] {
    case "0": return block + "conv_dw.\(part[5])"
    case "2": return block + "norm.\(part[5])"
    case "3": return block + "mlp.fc1.\(part[5])"
    case "5": return block + "mlp.fc2.\(part[5])"
    default: return nil
    }
  }

  private static func fromDINOv3(_ name: String) -> String? {
    var part = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    // transformers 5 has its trunk in a module of this name, which its files do without.
    if part.first == "model" { part.removeFirst() }
    if part.count == 2, part[0] == "layer_norm" { return "head.norm.\(part[1])" }
    guard part.count >= 5, part[0] == "stages" else { return nil }
    let rest = part[4...].joined(separator: ".")
    if part[2] == "downsample_layers" {
      let scope = part[1] == "0" ? "stem" : "stages.\(part[1]).downsample"
      return "\(scope).\(part[3]).\(rest)"
    }
    guard part[2] == "layers" else { return nil }
    let block = "stages.\(part[1]).blocks.\(part[3])."
    if rest == "gamma" { return block + "gamma" }
    guard part.count == 6 else { return nil }
    switch part[4] {
    case "depthwise_conv": return block + "conv_dw.\(part[5])"
    case "layer_norm": return block + "norm.\(part[5])"
    case "pointwise_conv1": return block + "mlp.fc1.\(part[5])"
    case "pointwise_conv2": return block + "mlp.fc2.\(part[5])"
    default: return nil
    }
  }

  /// facebook's, but for the block's layers and the norms on the stages' outputs.
  private static func fromOpenMMLab(_ name: String) -> String? {
    let part = name.split(separator: ".", omittingEmptySubsequences: false)
    if part.count == 2, let stage = String(part[0]).dropping("norm").flatMap({ Int($0) }) {
      return "\(outputNorm)\(stage).\(part[1])"
    }
    return ["stages", "downsample_layers"].contains(part.first) ? fromFacebook(name) : nil
  }
}
