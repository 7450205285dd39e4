import VLMTensor

/// Memory of one forward pass, planned once for the largest batch: two feature maps to read and
/// write in turn, and per thread the space of one tile.
package final class ConvNeXtContext: @unchecked Sendable {
  package let pool: WorkerPool
  /// The largest input this context was planned for.
  package let capacity: FeatureShape
  private let plan: ConvNeXtPlan
  /// The first holds the input until the stem has read it.
  let maps: [Activations]
  private let wideElements: Int
  private let scratches: [Scratch]
  private let fullHiddenBuffer: Activations?
  /// Branch and hidden layer of the largest block that runs wide, and its quantized rows.
  private let wideBranch: Activations
  private let wideHidden: Activations
  let sharedProduct: MatrixProduct.Scratch

  /// What one thread needs for one tile.
  final class Scratch: @unchecked Sendable {
    /// The block's branch: `[rows of a group of tiles, channels]`.
    let branch: Activations
    /// The hidden layer or the gathered windows: `[tile rows, hidden]`.
    let hidden: Activations
    let product: MatrixProduct.Scratch

    init(_ plan: ConvNeXtPlan, kernels: KernelSet) {
      branch = Activations(count: plan.branchCount)
      hidden = Activations(count: plan.hiddenCount)
      product = MatrixProduct.Scratch(
        rows: plan.tileRows, maximumInputs: plan.maximumInputs, kernels: kernels)
    }
  }

  /// - Parameters:
  ///   - capacity: the largest batch of images, `channels` being the model's input's.
  ///   - wideElements: blocks whose hidden layer has at most so many elements run layer by layer,
  ///     larger ones tile by tile.
  /// - Throws: `ModelError` when the image is too small for the model, or needs more memory than
  ///   the machine has.
  package init(
    _ config: ConvNeXtConfig, capacity: FeatureShape, pool: WorkerPool, kernels: KernelSet,
    wideElements: Int = ConvNeXtContext.defaultWideElements
  ) throws(ModelError) {
    let plan = try ConvNeXtPlan(config, input: capacity, wideElements: wideElements)
    self.wideElements = wideElements
    self.plan = plan
    try MemoryLimit.check(
      plan.byteCount(threads: pool.threadCount), height: capacity.height, width: capacity.width)
    self.pool = pool
    self.capacity = capacity
    maps = [Activations(count: plan.mapCount), Activations(count: plan.mapCount)]
    scratches = (0..<pool.threadCount).map { _ in Scratch(plan, kernels: kernels) }
    fullHiddenBuffer = plan.fullHiddenCount > 0 ? Activations(count: plan.fullHiddenCount) : nil
    wideBranch = Activations(count: plan.wideBranchCount)
    wideHidden = Activations(count: plan.wideHiddenCount)
    sharedProduct = MatrixProduct.Scratch(
      rows: plan.wideRows, maximumInputs: plan.wideInputs, kernels: kernels)
  }

  /// Room for the input of `shape`: `[batch * height * width, channels]`.
  package func input(_ shape: FeatureShape) -> MatrixView {
    maps[0].matrix(rows: shape.rows, columns: shape.channels)
  }

  func scratch(_ worker: Int) -> Scratch { scratches[worker] }

  /// What each thread needs for products, in the order of the pool's workers.
  var products: [MatrixProduct.Scratch] { scratches.map(\.product) }

  /// Room for a wide block: `[rows, channels]` and `[rows, hidden]`.
  func wideMatrices(rows: Int, channels: Int, hidden: Int) -> (MatrixView, MatrixView) {
    (
      wideBranch.matrix(rows: rows, columns: channels),
      wideHidden.matrix(rows: rows, columns: hidden)
    )
  }

  /// Room for the windows of a convolution that runs wide: where the wide blocks left enough.
  func wideWindows(rows: Int, columns: Int) -> MatrixView? {
    guard rows * columns <= min(wideElements, wideHidden.count), rows <= plan.wideRows,
      columns <= plan.wideInputs
    else { return nil }
    return wideHidden.matrix(rows: rows, columns: columns)
  }

  func fullHidden(rows: Int, columns: Int) -> MatrixView {
    guard let fullHiddenBuffer else { preconditionFailure("planned for GRN") }
    return fullHiddenBuffer.matrix(rows: rows, columns: columns)
  }

  /// Rows of a tile whose widest matrix has `columns` columns: about 1 MiB, which stays in cache,
  /// yet enough rows to use each weight many times.
  static func tileRows(columns: Int) -> Int {
    max(64, min(256, (1 << 18) / max(1, columns)))
  }

  /// Lines that the depthwise convolution makes at a time: with fewer, most of what it reads are the
  /// lines around them; with more, what it makes leaves the cache.
  static let groupLines = 8

  /// 16 MiB of hidden layer: what fits the last-level cache of a small machine.
  package static let defaultWideElements = 4 << 20

  /// Whether a block runs layer by layer: one that is small, where the blocks that this was planned
  /// for left room. An input smaller than the largest has small blocks where that had none.
  func isWide(rows: Int, channels: Int, hidden: Int) -> Bool {
    rows * hidden <= min(wideElements, wideHidden.count) && rows * channels <= wideBranch.count
      && rows <= plan.wideRows && max(hidden, channels) <= plan.wideInputs
  }

  /// Whether an input of another shape fits what was planned, in each of its parts.
  func hasRoom(for other: ConvNeXtPlan) -> Bool {
    other.mapCount <= plan.mapCount && other.branchCount <= plan.branchCount
      && other.hiddenCount <= plan.hiddenCount && other.fullHiddenCount <= plan.fullHiddenCount
      && other.tileRows <= plan.tileRows && other.maximumInputs <= plan.maximumInputs
  }
}

