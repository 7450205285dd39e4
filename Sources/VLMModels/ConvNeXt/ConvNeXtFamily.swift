import VLMFoundation
import VLMTensor

/// ConvNeXt V1 and V2 (Liu et al., "A ConvNet for the 2020s"; Woo et al., "ConvNeXt V2"): stages of
/// depthwise convolutions and pointwise products, each stage at half the resolution of the one
/// before.
///
/// Alone it classifies or embeds pictures; ConvLLaVA sees with its trunk, LLaVA-HR with it beside a
/// ViT, and open_clip has CLIPs with it. The files are timm's, facebookresearch's, transformers' and
/// DINOv3's, torchvision's, open_clip's and OpenMMLab's.
package enum ConvNeXtFamily: ModelFamily, VisionTowerFamily {
  package typealias Config = ConvNeXtConfig
  package typealias Tower = ConvNeXtConfig

  package static let name = "convnext"
  package static let summary: String? = "ConvNeXt"
  package static let possessive = "a ConvNeXt's"

  package static let stated = StatedClasses(
    classes: [
      "ConvNextModel", "ConvNextForImageClassification", "ConvNextBackbone", "ConvNextV2Model",
      "ConvNextV2ForImageClassification", "ConvNextV2Backbone", "DINOv3ConvNextModel",
      "DINOv3ConvNextBackbone", "TimmWrapperModel", "TimmWrapperForImageClassification",
    ],
    types: ["convnext", "convnextv2", "dinov3_convnext", "timm_wrapper"],
    patterns: ["ConvNext…", "ConvNextV2…", "DINOv3ConvNext…"])

  package static func isPresent(in names: [String]) -> Bool {
    ConvNeXtLocation(names)?.prefix.isEmpty == true
  }

  package static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    try ConvNeXtCheckpoint(
      names: facts.names, description: facts.description, activation: facts.headActivation)?.model
  }

  package static func tower(in facts: TowerFacts) throws(ModelError) -> TowerCheckpoint? {
    guard
      let found = try ConvNeXtCheckpoint(names: facts.names, description: facts.description)
    else { return nil }
    var notes: [Note] = []
    let trunk = try found.tower(selectLayer: try facts.selectedLayer(usual: -1, notes: &notes))
    var tower = TowerCheckpoint(config: trunk.config, tensors: trunk.tensors)
    tower.notes = notes
    tower.unused = found.unused
    // A classifier is of no use here; what is no layer of one may be a part of the trunk.
    let strange = HeadModule.modules(of: facts.names).filter(\.isOther).flatMap(\.names)
    tower.unexpected = (found.headFault?.tensors ?? []).filter { strange.contains($0) }
    return tower
  }
}

extension ConvNeXtConfig: ModelConfig {
  package func assumedSteps(naming: String) -> AssumedSteps {
    guard naming == ConvNeXtNaming.torchvision.rawValue else { return .timm }
    // What torchvision resizes to for tiny, small, and the larger ones.
    guard stages.first?.channels == 96, stages.count == 4 else { return .torchvision(resize: 232) }
    return .torchvision(resize: stages[2].depth == 9 ? 236 : 230)
  }
}
