import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor

/// One caller's use of a model that looks at pictures: its working memory and its cancellation.
///
/// Memory for intermediates is kept from call to call, so pictures of one size are fastest. A session
/// does one thing at a time: a call while another runs is refused with `.busy`. `cancel()` may be
/// called from any thread. Several sessions of one model may run at once, each on its own thread.
public final class Session: @unchecked Sendable {
  /// How a session computes.
  public struct Options: Sendable, Equatable {
    /// Threads of the session's own, 1 to 1024; nil to share the model's.
    public var threads: Int?

    /// Options that differ from the defaults where they are given.
    public init(threads: Int? = nil) { self.threads = threads }
  }

  /// The model that is used.
  public let model: Model
  package let pool: WorkerPool
  let gate = CallGate()
  let towerOptions: TowerOptions
  /// Memory for pictures of the last size.
  var context: (any TowerContext)?
  /// Memory for texts.
  var textContext: TextTower.Context?
  /// Texts that take the place of the model's classes; see `setTextClasses`.
  package internal(set) var texts: LabelTexts?
  /// What is made of the outputs: what the file says, unless the caller wants it otherwise.
  package var scores: Scores

  /// A session with nothing in memory.
  ///
  /// - Parameters:
  ///   - model: any model; what it cannot do is refused when it is asked for.
  ///   - options: how to compute.
  /// - Throws: `VLMZError` with `.invalidArgument` for a number of threads out of range.
  public convenience init(of model: Model, options: Options = Options()) throws(VLMZError) {
    self.init(model, pool: try model.pool(threads: options.threads), TowerOptions())
  }

  /// A session of an image model in a file, with threads of its own.
  ///
  /// - Parameter wideElements: see `TowerOptions`.
  /// - Throws: `ContainerError`, `ModelError` when the file is damaged, is not its own model, or makes
  ///   no vectors of pictures.
  package convenience init(
    path: String, kernels: KernelSet, threads: Int,
    wideElements: Int = ConvNeXtContext.defaultWideElements
  ) throws {
    let model = try Model(path: path, kernels: kernels, threads: threads)
    _ = try model.requireVision()
    self.init(model, pool: model.pool, TowerOptions(wideElements: wideElements))
  }

  private init(_ model: Model, pool: WorkerPool, _ towerOptions: TowerOptions) {
    self.model = model
    self.pool = pool
    self.towerOptions = towerOptions
    scores = model.vision?.labels?.scores ?? .softmax
  }

  /// Ends the call that is running, from any thread: it throws `.cancelled` when the layer or the text
  /// that is computed is done. Without a call it does nothing.
  public func cancel() { gate.cancel() }

  /// Runs `body` if nothing else is running and the model can do what is needed.
  ///
  /// - Parameter doing: what such a model does, for the error.
  func enter<R>(
    _ needed: Capabilities, _ doing: String, _ flag: CancellationFlag,
    _ body: (VisionModel) throws -> R
  ) throws(VLMZError) -> R {
    try gate.enter(flag) { _ in
      // A text tower without a tokenizer says so itself.
      let able =
        model.vision?.clip == nil
        ? model.capabilities : model.capabilities.union([.embedsTexts, .classifiesByText])
      guard able.isSuperset(of: needed), let vision = model.vision else {
        throw VLMZError(
          .notCapable,
          "\(model.path.escapedForDisplay()): found '\(model.architecture)', expected a model that "
            + doing)
      }
      return try body(vision)
    }
  }

  /// What the model makes of pictures, in their order, batch by batch: neighbours of one size share the
  /// cost of reading the weights.
  func run(
    _ images: [Image], _ vision: VisionModel, _ flag: CancellationFlag,
    progress: (_ done: Int, _ of: Int) -> Void
  ) throws -> [ImageVector] {
    var results: [ImageVector] = []
    var batch: [PixelTensor] = []
    func flush() throws {
      guard !batch.isEmpty else { return }
      try flag.check()
      let full = batch
      batch = []
      let name = full.count == 1 ? images[results.count].name : model.path
      do { results += try runEach(consume full, cancelled: flag).map { try $0.get() } } catch let
        error
        as ModelError where error.file == nil
      {
        throw ModelError(file: name, error.problem)
      }
      try flag.check()
      progress(results.count, images.count)
    }
    for image in images {
      try flag.check()
      let pixels = try pixels(of: image, vision)
      if let first = batch.first, first.height != pixels.height || first.width != pixels.width {
        try flush()
      }
      batch.append(pixels)
      if batch.count >= batchSize(height: pixels.height, width: pixels.width) { try flush() }
    }
    try flush()
    return results
  }

  /// The model's input for a picture.
  ///
  /// - Throws: `.notCapable` for a model that sees other channels; `ImageError`.
  func pixels(of image: Image, _ vision: VisionModel) throws -> PixelTensor {
    let (steps, channels) = (vision.preprocessing, vision.config.geometry.inputChannels)
    guard steps.color.channels == channels else {
      throw VLMZError(
        .notCapable,
        "\(image.name.escapedForDisplay()): found a picture, expected \(channels) channels, as the "
          + "model sees them")
    }
    return try image.withSource {
      try steps.apply($0, name: image.name, limits: image.limits)
    }
  }
}
