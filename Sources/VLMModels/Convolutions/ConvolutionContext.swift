import VLMTensor

/// A feature map in the memory of a pass.
struct FeatureMap {
  let view: MatrixView
  let shape: FeatureShape
}

/// What one thread of a convolutional tower needs for one tile.
final class TileScratch: @unchecked Sendable {
  /// A block's branch: `[rows of a group of tiles, channels]`.
  let branch: Activations
  /// The hidden layer or the gathered windows: `[tile rows, hidden]`.
  let hidden: Activations
  /// Lines of a convolution with groups.
  let lines: Activations
  let product: MatrixProduct.Scratch

  init(_ sizes: ConvolutionSizes, kernels: KernelSet) {
    branch = Activations(count: sizes.branchCount)
    hidden = Activations(count: sizes.hiddenCount)
    lines = Activations(count: sizes.linesCount)
    product = MatrixProduct.Scratch(
      rows: sizes.tileRows, maximumInputs: sizes.maximumInputs, kernels: kernels)
  }
}

/// The memory of a pass of a convolutional tower: two maps to read and write in turn, for each thread
/// the space of one tile, and what products need that all threads share.
package class ConvolutionContext: @unchecked Sendable {
  package let pool: WorkerPool
  let kernels: KernelSet
  private let sizes: ConvolutionSizes
  private let maps: [Activations]
  /// The map that was written last.
  private var current = 0
  private let scratches: [TileScratch]
  /// Branch and hidden layer of the largest block that runs layer by layer.
  private let wideBranch: Activations
  private let wideHidden: Activations
  /// Quantized rows of a product that all threads share.
  let sharedProduct: MatrixProduct.Scratch

  init(_ sizes: ConvolutionSizes, pool: WorkerPool, kernels: KernelSet) {
    (self.sizes, self.pool, self.kernels) = (sizes, pool, kernels)
    maps = [Activations(count: sizes.mapCount), Activations(count: sizes.mapCount)]
    scratches = (0..<pool.threadCount).map { _ in TileScratch(sizes, kernels: kernels) }
    wideBranch = Activations(count: sizes.wideBranchCount)
    wideHidden = Activations(count: sizes.wideHiddenCount)
    sharedProduct = MatrixProduct.Scratch(
      rows: sizes.wideRows, maximumInputs: sizes.wideInputs, kernels: kernels)
  }

  func scratch(_ worker: Int) -> TileScratch { scratches[worker] }

  /// What each thread needs for products, in the order of the pool's workers.
  var products: [MatrixProduct.Scratch] { scratches.map(\.product) }

  /// Room for a map, where the first of a pass may lie.
  func firstMap(_ shape: FeatureShape) -> FeatureMap {
    current = 0
    return map(shape)
  }

  /// Room for a map beside the one that was written last, which stays readable until the next call.
  func nextMap(_ shape: FeatureShape) -> FeatureMap {
    current = 1 - current
    return map(shape)
  }

  private func map(_ shape: FeatureShape) -> FeatureMap {
    FeatureMap(
      view: maps[current].matrix(rows: shape.rows, columns: shape.channels), shape: shape)
  }

  /// Room for a block that runs layer by layer: `[rows, channels]` and `[rows, hidden]`.
  func wideMatrices(rows: Int, channels: Int, hidden: Int) -> (MatrixView, MatrixView) {
    (
      wideBranch.matrix(rows: rows, columns: channels),
      wideHidden.matrix(rows: rows, columns: hidden)
    )
  }

  /// Whether a product that all threads share has room for so many rows and columns.
  func sharesProduct(rows: Int, inputs: Int) -> Bool {
    rows <= sizes.wideRows && inputs <= sizes.wideInputs
  }

  // MARK: - Layers over whole maps

  /// Positions that an elementwise layer takes at a time.
  private static let step = 256

  /// Runs `body` on pieces of `rows` rows, in parallel.
  func forRows(_ rows: Int, _ body: @Sendable (Range<Int>) -> Void) {
    forRows(rows, step: Self.step) { part, _ in body(part) }
  }

  /// Runs `body` on pieces of the rows of a pointwise convolution, each with its thread's memory.
  func forPointRows(
    _ rows: Int, _ body: (Range<Int>, _ scratch: MatrixProduct.Scratch) -> Void
  ) {
    forRows(rows, step: ConvolutionSizes.pointRows) { body($0, scratch($1).product) }
  }

  private func forRows(_ rows: Int, step: Int, _ body: (Range<Int>, _ worker: Int) -> Void) {
    pool.forEach(count: (rows + step - 1) / step) { piece, worker in
      body(piece * step..<min(rows, (piece + 1) * step), worker)
    }
  }

  /// A convolution with groups to `y`, a few lines at a time.
  ///
  /// - Parameter finish: what is done with these lines then, by the thread that made them.
  func convolve(
    _ x: FeatureMap, _ convolution: GroupedConvolution, into y: FeatureMap,
    finish: (_ lines: MatrixView, _ rows: Range<Int>) -> Void = { _, _ in }
  ) {
    let tiles = LineTiles(
      y.shape, threads: pool.threadCount, maximumLines: ConvolutionSizes.lines)
    pool.forEach(count: tiles.count) { piece, worker in
      let rows = tiles.rows(piece)
      convolution(
        x.view, from: 0, height: x.shape.height, width: x.shape.width, lines: tiles[piece],
        into: y.view[rows], scratch: scratch(worker).lines)
      finish(y.view[rows], rows)
    }
  }

  /// The mean of a map's positions, which is shown.
  func pooled(_ map: FeatureMap, _ observe: TowerObserver?) -> [Float] {
    let memory = Activations(count: map.shape.channels)
    defer { withExtendedLifetime(memory) {} }
    let mean = memory.matrix(rows: 1, columns: map.shape.channels)
    kernels.meanOfRows(map.view, into: mean)
    observe?(Observation(ConvolutionPoint.pooled, mean, .vectors))
    return mean.array()
  }
}
