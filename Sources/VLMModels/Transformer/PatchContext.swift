import VLMFoundation
import VLMTensor

/// The memory of a pass of a transformer over the patches of one picture, planned once for one size. One
/// picture at a time: a transformer's rows fill the machine.
package class PatchContext: @unchecked Sendable {
  package let input: FeatureShape
  /// Patches.
  package let grid: MapExtent
  let transformer: TransformerContext
  private let plan: PatchPlan
  private let pixelMemory: Activations
  private let stream: Activations
  /// Hidden states side by side; nil where the last one alone is read.
  private let joined: Activations?

  /// - Parameters:
  ///   - plan: whose memory was checked.
  ///   - format: the tower's `keyValueFormat`.
  init(
    _ plan: PatchPlan, format: KeyValueFormat, pool: WorkerPool, kernels: KernelSet
  ) {
    (self.plan, input, grid) = (plan, plan.input, plan.grid)
    pixelMemory = Activations(count: plan.input.elementCount)
    stream = Activations(count: plan.rows * plan.encoder.width)
    joined = plan.joinedElements > 0 ? Activations(count: plan.joinedElements) : nil
    transformer = TransformerContext(
      plan.encoder, rows: plan.layerRows, inputs: plan.inputs, format: format, pool: pool,
      kernels: kernels)
  }

  /// Room for the normalised picture, channels last: `[height * width, 3]`.
  package var pixels: MatrixView {
    pixelMemory.matrix(rows: input.rows, columns: input.channels)
  }

  /// The residual stream: the patches and what is beside them, `[rows, width]`.
  var rows: MatrixView { stream.matrix(rows: plan.rows, columns: plan.encoder.width) }

  /// Keeps the residual stream behind so many layers where it is one of several features.
  ///
  /// - Parameter tokens: the first rows of `rows`.
  func keep(_ tokens: MatrixView, behind layer: Int) {
    guard let joined else { return }
    let all = features(joined)
    for (place, index) in plan.featureLayers.indices.enumerated() where index == layer {
      let columns = place * tokens.columns..<(place + 1) * tokens.columns
      all[0..<tokens.rows][columns: columns].copy(tokens)
    }
  }

  /// What is read of the tokens behind the last layer: these, or what was kept of several layers.
  func features(_ tokens: MatrixView) -> MatrixView {
    joined.map { features($0)[0..<tokens.rows] } ?? tokens
  }

  private func features(_ joined: Activations) -> MatrixView {
    joined.matrix(rows: plan.rows, columns: plan.encoder.width * plan.featureLayers.count)
  }

  /// The picture's patches as the rows of a matrix, `[patches, patchInputs]` in the layers' memory.
  func gatherPatches() -> MatrixView {
    let geometry = PatchGeometry(kernel: plan.patchSize, stride: plan.patchSize)
    let windows = transformer.inner.matrix(
      rows: grid.count, columns: plan.patchSize * plan.patchSize * input.channels)
    transformer.pool.forEach(count: grid.height) { line, _ in
      geometry.gather(
        pixels, height: input.height, width: input.width, lines: line..<line + 1,
        into: windows[line * grid.width..<(line + 1) * grid.width])
    }
    return windows
  }
}

/// Sizes of everything that such a pass needs, from shapes alone.
struct PatchPlan {
  let input: FeatureShape
  let grid: MapExtent
  /// Of the residual stream.
  let rows: Int
  let encoder: TransformerConfig
  let patchSize: Int
  /// Rows that the layers' memory has room for, and inputs of a product outside of them: where more is
  /// computed in it than layers and patches, as many as that wants.
  var layerRows: Int
  var inputs: Int
  /// Elements that the tower has besides pixels, residual stream, positions and kept features.
  var otherElements = 0
  let featureLayers: FeatureLayers
  /// Elements of hidden states that stand side by side.
  var joinedElements: Int {
    featureLayers.indices.isEmpty ? 0 : rows * encoder.width * featureLayers.count
  }

  /// - Parameter others: rows of the residual stream that are no patches.
  /// - Throws: `ModelError` for a picture without a whole patch.
  init(
    _ config: some PatchTransformerConfig, _ input: FeatureShape, others: Int = 0
  ) throws(ModelError) {
    precondition(input.batch == 1, "one picture at a time")
    let patch = config.patchSize
    let (least, most) = (min(input.height, input.width), max(input.height, input.width))
    // Larger pictures are refused by memory; this keeps the arithmetic from overflowing.
    guard least >= patch, most <= 1 << 20 else {
      throw ModelError(
        .image(
          found: "\(input.width)×\(input.height) pixels",
          expected: least < patch
            ? "at least \(patch)×\(patch), one patch" : "at most \(1 << 20) a side"))
    }
    (self.input, encoder, patchSize) = (input, config.encoder, patch)
    featureLayers = config.featureLayers
    grid = config.patches(height: input.height, width: input.width)
    rows = grid.count + others
    (layerRows, inputs) = (rows, config.patchInputs)
  }

  /// - Throws: `ModelError` when it needs more memory than the machine has.
  func checkMemory(_ format: KeyValueFormat) throws(ModelError) {
    let others = joinedElements + otherElements
    let own = (input.elementCount + 2 * rows * encoder.width + others) * 4
    let layers = TransformerPlan(encoder, rows: layerRows, inputs: inputs).byteCount(format)
    try MemoryLimit.check(own.adding(layers), height: input.height, width: input.width)
  }
}
