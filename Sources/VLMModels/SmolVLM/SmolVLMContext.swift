import VLMFoundation
import VLMTensor

extension SmolVLMVision: VisionTower {
  package func context(
    _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet, options: TowerOptions
  ) throws(ModelError) -> any TowerContext {
    precondition(input.batch == 1, "one tile at a time")
    return try SmolVLMContext(self, input, pool: pool, kernels: kernels)
  }
}

/// SmolVLM's tower with the memory of a pass over tiles of one size, one at a time: a transformer's
/// rows fill the machine.
package final class SmolVLMContext: TowerContext {
  private let model: SmolVLMVision
  package let input: FeatureShape
  let patches: MapExtent
  /// Features.
  let grid: MapExtent
  /// Of the patches; all of them show something, unless `restrict` said otherwise.
  private(set) var positions: SmolVLMPositions
  /// By the place in the tile, the row that a patch has; empty where both are the same.
  private(set) var rowOfPlace: [Int] = []
  let transformer: TransformerContext
  private let pixelMemory: Activations
  private let rows: Activations
  private let features: Activations

  /// - Throws: `ModelError` when the tile has no whole features, or needs more memory than the
  ///   machine has.
  init(
    _ model: SmolVLMVision, _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet
  ) throws(ModelError) {
    let (config, format) = (model.config, model.keyValueFormat)
    let plan = try SmolVLMPlan(config, height: input.height, width: input.width, format)
    try MemoryLimit.check(plan.byteCount, height: input.height, width: input.width)
    (self.model, self.input, patches, grid) = (model, input, plan.patches, plan.grid)
    positions = SmolVLMPositions(
      patches: plan.patches, valid: plan.patches, tableSide: config.tableSide)
    pixelMemory = Activations(count: input.elementCount)
    rows = Activations(count: plan.patches.count * config.encoder.width)
    features = Activations(count: plan.grid.count * config.featureColumns)
    transformer = TransformerContext(
      config.encoder, rows: plan.patches.count, inputs: config.patchInputs, format: format,
      pool: pool, kernels: kernels)
  }

  package var pixels: MatrixView {
    pixelMemory.matrix(rows: input.rows, columns: input.channels)
  }
  /// `[patches, width]`.
  var tokens: MatrixView {
    rows.matrix(rows: patches.count, columns: model.config.encoder.width)
  }

  /// No patch without a pixel of the picture is looked at by others.
  package func restrict(height: Int, width: Int) throws(ModelError) {
    guard (1...input.height).contains(height), (1...input.width).contains(width) else {
      throw ModelError(
        .image(
          found: "a picture of \(width)×\(height) in a tile of \(input.width)×\(input.height)",
          expected: "one inside of it"))
    }
    let patch = model.config.patchSize
    func count(_ pixels: Int, _ all: Int) -> Int { min((pixels + patch - 1) / patch, all) }
    positions = SmolVLMPositions(
      patches: patches,
      valid: MapExtent(
        height: count(height, patches.height), width: count(width, patches.width)),
      tableSide: model.config.tableSide)
    rowOfPlace = []
    guard !positions.isWhole else { return }
    rowOfPlace = [Int](repeating: 0, count: positions.order.count)
    for (row, place) in positions.order.enumerated() { rowOfPlace[place] = row }
  }

  /// Brings patches from the order of the tile into that in which they are run.
  func arrange(_ tokens: MatrixView) {
    guard !positions.isWhole else { return }
    let copy = transformer.branch.matrix(rows: tokens.rows, columns: tokens.columns)
    copy.copy(tokens)
    for (row, place) in positions.order.enumerated() {
      tokens[row..<row + 1].copy(copy[place..<place + 1])
    }
  }

  /// Shows patches in the order of the tile.
  func show(_ point: SmolVLMPoint, _ tokens: MatrixView, _ observe: TowerObserver?) {
    guard let observe else { return }
    guard !positions.isWhole else { return observe(Observation(point, tokens, .tokens)) }
    let ordered = transformer.branch.matrix(rows: tokens.rows, columns: tokens.columns)
    for (row, place) in positions.order.enumerated() {
      ordered[place..<place + 1].copy(tokens[row..<row + 1])
    }
    observe(Observation(point, ordered, .tokens))
  }

  package func features(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> FeatureGrid {
    let tokens = try model.patches(self, cancelled: cancelled, observe: observe)
    let shape = grid.shape(model.config.featureColumns)
    let view = features.matrix(rows: shape.rows, columns: shape.channels)
    model.shuffle(tokens, self, into: view)
    observe?(Observation(SmolVLMPoint.features, view, .map(shape)))
    return FeatureGrid(view: view, shape: shape)
  }

  package func vectors(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> [ImageVector] {
    throw ModelError(
      .configuration(
        field: SmolVLMFamily.name + ".vision", found: "a tower that gives a grid",
        expected: "one that gives a vector"))
  }
}

/// Sizes of everything that a pass needs, from shapes alone.
struct SmolVLMPlan {
  let patches: MapExtent
  let grid: MapExtent
  /// Nil when it overflows.
  let byteCount: Int?

  init(
    _ config: SmolVLMVisionConfig, height: Int, width: Int, _ format: KeyValueFormat
  ) throws(ModelError) {
    // Larger tiles are refused by memory; this keeps the arithmetic from overflowing.
    guard height <= 1 << 20, width <= 1 << 20 else {
      throw ModelError(
        .image(found: "\(width)×\(height) pixels", expected: "at most \(1 << 20) a side"))
    }
    grid = try config.grid(height: height, width: width)
    patches = config.patches(height: height, width: width)
    let layers = TransformerPlan(config.encoder, rows: patches.count, inputs: config.patchInputs)
    // Pixels, the residual stream, and the features.
    let own = (height * width * 3 + 2 * patches.count * config.encoder.width) * 4
    byteCount = layers.byteCount(format).flatMap { bytes in
      let (sum, overflow) = bytes.addingReportingOverflow(own)
      return overflow ? nil : sum
    }
  }
}
