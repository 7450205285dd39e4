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
  let pool: WorkerPool
  let gate = CallGate()
  /// Made when it is first needed, as a model that answers has none.
  private var vision: VisionSession?

  /// A session with nothing in memory.
  ///
  /// - Parameters:
  ///   - model: any model; what it cannot do is refused when it is asked for.
  ///   - options: how to compute.
  /// - Throws: `VLMZError` with `.invalidArgument` for a number of threads out of range.
  public init(of model: Model, options: Options = Options()) throws(VLMZError) {
    self.model = model
    pool = try model.pool(threads: options.threads)
  }

  /// Ends the call that is running, from any thread: it throws `.cancelled` when the picture that is
  /// computed is done. Without a call it does nothing.
  public func cancel() { gate.cancel() }

  /// Runs `body` if nothing else is running and the model can do what is needed.
  func enter<R>(
    _ needed: Capabilities, _ doing: String, _ flag: CancellationFlag,
    _ body: (VisionSession) throws -> R
  ) throws(VLMZError) -> R {
    try gate.enter(flag) { _ in
      guard model.capabilities.isSuperset(of: needed) else {
        throw VLMZError(
          .notCapable,
          "\(model.path.escapedForDisplay()): found '\(model.architecture)', expected a model that "
            + doing)
      }
      if let vision { return try body(vision) }
      let made = try VisionSession(model.container, kernels: model.kernels, pool: pool)
      vision = made
      return try body(made)
    }
  }

  /// What the model makes of pictures, in their order, batch by batch: neighbours of one size share the
  /// cost of reading the weights.
  func run(
    _ images: [Image], _ vision: VisionSession, _ flag: CancellationFlag,
    progress: (Int, Int) -> Void
  ) throws -> [VisionSession.Result] {
    var results: [VisionSession.Result] = []
    var batch: [PixelTensor] = []
    func flush() throws {
      guard !batch.isEmpty else { return }
      try flag.check()
      let full = batch
      batch = []
      results += try vision.run(consume full)
      try flag.check()
      progress(results.count, images.count)
    }
    for image in images {
      try flag.check()
      let channels = vision.preprocessing.color.channels
      guard channels == vision.inputChannels else {
        throw VLMZError(
          .notCapable, "\(image.name.escapedForDisplay()): found a picture, expected "
            + "\(vision.inputChannels) channels, which no picture has")
      }
      let pixels = try image.withSource {
        try vision.preprocessing.apply($0, name: image.name, limits: image.limits)
      }
      if let first = batch.first, first.height != pixels.height || first.width != pixels.width {
        try flush()
      }
      batch.append(pixels)
      if batch.count >= vision.batchSize(height: pixels.height, width: pixels.width) { try flush() }
    }
    try flush()
    return results
  }
}
