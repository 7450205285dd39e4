import VLMModels

extension VisionSession {
  /// Numbers in the embedding of an image.
  package var embeddingWidth: Int { description.config.image?.vector?.width ?? 0 }
}
