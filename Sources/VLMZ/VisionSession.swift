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
  package let openCLIP: OpenCLIP?
  private let model: ImageEncoder
  private var context: ConvNeXtContext?
  private var clipContext: CLIPViTContext?
  private var textContext: TextTower.Context?
  private var textTokenizer: Tokenizer?
  /// The embeddings of the texts that images are likened to, each of length 1.
  package private(set) var labelEmbeddings: [[Float]] = []
  /// The same before their norm, and the ids that they were made of.
  package private(set) var rawLabelEmbeddings: [[Float]] = []
  package private(set) var labelIDs: [[Int]] = []
  private let wideElements: Int

  /// - Parameter wideElements: see `ConvNeXtContext`.
  /// - Throws: `ContainerError`, `ModelError` when the file is damaged or is not its own model.
  package convenience init(
    path: String, kernels: KernelSet, threads: Int,
    wideElements: Int = ConvNeXtContext.defaultWideElements
  ) throws {
    try self.init(
      try Container.open(path: path), kernels: kernels, pool: WorkerPool(threadCount: threads),
      wideElements: wideElements)
  }

  /// The same of a container that is open.
  package init(
    _ container: Container, kernels: KernelSet, pool: WorkerPool,
    wideElements: Int = ConvNeXtContext.defaultWideElements
  ) throws {
    let file = container.path
    self.container = container
    description = try container.modelDescription()
    let source = ContainerWeights(container)
    let weights = Weights(source, kernels: kernels)
    var openCLIP: OpenCLIP?
    switch description {
    case .convNeXt(let config):
      model = .convNeXt(try ModelError.inFile(file) { try ConvNeXt(weights, config) })
    case .clipViT(let config):
      model = .clipViT(try ModelError.inFile(file) { try CLIPViT(weights, config) })
    case .openCLIP(let config):
      let both = try ModelError.inFile(file) { try OpenCLIP(weights, config) }
      openCLIP = both
      model = both.image
    case .llama, .llava:
      throw ModelError(
        file: file,
        .configuration(
          field: "architecture", found: "'\(description.architecture)'",
          expected: "an image model, such as 'convnext'"))
    }
    self.openCLIP = openCLIP
    try source.requireAllUsed()
    preprocessing = try container.preprocessing(of: description)
    let stated = try container.labels(of: description)
    labels = stated?.names
    scores = stated?.scores ?? .softmax
    self.kernels = kernels
    self.wideElements = wideElements
    self.pool = pool
  }

  /// The geometry of the image tower, where that is a ConvNeXt.
  package var config: ConvNeXtConfig? {
    if case .convNeXt(let model) = model { model.config } else { nil }
  }

  /// Channels of an image as the model sees it.
  package var inputChannels: Int { config?.inputChannels ?? 3 }

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
    let results =
      switch model {
      case .convNeXt(let model): try run(model, images, observe)
      case .clipViT(let model): try run(model, images, observe)
      }
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
    _ model: ConvNeXt, _ images: consuming [PixelTensor], _ observe: Observer?
  ) throws -> [Result] {
    let (config, count) = (model.config, images.count)
    guard let (height, width) = images.first.map({ ($0.height, $0.width) }) else { return [] }
    precondition(images.allSatisfy { $0.height == height && $0.width == width }, "one size")
    let shape = FeatureShape(
      batch: count, height: height, width: width, channels: config.inputChannels)
    let context = try prepare(config, shape)
    let input = context.input(shape)
    let rows = height * width
    for (index, image) in images.enumerated() {
      input[index * rows..<(index + 1) * rows].assign(image.values)
    }
    // A caller that gave them up has them in memory once, not twice.
    images = []
    if let observe { Self.show("pixel_values", input, shape, observe) }
    let output = try model(shape, context) { name, value, shape in
      if let observe { Self.show(name, value, shape, observe) }
    }
    let classes =
      config.head.output?.meaning == .classes ? config.head.output?.count ?? 0 : 0
    return (0..<count).map { index in
      let logits = output.logits.flatMap { values in
        classes > 0 ? Array(values[index * classes..<(index + 1) * classes]) : nil
      }
      let width = output.embeddingCount
      let embedding = Array(output.embedding[index * width..<(index + 1) * width])
      return Result(logits: logits ?? similarity(embedding), embedding: embedding)
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

  /// A context with room for `shape`, kept from call to call.
  private func prepare(
    _ config: ConvNeXtConfig, _ shape: FeatureShape
  ) throws -> ConvNeXtContext {
    if let context, context.capacity == shape { return context }
    context = nil
    let made = try ConvNeXtContext(
      config, capacity: shape, pool: pool, kernels: kernels,
      wideElements: wideElements)
    context = made
    return made
  }

  /// One image after the other: a transformer's rows fill the machine.
  private func run(
    _ model: CLIPViT, _ images: consuming [PixelTensor], _ observe: Observer?
  ) throws -> [Result] {
    var results: [Result] = []
    for image in images {
      let context: CLIPViTContext
      if let clipContext, clipContext.height == image.height, clipContext.width == image.width {
        context = clipContext
      } else {
        context = try CLIPViTContext(
          model.config, height: image.height, width: image.width, format: model.keyValueFormat,
          pool: pool, kernels: kernels)
      }
      clipContext = context
      observe?("pixel_values", [1, 3, image.height, image.width], image.channelsFirst())
      context.pixels.assign(image.values)
      let selected = "hidden.\(model.config.encoder.layers - 1)"
      let tokens = model(context) { name, value in
        guard let observe else { return }
        func show(_ name: String, _ value: MatrixView) {
          observe(name, [1, value.rows, value.columns], value.array())
        }
        show(name, value)
        // What LLaVA takes of such a tower.
        if name == selected {
          show("select_layer_-2_patch", value[value.rows - context.grid.count..<value.rows])
        }
      }
      let feature = model.feature(tokens, context)
      observe?("last_hidden_state", [1, tokens.rows, tokens.columns], tokens.array())
      let pooled = feature.array()
      observe?("pooler_output", [1, pooled.count], pooled)
      let joint = model.project(pooled)
      let classes = model.classify(joint ?? pooled)
      if let classes { observe?("logits", [1, classes.count], classes) }
      guard let joint else {
        results.append(Result(logits: classes, embedding: pooled))
        continue
      }
      observe?("image_embedding_raw", [1, joint.count], joint)
      let embedding = ZeroShot.normalised(joint)
      results.append(Result(logits: classes ?? similarity(embedding), embedding: embedding))
    }
    return results
  }

  /// Whether embeddings lie in a space that images share with texts.
  package var isJoint: Bool {
    if case .clipViT(let model) = model { return model.config.projection != nil }
    return openCLIP != nil
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
    guard let tokenizer = try tokenizer() else {
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

  /// As many ids as the text tower reads: cut or padded.
  ///
  /// - Throws: as `classify(as:templates:)`.
  func ids(of text: String) throws -> [Int] {
    guard let length = openCLIP?.text.config.contextLength else { throw notTextual }
    guard let tokenizer = try tokenizer() else {
      throw GenerationError(file: container.path, .noTokenizer)
    }
    return try tokenizer.encodePadded(text, length: length)
  }

  /// The container's, read once.
  private func tokenizer() throws -> Tokenizer? {
    if let read = textTokenizer { return read }
    textTokenizer = try container.tokenizer(of: description)
    return textTokenizer
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

  private static func show(
    _ name: String, _ value: MatrixView, _ shape: FeatureShape, _ observe: Observer
  ) {
    let channels = shape.channels
    let isVector =
      ["pooled", "head_norm", "pre_logits", "logits"].contains(name) || name.hasPrefix("head.")
    if isVector {
      observe(name, [shape.batch, channels], value.array())
      return
    }
    observe(
      name, [shape.batch, channels, shape.height, shape.width], value.channelsFirst(shape))
  }
}
