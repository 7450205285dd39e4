import VLMFoundation
import VLMTensor

/// The features of one picture, in memory of their own.
package struct PictureFeatures: Sendable {
  private let memory: Activations
  /// Features in a column and in a row of the picture.
  package let gridHeight: Int
  package let gridWidth: Int
  package let channels: Int

  package var count: Int { gridHeight * gridWidth }
  /// `[count, channels]`, from the top left, row by row. Valid while this value lives.
  package var tokens: MatrixView { memory.matrix(rows: count, columns: channels) }

  /// - Throws: `ModelError` when the system has no memory for them.
  init(copying grid: FeatureGrid) throws(ModelError) {
    gridHeight = grid.shape.height
    gridWidth = grid.shape.width
    channels = grid.shape.channels
    memory = try Activations(count: grid.shape.elementCount, for: "the features of a picture")
    memory.matrix(rows: grid.shape.rows, columns: channels).assign(grid.view.array())
  }
}

extension VisionTower {
  /// The features of one picture. What the tower needs besides the weights is allocated for the
  /// picture and let go after it, so that a conversation about it does not pay for it.
  ///
  /// - Parameters:
  ///   - pixels: the preprocessed picture, `[height, width, 3]`.
  ///   - cancelled: looked at before each layer.
  /// - Throws: `ModelError` when the picture is too small for the tower or too large for memory, or
  ///   when the pass was cancelled.
  package func features(
    of pixels: [Float], height: Int, width: Int, pool: WorkerPool, kernels: KernelSet,
    cancelled: CancellationFlag? = nil, observe: TowerObserver? = nil
  ) throws(ModelError) -> PictureFeatures {
    let shape = FeatureShape(batch: 1, height: height, width: width, channels: 3)
    let context = try context(shape, pool: pool, kernels: kernels)
    context.pixels.assign(pixels)
    observe?(Observation(InputPoint.pixels, context.pixels, .map(shape)))
    let grid = try context.features(observe: observe, cancelled: cancelled)
    defer { withExtendedLifetime(context) {} }
    return try PictureFeatures(copying: grid)
  }
}
