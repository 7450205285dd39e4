import VLMTensor

/// Memory of one forward pass, planned once for the largest batch: a convolutional tower's, whose first
/// map holds the input until the stem has read it.
package final class ConvNeXtContext: ConvolutionContext, @unchecked Sendable {
  /// The largest input this context was planned for.
  package let capacity: FeatureShape
  private let plan: ConvNeXtPlan
  private let wideElements: Int
  private let fullHiddenBuffer: Activations?

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
    try MemoryLimit.check(
      plan.byteCount(threads: pool.threadCount), height: capacity.height, width: capacity.width)
    (self.plan, self.wideElements, self.capacity) = (plan, wideElements, capacity)
    fullHiddenBuffer = plan.fullHiddenCount > 0 ? Activations(count: plan.fullHiddenCount) : nil
    super.init(plan.sizes, pool: pool, kernels: kernels)
  }

  /// Room for the input of `shape`: `[batch * height * width, channels]`.
  package func input(_ shape: FeatureShape) -> MatrixView {
    firstMap(shape).view
  }

  /// Room for the windows of a convolution that runs wide: where the wide blocks left enough.
  func wideWindows(rows: Int, columns: Int) -> MatrixView? {
    guard rows * columns <= min(wideElements, plan.sizes.wideHiddenCount),
      sharesProduct(rows: rows, inputs: columns)
    else { return nil }
    return wideMatrices(rows: rows, channels: 0, hidden: columns).1
  }

  func fullHidden(rows: Int, columns: Int) -> MatrixView {
    guard let fullHiddenBuffer else { preconditionFailure("planned for GRN") }
    return fullHiddenBuffer.matrix(rows: rows, columns: columns)
  }

  /// 16 MiB of hidden layer: what fits the last-level cache of a small machine.
  package static let defaultWideElements = 4 << 20

  /// Whether a block runs layer by layer: one that is small, where the blocks that this was planned
  /// for left room. An input smaller than the largest has small blocks where that had none.
  func isWide(rows: Int, channels: Int, hidden: Int) -> Bool {
    let sizes = plan.sizes
    return rows * hidden <= min(wideElements, sizes.wideHiddenCount)
      && rows * channels <= sizes.wideBranchCount
      && sharesProduct(rows: rows, inputs: max(hidden, channels))
  }

  /// Whether an input of another shape fits what was planned, in each of its parts.
  func hasRoom(for other: ConvNeXtPlan) -> Bool {
    plan.sizes.hasRoom(for: other.sizes) && other.fullHiddenCount <= plan.fullHiddenCount
  }
}

/// Sizes of everything that a forward pass needs, from shapes alone.
struct ConvNeXtPlan {
  private(set) var sizes = ConvolutionSizes()
  private(set) var fullHiddenCount = 0
  private let input: FeatureShape
  private let leastSide: Int

  init(
    _ config: ConvNeXtConfig, input: FeatureShape, wideElements: Int
  ) throws(ModelError) {
    self.input = input
    let strides =
      config.stemConvolutions.map(\.geometry.stride)
      + config.stages.compactMap { $0.downsample?.stride }
    leastSide = strides.reduce(1, *)
    sizes.mapCount = input.elementCount
    var shape = input
    for convolution in config.stemConvolutions {
      shape = try convolve(shape, convolution.geometry, outputs: convolution.outputs)
    }
    for stage in config.stages {
      if let geometry = stage.downsample {
        shape = try convolve(shape, geometry, outputs: stage.channels)
      }
      let target = ConvolutionSizes.tileRows(columns: stage.hidden)
      addTile(width: shape.width, target: target, hidden: stage.hidden)
      let group = max(
        LineTiles.maximumRows(width: shape.width, targetRows: target),
        min(shape.rows, ConvolutionSizes.lines * shape.width))
      sizes.branchCount.grow(to: group * stage.channels)
      sizes.maximumInputs.grow(to: max(stage.hidden, stage.channels))
      if config.usesGRN {
        fullHiddenCount.grow(to: shape.rows * stage.hidden)
      } else if shape.rows * stage.hidden <= wideElements {
        sizes.addWide(rows: shape.rows, channels: stage.channels, hidden: stage.hidden)
      }
    }
    // The head: one row per image.
    sizes.tileRows.grow(to: input.batch)
    sizes.maximumInputs.grow(to: max(config.head.hidden ?? 1, config.pooledChannels))
    sizes.mapCount.grow(to: shape.elementCount)
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
      width: result.width, target: ConvolutionSizes.tileRows(columns: window), hidden: window)
    sizes.maximumInputs.grow(to: window)
    sizes.mapCount.grow(to: result.elementCount)
    return result
  }

  private mutating func addTile(width: Int, target: Int, hidden: Int) {
    let rows = LineTiles.maximumRows(width: width, targetRows: target)
    sizes.tileRows.grow(to: rows)
    sizes.hiddenCount.grow(to: rows * hidden)
  }

  func byteCount(threads: Int) -> Int {
    sizes.byteCount(threads: threads) + fullHiddenCount * 4
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
