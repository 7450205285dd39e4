import VLMFoundation
import VLMTensor

/// A FastViT with the memory of a pass over pictures of one size: a convolutional tower's, and what
/// attention needs.
final class FastViTContext: ConvolutionContext, TowerContext, @unchecked Sendable {
  private let model: FastViT
  let plan: FastViTPlan
  let input: FeatureShape
  private let pixelMemory: Activations
  /// By the stage's index.
  private let transformers: [Int: TransformerContext]

  /// - Throws: `ModelError` when the picture needs more memory than the machine has.
  init(
    _ model: FastViT, _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet,
    wideElements: Int
  ) throws(ModelError) {
    let format = model.keyValueFormat
    let plan = try FastViTPlan(model.config, input: input, wideElements: wideElements)
    try MemoryLimit.check(
      plan.byteCount(threads: pool.threadCount, format), height: input.height, width: input.width)
    (self.model, self.plan, self.input) = (model, plan, input)
    pixelMemory = Activations(count: input.elementCount)
    transformers = plan.attention.mapValues { stage in
      TransformerContext(
        stage.config, rows: stage.rows, inputs: 1, format: format, pool: pool, kernels: kernels)
    }
    super.init(plan.sizes, pool: pool, kernels: kernels)
  }

  var pixels: MatrixView { pixelMemory.matrix(rows: input.rows, columns: input.channels) }

  func transformer(_ stage: Int) -> TransformerContext {
    guard let memory = transformers[stage] else { preconditionFailure("planned for attention") }
    return memory
  }

  /// Room for an MLP that runs layer by layer: `[rows, channels]` and `[rows, hidden]`; nil for a
  /// large one.
  func wide(rows: Int, channels: Int, hidden: Int) -> (MatrixView, MatrixView)? {
    guard plan.isWide(rows: rows, hidden: hidden) else { return nil }
    return wideMatrices(rows: rows, channels: channels, hidden: hidden)
  }

  // MARK: - Passes

  func features(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> FeatureGrid {
    let map = try model.map(self, cancelled: cancelled, observe: observe)
    return FeatureGrid(view: map.view, shape: map.shape)
  }

  func vectors(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> [ImageVector] {
    let pooled = pooled(
      try model.map(self, cancelled: cancelled, observe: observe), observe)
    guard let head = model.config.head, let logits = model.logits(pooled) else {
      return [ImageVector(embedding: pooled)]
    }
    observe.show(ConvolutionPoint.logits, logits)
    return switch head.kind {
    case .classes: [ImageVector(embedding: pooled, logits: logits)]
    case .embedding: [ImageVector(embedding: logits.unitLength)]
    }
  }
}

// MARK: - Layers over whole maps

extension FastViTContext {
  /// A GELU in place.
  func activate(_ x: MatrixView) {
    let kernels = kernels
    forRows(x.rows) { kernels.activate(.gelu, x[$0]) }
  }

  func convolve(_ x: FeatureMap, _ convolution: GroupedConvolution) -> FeatureMap {
    let y = nextMap(
      FeatureShape(
        batch: 1, height: convolution.outputExtent(x.shape.height),
        width: convolution.outputExtent(x.shape.width), channels: convolution.outputs))
    convolve(x, convolution, into: y)
    return y
  }

  func depthwise(_ x: FeatureMap, _ convolution: DepthwiseConvolution) -> FeatureMap {
    let y = nextMap(x.shape)
    let tiles = LineTiles(
      x.shape, threads: pool.threadCount, maximumLines: ConvolutionSizes.lines)
    pool.forEach(count: tiles.count) { piece, _ in
      convolution(
        x.view, height: x.shape.height, width: x.shape.width, lines: tiles[piece],
        into: y.view[tiles.rows(piece)])
    }
    return y
  }

  /// A pointwise convolution.
  func multiply(
    _ convolution: PatchConvolution, _ x: MatrixView, into y: MatrixView, activation: Activation
  ) {
    guard !sharesProduct(rows: x.rows, inputs: x.columns) else {
      return convolution(
        x, into: y, activation: activation, shared: sharedProduct, scratches: products, pool: pool)
    }
    forPointRows(x.rows) { rows, scratch in
      convolution(x[rows], into: y[rows], activation: activation, scratch)
    }
  }
}
