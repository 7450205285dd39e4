import VLMFoundation
import VLMTensor

/// Which model a container holds, with its geometry: the content of the container's `config`.
package enum ModelDescription: Sendable, Equatable {
  case convNeXt(ConvNeXtConfig)
  case llama(LLaMAConfig)
  case llava(LLaVAConfig)
  case clipViT(CLIPViTConfig)
  case openCLIP(OpenCLIPConfig)

  /// The value of `architecture`.
  package var architecture: String {
    switch self {
    case .convNeXt: "convnext"
    case .llama: "llama"
    case .llava: "llava"
    case .clipViT: "clip_vit"
    case .openCLIP: "open_clip"
    }
  }

  package var json: JSONValue {
    switch self {
    case .convNeXt(let config):
      ["architecture": .string(architecture), "convnext": config.json]
    case .llama(let config):
      ["architecture": .string(architecture), "llama": config.json]
    case .llava(let config):
      ["architecture": .string(architecture), "llava": config.json]
    case .clipViT(let config):
      ["architecture": .string(architecture), "clip_vit": config.json]
    case .openCLIP(let config):
      ["architecture": .string(architecture), "open_clip": config.json]
    }
  }

  /// - Throws: `ModelError` for an unknown architecture, or a field that is missing or out of range.
  package init(json: JSONValue) throws(ModelError) {
    switch json["architecture"]?.stringValue {
    case "convnext": self = .convNeXt(try ConvNeXtConfig(json: json["convnext"] ?? .null))
    case "llama": self = .llama(try LLaMAConfig(json: json["llama"] ?? .null))
    case "llava": self = .llava(try LLaVAConfig(json: json["llava"] ?? .null))
    case "clip_vit": self = .clipViT(try CLIPViTConfig(json: json["clip_vit"] ?? .null))
    case "open_clip": self = .openCLIP(try OpenCLIPConfig(json: json["open_clip"] ?? .null))
    case let other:
      throw ModelError(
        .configuration(
          field: "architecture", found: other.map { "'\($0)'" } ?? "nothing",
          expected: "'convnext', 'llama', 'llava', 'clip_vit' or 'open_clip'"))
    }
  }

  /// Outputs that labels may name; nil for a model that does not classify.
  package var classCount: Int? {
    switch self {
    case .convNeXt(let config):
      config.head.output.flatMap { $0.meaning == .classes ? $0.count : nil }
    case .clipViT(let config): config.classCount
    case .llama, .llava, .openCLIP: nil
    }
  }

  /// Channels that an image model sees.
  package var inputChannels: Int {
    if case .convNeXt(let config) = self { config.inputChannels } else { 3 }
  }

  /// Whether the model answers questions about pictures.
  package var seesPictures: Bool { if case .llava = self { true } else { false } }

  /// The side of the pictures that a CLIP was trained on; nil for other models.
  package var clipSide: Int? {
    switch self {
    case .clipViT(let config): return config.imageSize
    case .openCLIP(let config):
      if case .clipViT(let tower) = config.image { return tower.imageSize }
      return nil
    case .convNeXt, .llama, .llava: return nil
    }
  }

  /// The language model that it is or has.
  package var language: LLaMAConfig? {
    switch self {
    case .convNeXt, .clipViT, .openCLIP: nil
    case .llama(let config): config
    case .llava(let config): config.language
    }
  }

  /// Rows of the table of embeddings, which the ids of a tokenizer are in; nil for a model that reads
  /// no texts.
  package var tokenRows: Int? {
    if case .openCLIP(let config) = self { return config.text.vocabulary }
    return language?.vocabulary
  }

  /// Every tensor that the model has, in the order it asks for them.
  package func manifest() throws(ModelError) -> [TensorSpec] {
    let recorder = ManifestRecorder()
    guard let scalar = KernelSet(named: "scalar") else { return [] }
    let weights = Weights(recorder, kernels: scalar)
    switch self {
    case .convNeXt(let config): _ = try ConvNeXt(weights, config)
    case .llama(let config): _ = try LLaMA(weights, config)
    case .llava(let config): _ = try LLaVA(weights, config)
    case .clipViT(let config): _ = try CLIPViT(weights, config)
    case .openCLIP(let config): _ = try OpenCLIP(weights, config)
    }
    return recorder.specs
  }
}
