import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText

/// A model opened from a container, ready to look at images.
///
/// Not thread-safe: one caller at a time; inside, the pool's threads share the work.
package final class VisionSession {
  package let container: Container
  package let description: ModelDescription
  package let preprocessing: Preprocessing
  /// One name per class, where the model has them, or those that the user gave.
  package private(set) var labels: [String]?
  /// What is made of the outputs: what the file says, unless the user wants it otherwise.
  package var scores: Scores
  package let kernels: KernelSet
  package let pool: WorkerPool
  /// The text tower that goes with the image tower, of a model that has both.
  package let openCLIP: CLIP?
  private let tower: any VisionTower
  private let towerConfig: any VisionTowerConfig
  private var context: (any TowerContext)?
  private var textContext: TextTower.Context?
  /// The embeddings of the texts that images are likened to, each of length 1.
  package private(set) var labelEmbeddings: [[Float]] = []
  /// The same before their norm, and the ids that they were made of.
  package private(set) var rawLabelEmbeddings: [[Float]] = []
  package private(set) var labelIDs: [[Int]] = []
  private let options: TowerOptions

  /// - Parameter wideElements: see `ConvNeXtContext`.
  /// - Throws: `ContainerError`, `ModelError` when the file is damaged or is not its own model.
  package convenience init(
    path: String, kernels: KernelSet, threads: Int,
    wideElements: Int = ConvNeXtContext.defaultWideElements
  ) throws {
    try self.init(
      try Container.open(path: path), kernels: kernels, threads: threads,
      wideElements: wideElements)
  }

  /// The same of a container that is open.
  package init(
    _ container: Container, kernels: KernelSet, threads: Int,
    wideElements: Int = ConvNeXtContext.defaultWideElements
  ) throws {
    let file = container.path
    self.container = container
    description = try container.modelDescription()
    let source = ContainerWeights(container)
    let weights = Weights(source, kernels: kernels)
    guard let image = description.config.image else {
      throw ModelError(
        file: file,
        .configuration(
          field: "architecture", found: "'\(description.architecture)'",
          expected: "an image model, such as 'convnext'"))
    }
    let config = description.config
    let openCLIP = try ModelError.inFile(file) {
      try (config as? CLIPConfig).map { try CLIP(weights, $0) }
    }
    towerConfig = image
    tower = try openCLIP?.image ?? ModelError.inFile(file) { try image.tower(weights) }
    self.openCLIP = openCLIP
    try source.requireAllUsed()
    preprocessing = try container.preprocessing(of: description)
    let stated = try container.labels(of: description)
    labels = stated?.names
    scores = stated?.scores ?? .softmax
    self.kernels = kernels
    options = TowerOptions(wideElements: wideElements)
    pool = WorkerPool(threadCount: threads)
  }

  /// Channels of an image as the model sees it.
  package var inputChannels: Int { towerConfig.geometry.inputChannels }

  /// What the model makes of one image.
  package struct Result: Sendable {
    /// One per class; nil for a model without classes.
    package let logits: [Float]?
    package let embedding: [Float]
  }

  /// Sees a named intermediate of one batch: the values channels first, `[batch, c, h, w]`, or
  /// `[batch, c]` for vectors.
  package typealias Observer = (_ name: String, _ shape: [Int], _ values: [Float]) -> Void

  /// Runs images of one size as one batch; they are let go as soon as they are copied.
  ///
  /// - Throws: `ModelError` when the images are too small for the model or too large for memory, or
  ///   when it makes no numbers of one of them; `FileError` when the file has changed meanwhile.
  package func run(
    _ images: consuming [PixelTensor], observe: Observer? = nil
  ) throws -> [Result] {
    try runEach(images, observe: observe).map { try $0.get() }
  }

  /// The same, with an error in the place of each image that the model makes no numbers of.
  ///
  /// - Throws: `ModelError` when the images are too small for the model or too large for memory.
  package func runEach(
    _ images: consuming [PixelTensor], observe: Observer? = nil
  ) throws -> [Swift.Result<Result, any Error>] {
    try checkChannels(images)
    let results = try run(images, observe)
    try container.checkUnchanged()
    return results.map { result in
      Swift.Result {
        try result.logits?.requireFinite("logits")
        try result.embedding.requireFinite("embedding")
        return result
      }
    }
  }

  private func run(
    _ images: consuming [PixelTensor], _ observe: Observer?
  ) throws -> [Result] {
    guard let (height, width) = images.first.map({ ($0.height, $0.width) }) else { return [] }
    let limit = towerConfig.geometry.maximumBatch ?? images.count
    precondition(
      limit == 1 || images.allSatisfy { $0.height == height && $0.width == width }, "one size")
    if images.count <= limit { return try pass(images, observe) }
    var results: [Result] = []
    for image in images { results += try pass([image], observe) }
    return results
  }

  /// One pass over images of one size.
  private func pass(
    _ images: consuming [PixelTensor], _ observe: Observer?
  ) throws -> [Result] {
    let context = try context(
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
    let show: TowerObserver? = observe.map { observe in
      { seen in
        let (shape, values) = seen.planar
        observe(seen.name, shape, values)
      }
    }
    show?(Observation(InputPoint.pixels, input, .map(context.input)))
    return try context.vectors(observe: show).map { vector in
      Result(
        logits: vector.logits ?? similarity(vector.embedding), embedding: vector.embedding)
    }
  }

  private func checkChannels(_ images: [PixelTensor]) throws(ModelError) {
    for image in images where image.channels != inputChannels {
      throw ModelError(
        file: container.path,
        .image(found: "\(image.channels) channels", expected: "\(inputChannels), the model's"))
    }
  }

  /// Images of this size that one batch should hold: small images share the cost of reading the
  /// weights, large ones fill the machine alone.
  package func batchSize(height: Int, width: Int) -> Int {
    max(1, min(64, (512 * 512) / max(1, height * width)))
  }

  /// A context for `shape`, kept from call to call.
  private func context(_ shape: FeatureShape) throws(ModelError) -> any TowerContext {
    if let context, context.input == shape { return context }
    context = nil
    let made = try tower.context(shape, pool: pool, kernels: kernels, options: options)
    context = made
    return made
  }

  /// Whether embeddings lie in a space that images share with texts.
  package var isJoint: Bool {
    openCLIP != nil || towerConfig.vector?.isProjected == true
  }

  /// Makes classes of texts: from now on an image's logits say how like each of them it is.
  ///
  /// - Parameter templates: texts in which `{}` stands for a label. Of several a label's embedding is
  ///   the mean of theirs, each of length 1, brought to length 1 again, as open_clip's
  ///   `build_zero_shot_classifier` makes it.
  /// - Returns: texts that are longer than the tower reads, and were cut.
  /// - Throws: `ModelError` for a model without a text tower, `GenerationError` for a file without
  ///   its tokenizer.
  @discardableResult
  package func classify(as texts: [String], templates: [String] = []) throws -> [String] {
    guard let length = openCLIP?.text.config.contextLength else { throw notTextual }
    guard let tokenizer = try container.tokenizer(of: description) else {
      throw GenerationError(file: container.path, .noTokenizer)
    }
    let filled = templates.isEmpty ? texts : texts.flatMap { ZeroShot.fill(templates, with: $0) }
    labelIDs = try filled.map { try tokenizer.encodePadded($0, length: length) }
    rawLabelEmbeddings = try rawEmbeddings(labelIDs)
    let embeddings = rawLabelEmbeddings.map { ZeroShot.normalised($0) }
    let count = max(1, templates.count)
    labelEmbeddings = texts.indices.map { index in
      count == 1
        ? embeddings[index] : ZeroShot.mean(embeddings[index * count..<(index + 1) * count])
    }
    labels = texts
    scores = .softmax
    return try filled.filter { try tokenizer.encode($0, bos: true, eos: true).count > length }
  }

  private func similarity(_ embedding: [Float]) -> [Float]? {
    guard let openCLIP, !labelEmbeddings.isEmpty else { return nil }
    return ZeroShot.logits(image: embedding, texts: labelEmbeddings, scale: openCLIP.scale)
  }

  private var notTextual: ModelError {
    ModelError(
      file: container.path,
      .configuration(
        field: "architecture", found: "'\(description.architecture)'",
        expected: "a CLIP with its text tower"))
  }

  /// The embeddings of texts in the space of the images', each of length 1.
  ///
  /// - Parameter ids: of each text, its end included.
  /// - Throws: `ModelError` for a model without a text tower, or ids that it cannot take.
  package func embed(texts ids: [[Int]]) throws -> [[Float]] {
    try rawEmbeddings(ids).map { ZeroShot.normalised($0) }
  }

  private func rawEmbeddings(_ ids: [[Int]]) throws -> [[Float]] {
    try ModelError.inFile(container.path) {
      guard let tower = openCLIP?.text else { throw notTextual }
      let context =
        try textContext
        ?? TextTower.Context(
          tower.config, format: tower.keyValueFormat, pool: pool, kernels: kernels)
      textContext = context
      let embeddings = try ids.map { try tower($0, context) }
      try container.checkUnchanged()
      for embedding in embeddings { try embedding.requireFinite("embedding of a text") }
      return embeddings
    }
  }
}
