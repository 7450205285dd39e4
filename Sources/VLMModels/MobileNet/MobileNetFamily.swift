import VLMFoundation
import VLMTensor

/// Networks of inverted bottlenecks: MobileNetV4 (Qin et al., "MobileNetV4: Universal Models for the
/// Mobile Ecosystem"), convolutional and hybrid, and EfficientViT (Cai et al., "EfficientViT:
/// Multi-Scale Linear Attention for High-Resolution Dense Prediction"), B0 to B3 and L1 to L3.
///
/// They classify or embed pictures. The files are timm's, and those of transformers' wrapper of it.
package enum MobileNetFamily: ModelFamily {
  package typealias Config = MobileNetConfig

  package static let name = "mobilenet"
  package static let hasManyNames = true
  package static let summary: String? = "MobileNetV4, MIT's EfficientViT"

  package static func isPresent(in names: [String]) -> Bool {
    MobileNetNaming(Set(names)) != nil
  }

  package static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    try refuseNamesake(facts.description)
    return try MobileNetCheckpoint(facts.names, facts.description)?
      .model(MobileNetFamily.self, naming: "timm")
  }
}

extension MobileNetFamily {
  /// Refuses MSRA's models of the same name (Liu et al., "EfficientViT: Memory Efficient Vision
  /// Transformer with Cascaded Group Attention").
  private static func refuseNamesake(_ description: JSONValue?) throws(ModelError) {
    guard let name = description?["architecture"]?.stringValue, name.hasPrefix("efficientvit_m")
    else { return }
    throw ModelError(
      .configuration(
        field: "architecture", found: "'\(name)'",
        expected: "an EfficientViT of MIT's, efficientvit_b0 to b3 or l1 to l3"))
  }
}

/// Whose names a checkpoint's tensors are.
enum MobileNetNaming: Equatable {
  case mobileNetV4
  case efficientViT

  /// Nil for names of neither.
  init?(_ names: Set<String>) {
    if names.contains("conv_stem.weight"),
      names.contains(where: { $0.hasPrefix("blocks.") && $0.hasSuffix(".pw_exp.conv.weight") })
    {
      self = .mobileNetV4
    } else if names.contains("stem.in_conv.conv.weight"),
      names.contains(where: { $0.hasPrefix("stages.0.blocks.0.main.") })
    {
      self = .efficientViT
    } else {
      return nil
    }
  }

  /// What timm's names of the models begin with.
  var prefix: String { self == .mobileNetV4 ? "mobilenetv4_" : "efficientvit_" }
}

extension MobileNetConfig: ModelConfig {}
