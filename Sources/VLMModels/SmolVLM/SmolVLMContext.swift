import VLMFoundation
import VLMTensor

extension SmolVLMVision: VisionTower {
  package func context(
    _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet, options: TowerOptions
  ) throws(ModelError) -> any TowerContext {
    try SmolVLMContext(self, input, pool: pool, kernels: kernels)
  }
}

/// SmolVLM's tower with the memory of a pass over tiles of one size.
package final class SmolVLMContext: PatchContext, TowerContext, @unchecked Sendable {
  private let model: SmolVLMVision
  let featureGrid: MapExtent
  /// Of the patches; all of them show something, unless `restrict` said otherwise.
  private(set) var positions: SmolVLMPositions
  /// By the place in the tile, the row that a patch has; empty where both are the same.
  private(set) var rowOfPlace: [Int] = []
  private let features: Activations

  /// - Throws: `ModelError` when the tile has no whole features, or needs more memory than the
  ///   machine has.
  init(
    _ model: SmolVLMVision, _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet
  ) throws(ModelError) {
    let (config, format) = (model.config, model.keyValueFormat)
    featureGrid = try config.grid(height: input.height, width: input.width)
    // The features are as many elements as a table of positions, of which there is none.
    let plan = try PatchPlan(config, input)
    try plan.checkMemory(format)
    self.model = model
    positions = SmolVLMPositions(
      patches: plan.grid, valid: plan.grid, tableSide: config.tableSide)
    features = Activations(count: featureGrid.count * config.featureColumns)
    super.init(plan, format: format, pool: pool, kernels: kernels)
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
      patches: grid,
      valid: MapExtent(
        height: count(height, grid.height), width: count(width, grid.width)),
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
    let shape = featureGrid.shape(model.config.featureColumns)
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
