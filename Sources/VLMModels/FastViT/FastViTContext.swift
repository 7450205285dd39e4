import VLMFoundation
import VLMTensor

/// A FastViT with the memory of a pass over pictures of one size: two maps to read and write in
/// turn, for each thread the space of one tile, and what attention needs.
final class FastViTContext: TowerContext, @unchecked Sendable {
  private let model: FastViT
  let plan: FastViTPlan
  let pool: WorkerPool
  let input: FeatureShape
  private let pixelMemory: Activations
  private let maps: [Activations]
  /// The map that was written last.
  private var current = 0
  private let scratches: [Scratch]
  /// Branch and inner layer of the largest MLP that runs layer by layer, and its quantized rows.
  private let wideBranch: Activations
  private let wideHidden: Activations
  let sharedProduct: MatrixProduct.Scratch
  /// By the stage's index.
  private let transformers: [Int: TransformerContext]

  /// What one thread needs for one tile.
  final class Scratch: @unchecked Sendable {
    let branch: Activations
    let hidden: Activations
    /// Of a convolution with groups.
    let lines: Activations
    let product: MatrixProduct.Scratch

    init(_ plan: FastViTPlan, kernels: KernelSet) {
      branch = Activations(count: plan.branchCount)
      hidden = Activations(count: plan.hiddenCount)
      lines = Activations(count: plan.linesCount)
      product = MatrixProduct.Scratch(
        rows: plan.tileRows, maximumInputs: plan.maximumInputs, kernels: kernels)
    }
  }

  /// - Throws: `ModelError` when the picture needs more memory than the machine has.
  init(
    _ model: FastViT, _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet,
    wideElements: Int
  ) throws(ModelError) {
    let format = model.keyValueFormat
    let plan = try FastViTPlan(model.config, input: input, wideElements: wideElements)
    try MemoryLimit.check(
      plan.byteCount(threads: pool.threadCount, format), height: input.height, width: input.width)
    (self.model, self.plan, self.pool, self.input) = (model, plan, pool, input)
    pixelMemory = Activations(count: input.elementCount)
    maps = [Activations(count: plan.mapCount), Activations(count: plan.mapCount)]
    scratches = (0..<pool.threadCount).map { _ in Scratch(plan, kernels: kernels) }
    wideBranch = Activations(count: plan.wideBranchCount)
    wideHidden = Activations(count: plan.wideHiddenCount)
    sharedProduct = MatrixProduct.Scratch(
      rows: plan.wideRows, maximumInputs: plan.wideInputs, kernels: kernels)
    transformers = plan.attention.mapValues { stage in
      TransformerContext(
        stage.config, rows: stage.rows, inputs: 1, format: format, pool: pool, kernels: kernels)
    }
  }

  var kernels: KernelSet { model.kernels }
  var pixels: MatrixView { pixelMemory.matrix(rows: input.rows, columns: input.channels) }
  /// What each thread needs for products, in the order of the pool's workers.
  var products: [MatrixProduct.Scratch] { scratches.map(\.product) }

  func scratch(_ worker: Int) -> Scratch { scratches[worker] }

  func transformer(_ stage: Int) -> TransformerContext {
    guard let memory = transformers[stage] else { preconditionFailure("planned for attention") }
    return memory
  }

  /// Room for a map beside the one that was written last, which stays readable until the next call.
  func nextMap(_ shape: FeatureShape) -> FeatureMap {
    current = 1 - current
    return FeatureMap(
      view: maps[current].matrix(rows: shape.rows, columns: shape.channels), shape: shape)
  }

  /// Room for an MLP that runs layer by layer: `[rows, channels]` and `[rows, hidden]`; nil for a
  /// large one.
  func wide(rows: Int, channels: Int, hidden: Int) -> (MatrixView, MatrixView)? {
    guard plan.isWide(rows: rows, hidden: hidden) else { return nil }
    return (
      wideBranch.matrix(rows: rows, columns: channels),
      wideHidden.matrix(rows: rows, columns: hidden)
    )
  }

  // MARK: - Passes

  func features(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> FeatureGrid {
    let map = try model.map(self, cancelled: cancelled, observe: observe)
    observe?(Observation(FastViTPoint.features, map.view, .map(map.shape)))
    return FeatureGrid(view: map.view, shape: map.shape)
  }

  func vectors(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> [ImageVector] {
    let map = try model.map(self, cancelled: cancelled, observe: observe)
    observe?(Observation(FastViTPoint.features, map.view, .map(map.shape)))
    let memory = Activations(count: map.shape.channels)
    defer { withExtendedLifetime(memory) {} }
    let mean = memory.matrix(rows: 1, columns: map.shape.channels)
    kernels.meanOfRows(map.view, into: mean)
    observe?(Observation(FastViTPoint.pooled, mean, .vectors))
    let pooled = mean.array()
    guard let head = model.config.head, let logits = model.logits(pooled) else {
      return [ImageVector(embedding: pooled)]
    }
    observe.show(FastViTPoint.logits, logits)
    return switch head.kind {
    case .classes: [ImageVector(embedding: pooled, logits: logits)]
    case .embedding: [ImageVector(embedding: logits.unitLength)]
    }
  }
}

// MARK: - Layers over whole maps

extension FastViTContext {
  /// Rows of a tile whose widest matrix has `columns` columns: about 1 MiB, which stays in cache.
  static func tileRows(columns: Int) -> Int { ConvNeXtContext.tileRows(columns: columns) }
  /// Lines that a convolution makes at a time: with fewer, most of what it reads are the lines
  /// around them; with more, what it makes leaves the cache.
  static let groupLines = 8
  /// Positions that an elementwise layer takes at a time.
  private static let step = 256

  /// Runs `body` on pieces of `rows` rows, in parallel.
  func forRows(_ rows: Int, _ body: @Sendable (Range<Int>) -> Void) {
    let step = Self.step
    pool.forEach(count: (rows + step - 1) / step) { piece, _ in
      body(piece * step..<min(rows, (piece + 1) * step))
    }
  }

  /// A GELU in place.
  func activate(_ x: MatrixView) {
    let kernels = kernels
    forRows(x.rows) { kernels.activate(.gelu, x[$0]) }
  }

  func convolve(_ x: FeatureMap, _ convolution: GroupedConvolution) -> FeatureMap {
    let (height, width) = (x.shape.height, x.shape.width)
    let shape = FeatureShape(
      batch: 1, height: convolution.outputExtent(height),
      width: convolution.outputExtent(width), channels: convolution.outputs)
    let y = nextMap(shape)
    let tiles = LineTiles(shape, threads: pool.threadCount, maximumLines: Self.groupLines)
    pool.forEach(count: tiles.count) { piece, worker in
      convolution(
        x.view, from: 0, height: height, width: width, lines: tiles[piece],
        into: y.view[tiles.rows(piece)], scratch: scratch(worker).lines)
    }
    return y
  }

  func depthwise(_ x: FeatureMap, _ convolution: DepthwiseConvolution) -> FeatureMap {
    let y = nextMap(x.shape)
    let tiles = LineTiles(x.shape, threads: pool.threadCount, maximumLines: Self.groupLines)
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
    if x.rows <= plan.wideRows, x.columns <= plan.wideInputs {
      convolution(
        x, into: y, activation: activation, shared: sharedProduct, scratches: products, pool: pool)
      return
    }
    let step = FastViTPlan.pointRows
    pool.forEach(count: (x.rows + step - 1) / step) { piece, worker in
      let rows = piece * step..<min(x.rows, (piece + 1) * step)
      convolution(x[rows], into: y[rows], activation: activation, scratch(worker).product)
    }
  }
}
