import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// A model that writes text, opened from a container, with a sequence in memory.
struct LoadedModel {
  let model: Model
  let language: LanguageModel
  let generator: TextGenerator

  init(
    _ container: Container, kernels: KernelSet, threads: Int, contextLength: Int? = nil,
    keyValueFormat: KeyValueFormat = .f16
  ) throws {
    model = try Model(container, kernels: kernels, pool: WorkerPool(threadCount: threads))
    language = try model.requireLanguage()
    generator = try language.generator(
      pool: model.pool, contextLength: contextLength, keyValueFormat: keyValueFormat)
  }

  init(
    path: String, kernels: KernelSet, threads: Int, contextLength: Int? = nil,
    keyValueFormat: KeyValueFormat = .f16
  ) throws {
    try self.init(
      try Container.open(path: path), kernels: kernels, threads: threads,
      contextLength: contextLength, keyValueFormat: keyValueFormat)
  }

  var tokenizer: Tokenizer? { language.tokenizer }
  var defaults: GenerationDefaults { language.defaults }
  var preprocessing: Preprocessing { language.preprocessing ?? .timmDefault }
  var tower: (any VisionTowerConfig)? { language.pictures?.config.tower }

  /// What the tower sees of a picture; of one in tiles the overview.
  func pixels(
    of image: any PixelSource, name: String, geometry: PictureGeometry = PictureGeometry()
  ) throws -> PixelTensor {
    try language.prepare(image, name: name, geometry: geometry).overview
  }

  func prepare(
    _ image: any PixelSource, name: String, geometry: PictureGeometry = PictureGeometry()
  ) throws -> PreparedPicture {
    try language.prepare(image, name: name, geometry: geometry)
  }

  func encode(
    _ pixels: PixelTensor, observe: TowerObserver? = nil
  ) throws -> VisualTokens {
    try encode(PreparedPicture(pixels), observe: observe)
  }

  func encode(
    _ picture: PreparedPicture, observe: TowerObserver? = nil
  ) throws -> VisualTokens {
    try language.encode(picture, pool: model.pool, observe: observe)
  }

  func generate(
    _ prompt: String, _ options: GenerationOptions, cancelled: CancellationFlag? = nil,
    emit: (String) -> Void = { _ in }
  ) throws -> Generation {
    try generator.generate(prompt, options, cancelled: cancelled, emit: emit)
  }

  func generate(
    _ ids: [Int], images: [VisualTokens] = [], _ options: GenerationOptions,
    cancelled: CancellationFlag? = nil, emit: (String) -> Void = { _ in }
  ) throws -> Generation {
    try generator.generate(ids, images: images, options, cancelled: cancelled, emit: emit)
  }

  func inspect(
    _ ids: [Int], images: [VisualTokens], observe: ConversationObserver
  ) throws {
    try generator.inspect(ids, images: images, observe: observe)
  }

  func score(
    _ ids: [Int], body: (_ logits: MatrixView, _ position: Int) -> Void
  ) throws {
    try generator.score(ids, body: body)
  }
}
