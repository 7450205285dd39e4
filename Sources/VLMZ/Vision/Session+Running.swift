import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor

// What the commands use beside the public calls: pictures that are prepared already, intermediates,
// errors of the modules below.

extension Session {
  package var container: Container { model.container }
  package var description: ModelDescription { model.description }
  package var kernels: KernelSet { model.kernels }
  /// The text tower that goes with the image tower, of a model that has both.
  package var clip: CLIP? { model.vision?.clip }
  /// From a picture to the model's input: the file's own steps, or timm's.
  package var preprocessing: Preprocessing { model.vision?.preprocessing ?? .timmDefault }
  /// Channels of a picture as the model sees it.
  package var inputChannels: Int { model.vision?.config.geometry.inputChannels ?? 3 }
  /// One name per class, where the model has them, or the texts of `setTextClasses`.
  package var labels: [String]? { texts?.labels ?? model.vision?.labels?.names }

  /// Runs pictures of one size as one batch; they are let go as soon as they are copied.
  ///
  /// - Throws: `ModelError` when they are too small for the model or too large for memory, or when it
  ///   makes no numbers of one of them; `FileError` when the file has changed meanwhile.
  package func run(
    _ images: consuming [PixelTensor], observe: TowerObserver? = nil
  ) throws -> [ImageVector] {
    try runEach(images, observe: observe).map { try $0.get() }
  }

  /// The same, with an error in the place of each picture that the model makes no numbers of. Logits
  /// are the similarities to the texts of `setTextClasses`, where there are any.
  ///
  /// - Parameter cancelled: looked at before each layer.
  /// - Throws: `ModelError` when the pictures are too small for the model or too large for memory, or
  ///   when the pass was cancelled.
  package func runEach(
    _ images: consuming [PixelTensor], cancelled: CancellationFlag? = nil,
    observe: TowerObserver? = nil
  ) throws -> [Result<ImageVector, any Error>] {
    let vision = try model.requireVision()
    try checkChannels(images)
    let results = try run(vision, images, cancelled, observe)
    try container.checkUnchanged()
    return results.map { result in
      Result {
        var result = result
        result.logits = result.logits ?? similarity(result.embedding)
        try result.logits?.requireFinite("logits")
        try result.embedding.requireFinite("embedding")
        return result
      }
    }
  }

  private func run(
    _ vision: VisionModel, _ images: consuming [PixelTensor], _ cancelled: CancellationFlag?,
    _ observe: TowerObserver?
  ) throws -> [ImageVector] {
    guard let (height, width) = images.first.map({ ($0.height, $0.width) }) else { return [] }
    let limit = vision.config.geometry.maximumBatch ?? images.count
    precondition(
      limit == 1 || images.allSatisfy { $0.height == height && $0.width == width }, "one size")
    if images.count <= limit { return try pass(vision, images, cancelled, observe) }
    var results: [ImageVector] = []
    for image in images { results += try pass(vision, [image], cancelled, observe) }
    return results
  }

  /// One pass over pictures of one size.
  private func pass(
    _ vision: VisionModel, _ images: consuming [PixelTensor], _ cancelled: CancellationFlag?,
    _ observe: TowerObserver?
  ) throws -> [ImageVector] {
    let context = try context(
      vision,
      FeatureShape(
        batch: images.count, height: images[0].height, width: images[0].width,
        channels: images[0].channels))
    let input = context.pixels
    let rows = context.input.height * context.input.width
    for (index, image) in images.enumerated() {
      input[index * rows..<(index + 1) * rows].assign(image.values)
    }
    // A caller that gave them up has them in memory once, not twice.
    images = []
    observe?(Observation(InputPoint.pixels, input, .map(context.input)))
    return try context.vectors(observe: observe, cancelled: cancelled)
  }

  private func checkChannels(_ images: [PixelTensor]) throws(ModelError) {
    for image in images where image.channels != inputChannels {
      throw ModelError(
        file: container.path,
        .image(
          found: counted(image.channels, "channel"), expected: "\(inputChannels), the model's"))
    }
  }

  /// Pictures of this size that one batch should hold: small ones share the cost of reading the
  /// weights, large ones fill the machine alone.
  package func batchSize(height: Int, width: Int) -> Int {
    max(1, min(64, (512 * 512) / max(1, height * width)))
  }

  /// A context for `shape`, kept from call to call.
  private func context(
    _ vision: VisionModel, _ shape: FeatureShape
  ) throws(ModelError) -> any TowerContext {
    if let context, context.input == shape { return context }
    context = nil
    let made = try vision.tower.context(shape, pool: pool, kernels: kernels, options: towerOptions)
    context = made
    return made
  }

  private func similarity(_ embedding: [Float]) -> [Float]? {
    guard let clip, let texts else { return nil }
    return ZeroShot.logits(
      image: embedding, texts: texts.embeddings, scale: clip.scale, bias: clip.bias)
  }
}
