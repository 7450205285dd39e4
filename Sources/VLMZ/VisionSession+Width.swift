import VLMModels

extension VisionSession {
  /// Numbers in the embedding of an image.
  package var embeddingWidth: Int {
    func width(_ config: ConvNeXtConfig) -> Int {
      guard let output = config.head.output, output.meaning == .embedding else {
        return config.pooledChannels
      }
      return output.count
    }
    func width(_ config: CLIPViTConfig) -> Int { config.projection ?? config.encoder.width }
    switch description {
    case .convNeXt(let config): return width(config)
    case .clipViT(let config): return width(config)
    case .openCLIP(let config):
      switch config.image {
      case .convNeXt(let tower): return width(tower)
      case .clipViT(let tower): return width(tower)
      }
    case .llama, .llava: return 0
    }
  }
}