/// Sizes of everything that a forward pass needs, from shapes alone.
struct ConvNeXtPlan {
  /// Elements of each of the two feature maps.
  private(set) var mapCount = 0
  private(set) var branchCount = 0
  private(set) var hiddenCount = 0
  private(set) var fullHiddenCount = 0
  private(set) var tileRows = 1
  private(set) var maximumInputs = 1
  private let input: FeatureShape
  private let leastSide: Int
  private(set) var wideRows = 0
  private(set) var wideInputs = 0
  private(set) var wideBranchCount = 0
  private(set) var wideHiddenCount = 0

  init(
    _ config: ConvNeXtConfig, input: FeatureShape, wideElements: Int
  ) throws(ModelError) {
    self.input = input
    let strides =
      config.stemConvolutions.map(\.geometry.stride)
      + config.stages.compactMap { $0.downsample?.stride }
    leastSide = strides.reduce(1, *)
    mapCount = input.elementCount
    var shape = input
    for convolution in config.stemConvolutions {
      shape = try convolve(shape, convolution.geometry, outputs: convolution.outputs)
    }
    for stage in config.stages {
      if let geometry = stage.downsample {
        shape = try convolve(shape, geometry, outputs: stage.channels)
      }
      let target = ConvNeXtContext.tileRows(columns: stage.hidden)
      addTile(width: shape.width, target: target, hidden: stage.hidden)
      let group = max(
        LineTiles.maximumRows(width: shape.width, targetRows: target),
        min(shape.rows, ConvNeXtContext.groupLines * shape.width))
      branchCount = max(branchCount, group * stage.channels)
      maximumInputs = max(maximumInputs, stage.hidden, stage.channels)
      if config.usesGRN {
        fullHiddenCount = max(fullHiddenCount, shape.rows * stage.hidden)
      } else if shape.rows * stage.hidden <= wideElements {
        wideRows = max(wideRows, shape.rows)
        wideInputs = max(wideInputs, stage.hidden, stage.channels)
        wideBranchCount = max(wideBranchCount, shape.rows * stage.channels)
        wideHiddenCount = max(wideHiddenCount, shape.rows * stage.hidden)
      }
    }
    // The head: one row per image.
    tileRows = max(tileRows, input.batch)
    maximumInputs = max(maximumInputs, config.head.hidden ?? 1, config.pooledChannels)
    mapCount = max(mapCount, shape.elementCount)
  }

  /// The shape after a convolution, with room for its windows and its output.
  private mutating func convolve(
    _ shape: FeatureShape, _ geometry: PatchGeometry, outputs: Int
  ) throws(ModelError) -> FeatureShape {
    let result = FeatureShape(
      batch: shape.batch, height: geometry.outputExtent(shape.height),
      width: geometry.outputExtent(shape.width), channels: outputs)
    guard result.height > 0, result.width > 0 else {
      throw ModelError(
        .image(
          found: "\(input.width)×\(input.height) pixels",
          expected: "at least \(leastSide)×\(leastSide), the product of the model's strides"))
    }
    let window = geometry.kernel * geometry.kernel * shape.channels
    addTile(
      width: result.width, target: ConvNeXtContext.tileRows(columns: window), hidden: window)
    maximumInputs = max(maximumInputs, window)
    mapCount = max(mapCount, result.elementCount)
    return result
  }

  private mutating func addTile(width: Int, target: Int, hidden: Int) {
    let rows = LineTiles.maximumRows(width: width, targetRows: target)
    tileRows = max(tileRows, rows)
    hiddenCount = max(hiddenCount, rows * hidden)
  }

  func byteCount(threads: Int) -> Int {
    let perThread = (branchCount + hiddenCount) * 4 + tileRows * (maximumInputs + 72)
    let wide = (wideBranchCount + wideHiddenCount) * 4 + wideRows * (wideInputs + 72)
    return (2 * mapCount + fullHiddenCount) * 4 + threads * perThread + wide
  }
}

extension ConvNeXtConfig {
  /// The stem's convolutions, in order.
  var stemConvolutions: [(geometry: PatchGeometry, inputs: Int, outputs: Int)] {
    switch stem {
    case .patch(let size):
      return [(PatchGeometry(kernel: size, stride: size), inputChannels, stemChannels)]
    case .overlap(let middle, _):
      let geometry = PatchGeometry(kernel: 3, stride: 2, padding: 1, trailingPadding: 1)
      return [(geometry, inputChannels, middle), (geometry, middle, stemChannels)]
    }
  }
}
