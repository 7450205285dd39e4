import VLMContainer
import VLMImages
import VLMModels
import VLMTensor
import VLMText

/// A LLaVA opened from a container, with a conversation in memory.
///
/// A picture is encoded once: its visual tokens stay with whoever holds them. The keys and values
/// of a prompt's beginning that the context still has are not computed again either, so the second
/// question about a picture costs as much as its text.
///
/// Not thread-safe: one caller at a time; inside, the pool's threads share the work.
package final class VisionLanguageSession: ConversationSession {
  package let container: Container
  package let description: ModelDescription
  package let config: LLaVAConfig
  /// From a picture to the tower's input.
  package let preprocessing: Preprocessing
  package let kernels: KernelSet
  package let pool: WorkerPool
  package let generator: TextGenerator
  package let defaults: GenerationDefaults
  package let model: LLaVA
  /// What stands at the positions that the context holds.
  private var held: [Position] = []
  /// The pictures among them, so that none of their identities is given to another.
  private var heldImages: [VisualTokens] = []

  private enum Position: Equatable {
    case token(Int)
    case image(ObjectIdentifier, row: Int)
  }

  /// - Parameters:
  ///   - contextLength: positions that the conversation may have; nil for the model's, but not
  ///     more than `LanguageSession.defaultContextLength`.
  /// - Throws: `ContainerError`, `ModelError` when the file is damaged or is no LLaVA.
  package convenience init(
    path: String, kernels: KernelSet, threads: Int, contextLength: Int? = nil,
    keyValueFormat: KeyValueFormat = .f16
  ) throws {
    try self.init(
      try Container.open(path: path), kernels: kernels, threads: threads,
      contextLength: contextLength, keyValueFormat: keyValueFormat)
  }

  /// The same of a container that is open.
  package init(
    _ container: Container, kernels: KernelSet, threads: Int, contextLength: Int? = nil,
    keyValueFormat: KeyValueFormat = .f16
  ) throws {
    let file = container.path
    description = try container.modelDescription()
    guard let config = description.config as? LLaVAConfig else {
      throw GenerationError(file: file, .notLanguage(architecture: description.architecture))
    }
    let weights = ContainerWeights(container)
    model = try ModelError.inFile(file) { try LLaVA(Weights(weights, kernels: kernels), config) }
    try weights.requireAllUsed()
    preprocessing = try container.preprocessing(of: description)
    let pool = WorkerPool(threadCount: threads)
    self.pool = pool
    let context = try ModelError.inFile(file) {
      try LLaMAContext(
        config.language,
        capacity: contextLength
          ?? LanguageSession.defaultCapacity(
            config.language, format: keyValueFormat, threads: pool.threadCount),
        keyValueFormat: keyValueFormat, pool: pool, kernels: kernels)
    }
    defaults = try container.generationDefaults()
    generator = TextGenerator(
      model: model.language, context: context, tokenizer: try container.tokenizer(of: description),
      stopTokens: Set(defaults.stopTokens), checkWeights: { try container.checkUnchanged() })
    self.container = container
    self.config = config
    self.kernels = kernels
  }

  package var pictureSteps: Preprocessing? { preprocessing }
  package var trainedLength: Int? { config.promptLimit }
  /// What every LLaVA on Vicuna v1.5 was trained with, whatever the name of its folder says.
  package var templateName: String? { "vicuna_v1" }

  // MARK: - Pictures

  /// The tower's input for a picture.
  ///
  /// - Throws: `GenerationError` for a size that cannot be, `ImageError` for one too large.
  package func pixels(
    of image: any PixelSource, name: String, geometry: PictureGeometry = PictureGeometry(),
    limits: ImageLimits = ImageLimits()
  ) throws -> PixelTensor {
    var steps = preprocessing
    let step = config.tower.geometry.stride
    if let side = geometry.resolution {
      let range = step...16_384
      guard range.contains(side) else {
        throw GenerationError(
          .option(
            "--resolution", found: "\(side)",
            expected: "\(range.lowerBound) to \(range.upperBound)"))
      }
      steps = steps.resized(toSide: side)
    }
    if geometry.keepsAspect {
      guard config.tower.geometry.takesAnyAspect, let side = steps.resolution else {
        throw GenerationError(
          .option("--keep-aspect", found: "a tower for squares", expected: "one of any shape"))
      }
      steps = steps.keepingAspect(
        ofWidth: image.width, height: image.height, side: side, step: step)
    }
    return try steps.apply(image, name: name, limits: limits)
  }

  package typealias Observer = ConversationObserver

  /// The visual tokens of a picture, in memory of their own.
  ///
  /// - Throws: `ModelError` when the picture is too small for the tower or too large for memory, or
  ///   when the tower makes no numbers of it.
  package func encode(
    _ pixels: PixelTensor, observe: Observer? = nil
  ) throws -> VisualTokens {
    observe?("pixel_values", [1, 3, pixels.height, pixels.width], pixels.channelsFirst())
    let tokens = try model.encode(
      pixels.values, height: pixels.height, width: pixels.width, pool: pool,
      observe: observe.map { observe in
        { seen in
          let (shape, values) = seen.planar
          observe(seen.name, shape, values)
        }
      })
    try container.checkUnchanged()
    try tokens.rows.requireFinite("visual tokens")
    return tokens
  }

  // MARK: - Text

  /// Continues a prompt.
  ///
  /// - Parameters:
  ///   - ids: the whole conversation, `ImagePrompt.sentinel` where a picture goes.
  ///   - images: the pictures, in their order.
  ///   - emit: called with each piece of text as soon as it is certain.
  /// - Throws: `ModelError` when the numbers of pictures differ or the context is too short,
  ///   `GenerationError`.
  package func generate(
    _ ids: [Int], images: [VisualTokens], _ options: GenerationOptions,
    cancelled: CancellationFlag? = nil, emit: (String) -> Void = { _ in }
  ) throws -> Generation {
    let splice = try splice(ids, images)
    let wanted = Self.positions(splice, images)
    // The last one is run in any case: its logits are what is wanted.
    let common = zip(held, wanted.dropLast()).prefix { $0 == $1 }.count
    let memory = Activations(count: (wanted.count - common) * config.language.hidden)
    let rows = memory.matrix(rows: wanted.count - common, columns: config.language.hidden)
    held.removeLast(held.count - common)
    let result = try ModelError.inFile(container.path) {
      try model.embed(splice.pieces(from: common), images: images, into: rows)
      return try withExtendedLifetime(memory) {
        try generator.generate(
          .embeddings(rows, position: common), options, cancelled: cancelled, emit: emit)
      }
    }
    // A prompt that was cancelled is held in part.
    let written = generator.history.dropFirst(wanted.count).map { Position.token($0) }
    held = Array(wanted.prefix(generator.history.count)) + written
    heldImages = images
    return result
  }

  /// Runs a prompt and shows what is inside; see `ConversationSession`.
  package func inspect(_ ids: [Int], images: [VisualTokens], observe: Observer) throws {
    held = []
    let splice = try splice(ids, images)
    observe("input_ids", [1, ids.count], ids.map { Float($0) })
    let (count, hidden) = (splice.count, config.language.hidden)
    let memory = Activations(count: count * hidden)
    let rows = memory.matrix(rows: count, columns: hidden)
    try ModelError.inFile(container.path) {
      try model.embed(splice.pieces, images: images, into: rows)
      try withExtendedLifetime(memory) { try generator.inspect(rows, observe: observe) }
    }
    try container.checkUnchanged()
  }

  private func splice(_ ids: [Int], _ images: [VisualTokens]) throws -> Splice {
    let splice = try ModelError.inFile(container.path) {
      try Splice(ids, sentinel: ImagePrompt.sentinel, imageTokens: images.map(\.count))
    }
    guard splice.count > 0 else { throw GenerationError(.emptyPrompt) }
    return splice
  }

  private static func positions(_ splice: Splice, _ images: [VisualTokens]) -> [Position] {
    splice.pieces.flatMap { piece -> [Position] in
      switch piece {
      case .text(let ids): ids.map { .token($0) }
      case .image(let index, let rows):
        rows.map { .image(ObjectIdentifier(images[index]), row: $0) }
      }
    }
  }
}
