import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText

/// The layers of a model that writes text, and what goes with them. Immutable: shared by all
/// conversations.
package final class LanguageModel: Sendable {
  /// The language model itself.
  package let layers: LLaMA
  /// What shows it pictures; nil for a model that reads text alone.
  package let pictures: LLaVA?
  /// From a picture to the tower's input; nil for a model that sees none.
  package let preprocessing: Preprocessing?
  /// Nil for a file without one, which can be given ids alone.
  package let tokenizer: Tokenizer?
  /// How the model's makers want text to be generated.
  package let defaults: GenerationDefaults
  /// What the model reads around a picture's tiles; nil for one that reads nothing there.
  private let marks: TileMarks?
  private let grammars: GrammarCache?
  private let container: Container
  private let kernels: KernelSet
  /// How the weights are read; nil where they all stay in memory.
  private let reading: WeightReading?

  /// What goes with the layers of a container's model; nil when they write no text.
  ///
  /// - Throws: `ContainerError`, `TextError`, `ModelError` for a section that is damaged or does not
  ///   fit the model.
  init?(
    _ layers: ModelLayers, _ container: Container, _ description: ModelDescription,
    kernels: KernelSet, reading: WeightReading? = nil
  ) throws {
    switch layers {
    case .language(let model): (self.layers, pictures) = (model, nil)
    case .imageAndLanguage(let model): (self.layers, pictures) = (model.language, model)
    case .image, .imageAndText: return nil
    }
    preprocessing = pictures == nil ? nil : try container.preprocessing(of: description)
    defaults = try container.generationDefaults()
    tokenizer = try container.tokenizer(of: description)
    grammars = tokenizer.map { GrammarCache($0) }
    marks =
      description.config.marksTiles
      ? try tokenizer.map { TileMarks(try container.chatTemplates().tokens, $0) } : nil
    self.container = container
    self.kernels = kernels
    self.reading = reading
  }

  /// Positions of the longest prompt that the model was trained with; nil where its files do not say.
  package var trainedLength: Int? { pictures?.config.promptLimit }
  /// The name of the conversation template that the model was trained with, where the container has
  /// none of its own: every LLaVA on Vicuna v1.5 has this one, whatever its folder is called.
  package var templateName: String? {
    pictures == nil || preprocessing?.tiling?.isSplitting == true ? nil : "vicuna_v1"
  }

  /// Which frames of a film the model sees; nil for one that was trained on none.
  package var filmSampling: FrameSampling? {
    guard case .splitting(let splitting)? = preprocessing?.tiling else { return nil }
    return splitting.film
  }

  // MARK: - Text

  /// Keys and values of longer contexts take gigabytes; who wants them says so.
  package static let defaultContextLength = 4096

  /// Positions of a context where the user names none: as many as the memory leaves room for.
  private func defaultCapacity(format: KeyValueFormat, threads: Int) -> Int {
    let wanted = usualCapacity
    let fitting = LLaMAContext.capacity(
      fitting: contextBytes, atMost: wanted, layers.config, format: format, threads: threads)
    guard reading != nil else { return fitting ?? wanted }
    return max(fitting ?? 0, min(wanted, Self.leastCapacity))
  }

  /// Bytes that a context may take where the user names no length.
  package var contextBytes: Int {
    min(Machine.memory.planned, reading?.contextBytes ?? .max)
  }

  /// Positions of a context where memory suffices: of a model that sees in tiles, room for a picture of
  /// the most, and for as much text as others have beside one.
  package var usualCapacity: Int {
    let most = largestPicture.map { $0 + Self.roomBesidePicture } ?? 0
    return min(layers.config.contextLength, max(Self.defaultContextLength, most))
  }

  private static let roomBesidePicture = 1024
  /// Positions of a context where weights are read as they are used, however little memory there is.
  private static let leastCapacity = 256

  /// Visual tokens of the largest picture in tiles; nil for a model that sees in one.
  private var largestPicture: Int? {
    guard let pictures, let preprocessing, let side = preprocessing.resolution,
      case .anyResolution(let candidates) = preprocessing.tiling,
      let tile = try? pictures.config.tower.grid(height: side, width: side)
    else { return nil }
    return candidates.sizes.compactMap { size in
      let layout = preprocessing.layout(height: size.height, width: size.width)
      return layout.flatMap { try? TileMergePlan(pictures.config.merge, $0, tile: tile).count }
    }.max()
  }

  /// Positions that a context has where memory suffices, when one of `capacity` has fewer.
  package func shortened(_ capacity: Int) -> Int? {
    capacity < usualCapacity ? usualCapacity : nil
  }

  /// An empty sequence.
  ///
  /// - Parameters:
  ///   - contextLength: positions of the longest sequence; nil for the model's, but not more than
  ///     `usualCapacity`, nor than the memory leaves room for.
  ///   - chunkRows: see `LLaMAContext`.
  /// - Throws: `ModelError` when it needs more memory than there is.
  package func generator(
    pool: WorkerPool, contextLength: Int? = nil, chunkRows: Int = LLaMAContext.defaultChunkRows,
    keyValueFormat: KeyValueFormat = .f16, precision: LLaMAContext.Precision = .balanced
  ) throws -> TextGenerator {
    let container = container
    let context = try ModelError.inFile(container.path) {
      try LLaMAContext(
        layers.config,
        capacity: contextLength
          ?? defaultCapacity(format: keyValueFormat, threads: pool.threadCount),
        chunkRows: chunkRows, keyValueFormat: keyValueFormat, precision: precision, pool: pool,
        kernels: kernels)
    }
    return TextGenerator(
      model: layers, pictures: pictures, context: context, tokenizer: tokenizer,
      stopTokens: Set(defaults.stopTokens), file: container.path,
      checkWeights: { try container.checkUnchanged() })
  }

  /// What keeps an answer to `format`; nil where that allows anything. Those used last are kept, with
  /// what was found out about the vocabulary.
  ///
  /// - Throws: `VLMZError` with `.invalidArgument` for a format that cannot be read; `GenerationError` for
  ///   a file without a tokenizer.
  package func grammar(of format: AnswerFormat) throws -> GrammarMatcher? {
    if format == .text { return nil }
    guard let grammars else { throw GenerationError(file: container.path, .noTokenizer) }
    return try grammars.matcher(of: format)
  }

  /// - Throws: `ContainerError` when the weights are no longer what they were.
  package func checkWeights() throws { try container.checkUnchanged() }

  // MARK: - Pictures

  /// What the tower sees of a picture.
  ///
  /// - Throws: `GenerationError` for a model that sees no pictures, or for a size that cannot be;
  ///   `ImageError` for one too large.
  package func prepare(
    _ image: any PixelSource, name: String, geometry: PictureGeometry = PictureGeometry(),
    limits: ImageLimits = ImageLimits()
  ) throws -> PreparedPicture {
    let (model, preprocessing) = try sighted()
    var steps = preprocessing
    let step = model.config.tower.geometry.stride
    try requireOwnTiles(preprocessing, geometry)
    if let side = geometry.resolution {
      let range = step...16_384
      guard range.contains(side) else {
        throw GenerationError(
          .setting(
            .resolution, found: "\(side)",
            expected: "\(range.lowerBound) to \(range.upperBound)"))
      }
      steps = steps.resized(toSide: side)
    }
    if geometry.keepsAspect {
      guard model.config.tower.geometry.takesAnyAspect, let side = steps.resolution else {
        throw GenerationError(
          .setting(.keepsAspect, found: "a tower for squares", expected: "one of any shape"))
      }
      steps = steps.keepingAspect(
        ofWidth: image.width, height: image.height, side: side, step: step)
    }
    return try steps.prepare(
      image, name: name, limits: limits, isOneOfSeveral: geometry.isOneOfSeveral,
      isFrame: geometry.isFrame)
  }

  /// Which tiles a picture is cut into is a part of what such a model has learned.
  private func requireOwnTiles(
    _ steps: Preprocessing, _ geometry: PictureGeometry
  ) throws(GenerationError) {
    guard steps.tiling != nil else { return }
    let settings: [(Setting, isGiven: Bool)] = [
      (.resolution, geometry.resolution != nil), (.keepsAspect, geometry.keepsAspect),
    ]
    for (setting, isGiven) in settings where isGiven {
      throw GenerationError(
        file: container.path,
        .setting(
          setting, found: "a model that cuts pictures into tiles of its own size",
          expected: "one that sees a picture as one"))
    }
  }

  /// The visual tokens of a picture, in memory of their own. Whoever keeps them need not encode it
  /// again.
  ///
  /// - Parameter cancelled: looked at before each of the tower's layers.
  /// - Throws: `ModelError` when the picture is too small for the tower or too large for memory, or
  ///   when the tower makes no numbers of it, or was cancelled; `GenerationError` for a model that sees no pictures.
  package func encode(
    _ picture: PreparedPicture, pool: WorkerPool, cancelled: CancellationFlag? = nil,
    observe: TowerObserver? = nil
  ) throws -> VisualTokens {
    let (model, _) = try sighted()
    let tokens = try model.encode(
      picture.inputs, layout: picture.layout, pool: pool, cancelled: cancelled, observe: observe)
    try container.checkUnchanged()
    try tokens.rows.requireFinite("visual tokens")
    return try marks?.arranged(tokens, picture.layout) ?? tokens
  }

  private func sighted() throws(GenerationError) -> (LLaVA, Preprocessing) {
    guard let pictures, let preprocessing else {
      throw GenerationError(
        file: container.path, .setting(.picture, found: "a picture", expected: "text alone"))
    }
    return (pictures, preprocessing)
  }
}

/// What the user may ask of a picture's size.
package struct PictureGeometry: Sendable, Equatable {
  /// The short side of the tower's input; nil for the model's own.
  package var resolution: Int?
  /// The whole picture in its own proportions, instead of padding or cropping it to a square.
  package var keepsAspect: Bool
  /// Whether the picture shares its prompt with others: some models see each of several less finely.
  package var isOneOfSeveral: Bool
  /// Whether the picture is a frame of a film.
  package var isFrame = false

  package init(resolution: Int? = nil, keepsAspect: Bool = false, isOneOfSeveral: Bool = false) {
    self.resolution = resolution
    self.keepsAspect = keepsAspect
    self.isOneOfSeveral = isOneOfSeveral
  }
}

extension PreparedPicture {
  /// The tiles as towers take them.
  package var inputs: [TowerInput] {
    tiles.enumerated().map { index, tile in
      TowerInput(
        tile.values, height: tile.height, width: tile.width,
        valid: layout.valid.isEmpty ? nil : layout.valid[index])
    }
  }
}
