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

  /// - Parameters:
  ///   - plan: whose memory was checked.
  ///   - format: the tower's `keyValueFormat`.
  init(
    _ plan: PatchPlan, format: KeyValueFormat, pool: WorkerPool, kernels: KernelSet
  ) {
    (self.plan, input, grid) = (plan, plan.input, plan.grid)
    pixelMemory = Activations(count: plan.input.elementCount)
    stream = Activations(count: plan.rows * plan.encoder.width)
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
  /// Elements that the tower has besides pixels, residual stream and positions.
  var otherElements = 0

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
    grid = config.patches(height: input.height, width: input.width)
    rows = grid.count + others
    (layerRows, inputs) = (rows, config.patchInputs)
  }

  /// - Throws: `ModelError` when it needs more memory than the machine has.
  func checkMemory(_ format: KeyValueFormat) throws(ModelError) {
    let own = (input.elementCount + 2 * rows * encoder.width + otherElements) * 4
    let layers = TransformerPlan(encoder, rows: layerRows, inputs: inputs).byteCount(format)
    try MemoryLimit.check(own.adding(layers), height: input.height, width: input.width)
  }
}
