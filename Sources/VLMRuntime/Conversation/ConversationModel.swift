import VLMContainer
import VLMInput
import VLMKernels
import VLMModels
import VLMTensor

/// A model that answers: what a conversation needs of a session, whatever is behind it.
///
/// Not thread-safe: one caller at a time.
package protocol ConversationModel: AnyObject {
  var container: Container { get }
  var kernels: KernelSet { get }
  var pool: WorkerPool { get }
  /// Positions that a conversation may have.
  var contextLength: Int { get }
  var keyValueFormat: KeyValueFormat { get }
  /// Whether pictures can be part of it.
  var seesPictures: Bool { get }

  /// What a picture becomes for the model.
  ///
  /// - Throws: `ImageError`, `ModelError`, `GenerationError`.
  func picture(_ image: Image, name: String, options: PictureOptions) throws -> VisualTokens

  /// Continues a conversation; what of it the context still holds is not computed again.
  ///
  /// - Parameters:
  ///   - ids: the whole conversation, `ImagePrompt.sentinel` where a picture stands.
  ///   - images: the pictures in order.
  ///   - tokenizer: turns ids into the text that `emit` gets.
  func answer(
    _ ids: [Int], images: [VisualTokens], _ options: GenerationOptions,
    cancelled: CancellationFlag?, emit: (String) -> Void
  ) throws -> Generation
}

/// How pictures are prepared.
package struct PictureOptions: Sendable {
  package var geometry: VisionLanguageSession.Geometry
  package var limits: ImageLimits

  package init(
    geometry: VisionLanguageSession.Geometry = .init(), limits: ImageLimits = ImageLimits()
  ) {
    self.geometry = geometry
    self.limits = limits
  }
}

extension LanguageSession: ConversationModel {
  package var contextLength: Int { generator.context.capacity }
  package var keyValueFormat: KeyValueFormat { generator.context.keyValueFormat }
  package var seesPictures: Bool { false }

  package func picture(
    _ image: Image, name: String, options: PictureOptions
  ) throws -> VisualTokens {
    throw GenerationError(
      file: container.path,
      .option("images", found: "one", expected: "none: this model sees no pictures"))
  }

  package func answer(
    _ ids: [Int], images: [VisualTokens], _ options: GenerationOptions,
    cancelled: CancellationFlag?, emit: (String) -> Void
  ) throws -> Generation {
    guard images.isEmpty, !ids.contains(ImagePrompt.sentinel) else {
      throw GenerationError(
        file: container.path,
        .option("images", found: "one", expected: "none: this model sees no pictures"))
    }
    return try generate(ids, options, cancelled: cancelled, emit: emit)
  }
}

extension VisionLanguageSession: ConversationModel {
  package var contextLength: Int { generator.context.capacity }
  package var keyValueFormat: KeyValueFormat { generator.context.keyValueFormat }
  package var seesPictures: Bool { true }

  package func picture(
    _ image: Image, name: String, options: PictureOptions
  ) throws -> VisualTokens {
    try encode(
      pixels(of: image, name: name, geometry: options.geometry, limits: options.limits))
  }

  package func answer(
    _ ids: [Int], images: [VisualTokens], _ options: GenerationOptions,
    cancelled: CancellationFlag?, emit: (String) -> Void
  ) throws -> Generation {
    try generate(ids, images: images, options, cancelled: cancelled, emit: emit)
  }
}

extension Container {
  /// How a conversation becomes text, as the file says; nil where it does not say, or in a way that
  /// this build does not know.
  ///
  /// - Throws: `ContainerError`, `ModelError`, `TextError` for a section that is no good.
  package func conversationTemplate() throws -> ConversationTemplate? {
    guard let json = try json(.chatTemplate) else { return nil }
    return try ConversationTemplate(json: json, file: path)
  }
}
