import VLMTensor

/// Memory of one pass of a `MultiResolutionTower`, planned once for one size of image.
package final class MultiResolutionContext: @unchecked Sendable {
  package let pool: WorkerPool
  let grids: MultiResolutionGrids
  let slowShape: FeatureShape
  let slow: ConvNeXtContext
  let fast: PatchContext
  /// The slow map within an adapter, or fitted to the fast grid: `[rows, slow channels]`.
  let inner: Activations
  /// What an adapter makes of the slow map: `[slow grid, width]`.
  let projected: Activations
  /// The same, fitted to the fast grid; at the end the result: `[fast grid, width]`.
  let value: Activations
  /// The fast path's side branch: `[fast grid, width]`.
  let branch: Activations
  let gate: Activations
  let gateHidden: Activations
  private let shared: MatrixProduct.Scratch
  private let scratches: [MatrixProduct.Scratch]

  /// - Parameter format: the fast tower's `keyValueFormat`.
  /// - Throws: `ModelError` for an image that is not square or does not fit the model, or needs
  ///   more memory than the machine has.
  package init(
    _ config: MultiResolutionConfig, height: Int, width: Int, format: KeyValueFormat,
    pool: WorkerPool, kernels: KernelSet, wideElements: Int = ConvNeXtContext.defaultWideElements
  ) throws(ModelError) {
    let grids = try MultiResolutionGrids(config, height: height, width: width)
    self.grids = grids
    self.pool = pool
    let (columns, channels) = (config.width, config.slow.featureChannels)
    let rows = max(grids.fast.count, grids.slow.count)
    let inputs = max(channels, 2 * columns)
    // The two paths check their own, which are the larger part.
    let own = rows * (channels + inputs / 4 + 3 * columns + 18) * 4
    try MemoryLimit.check(own, height: height, width: width)
    slowShape = FeatureShape(batch: 1, height: height, width: width, channels: 3)
    slow = try ConvNeXtContext(
      config.slow, capacity: slowShape, pool: pool, kernels: kernels, wideElements: wideElements)
    let copy = FeatureShape(
      batch: 1, height: grids.fastPixels, width: grids.fastPixels, channels: 3)
    fast = PatchContext(
      try config.fast.plan(copy, format), format: format, pool: pool, kernels: kernels)
    inner = Activations(count: rows * channels)
    projected = Activations(count: grids.slow.count * columns)
    value = Activations(count: grids.fast.count * columns)
    branch = Activations(count: grids.fast.count * columns)
    gate = Activations(count: 2 * columns)
    gateHidden = Activations(count: max(1, columns / 2))
    shared = MatrixProduct.Scratch(rows: rows, maximumInputs: inputs, kernels: kernels)
    scratches = (0..<pool.threadCount).map { _ in
      MatrixProduct.Scratch(rows: 1, maximumInputs: inputs, kernels: kernels)
    }
  }

  /// Room for the normalised image, channels last: `[height * width, 3]`. A pass writes over it.
  package var pixels: MatrixView { slow.input(slowShape) }

  /// Visual tokens of one image.
  package var tokenCount: Int { grids.fast.count }

  var fastPixels: MapExtent { MapExtent(height: fast.input.height, width: fast.input.width) }

  /// Makes the fast path's copy of the image: corner-aligned bilinear without antialiasing, as upstream.
  func makeSmallCopy() -> MatrixView {
    let source = MapExtent(height: slowShape.height, width: slowShape.width)
    let target = fastPixels
    let resize = CornerAlignedBilinear(from: source, to: target)
    let (input, output) = (pixels, fast.pixels)
    pool.forEach(count: target.height) { line, _ in
      let rows = output[line * target.width..<(line + 1) * target.width]
      resize(input, lines: line..<line + 1, into: rows)
    }
    return output
  }

  /// `map` of the slow grid, as one of the fast grid: itself where they are the same, else in
  /// `room`.
  func fit(_ map: MatrixView, into room: MatrixView) -> MatrixView {
    let target = grids.fast
    func eachLine(_ body: @Sendable (Range<Int>, MatrixView) -> Void) {
      pool.forEach(count: target.height) { line, _ in
        body(line..<line + 1, room[line * target.width..<(line + 1) * target.width])
      }
    }
    switch grids.fit {
    case .same: return map
    case .enlarge:
      let resize = CornerAlignedBilinear(from: grids.slow, to: target)
      eachLine { resize(map, lines: $0, into: $1) }
    case .shrink(let ratio):
      let pooling = AveragePool(grids.slow, ratio: ratio)
      eachLine { pooling(map, lines: $0, into: $1) }
    }
    return room
  }

  func multiply(
    _ linear: Linear, _ x: MatrixView, into y: MatrixView, activation: Activation = .none,
    residual: MatrixView? = nil
  ) {
    linear(
      x, into: y, activation: activation, residual: residual, shared: shared, scratches: scratches,
      pool: pool)
  }

  /// Computes a product that only ever exists as part of a sum, to be looked at.
  func showProduct(
    _ linear: Linear, _ x: MatrixView, columns: Int, _ look: (MatrixView) -> Void
  ) {
    let memory = Activations(count: x.rows * columns)
    let product = memory.matrix(rows: x.rows, columns: columns)
    multiply(linear, x, into: product)
    withExtendedLifetime(memory) { look(product) }
  }

  /// One row on the calling thread.
  func multiplyRow(
    _ linear: Linear, _ x: MatrixView, into y: MatrixView, activation: Activation
  ) {
    linear(x, into: y, activation: activation, shared)
  }
}
