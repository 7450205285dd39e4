import VLMContainer
import VLMFoundation
import VLMTensor
import VLMZ

/// A model that answers, with the memory for one conversation.
struct AnsweringModel {
  let model: Model
  let language: LanguageModel
  let generator: TextGenerator

  /// - Parameter contextLength: positions of the conversation; nil for the model's own number.
  /// - Throws: `ContainerError`, `ModelError` when the file is damaged or needs more memory than there
  ///   is.
  init?(
    _ container: Container, kernels: KernelSet, threads: Int, memory: MemoryUse,
    contextLength: Int?, keyValueFormat: KeyValueFormat
  ) throws {
    model = try Model(
      container, kernels: kernels, pool: WorkerPool(threadCount: threads), memory: memory)
    guard let language = model.language else { return nil }
    self.language = language
    generator = try language.generator(
      pool: model.pool, contextLength: contextLength, keyValueFormat: keyValueFormat)
  }

  var container: Container { model.container }
  var seesPictures: Bool { language.pictures != nil }
  /// Positions that the conversation may have.
  var capacity: Int { generator.context.capacity }
}
