import VLMFoundation
import VLMModels
import VLMTensor

/// The class of transformers that `config.json` says the model is of.
enum StatedArchitecture {
  /// Classes of image models that are run; those of language models are `LLaMAConfig`'s.
  private static let classes: Set<String> = [
    "ConvNextModel", "ConvNextForImageClassification", "ConvNextBackbone", "ConvNextV2Model",
    "ConvNextV2ForImageClassification", "ConvNextV2Backbone", "DINOv3ConvNextModel",
    "DINOv3ConvNextBackbone", "CLIPModel", "CLIPVisionModel", "CLIPVisionModelWithProjection",
    "CLIPForImageClassification", "MetaClip2Model", "MetaClip2VisionModel",
    "MetaClip2VisionModelWithProjection", "LlavaForConditionalGeneration",
    "TimmWrapperModel", "TimmWrapperForImageClassification",
  ]
  private static let types: Set<String> = [
    "convnext", "convnextv2", "dinov3_convnext", "clip", "clip_vision_model", "metaclip_2",
    "metaclip_2_vision_model", "llava", "timm_wrapper",
  ]

  /// What is said to an architecture that is not run.
  static let known =
    "ConvNext…, ConvNextV2…, DINOv3ConvNext…, CLIP…, Llava…, Llama…, Mistral… and Qwen2…"

  /// The class, or else the model's type, where it is none that is run; nil where it is, or nothing
  /// is said.
  static func unknown(_ description: JSONValue?) -> String? {
    let names = (description?["architectures"]?.arrayValue ?? []).compactMap(\.stringValue)
    if let first = names.first {
      let isRun = names.contains { classes.contains($0) || LLaMAConfig.architectures.contains($0) }
      return isRun ? nil : first
    }
    guard let type = description?["model_type"]?.stringValue else { return nil }
    return types.contains(type) || LLaMAConfig.types.contains(type) ? nil : type
  }
}
