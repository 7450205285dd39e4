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

/// One input of a tower: a preprocessed picture, or a part of one.
package struct TowerInput: Sendable {
  /// Channels last, `[height, width, 3]`.
  package let pixels: [Float]
  package let height: Int
  package let width: Int
  /// The part that shows something, from the top left, where the rest is padding; nil for all.
  package let valid: PictureExtent?

  package init(_ pixels: [Float], height: Int, width: Int, valid: PictureExtent? = nil) {
    precondition(pixels.count == height * width * 3, "values fill the size")
    (self.pixels, self.height, self.width, self.valid) = (pixels, height, width, valid)
  }

  var shape: FeatureShape { FeatureShape(batch: 1, height: height, width: width, channels: 3) }
}

extension VisionTower {
  /// The features of each input of one picture. What the tower needs besides the weights is allocated
  /// for the picture and let go after it, so that a conversation about it does not pay for it.
  ///
  /// - Parameters:
  ///   - cancelled: looked at before each layer.
  ///   - observing: which input `observe` sees.
  /// - Throws: `ModelError` when an input is too small for the tower or too large for memory, or
  ///   when the pass was cancelled.
  package func features(
    of inputs: [TowerInput], pool: WorkerPool, kernels: KernelSet,
    cancelled: CancellationFlag? = nil, observing: Int = 0, observe: TowerObserver? = nil
  ) throws(ModelError) -> [PictureFeatures] {
    var context: (any TowerContext)?
    var features: [PictureFeatures] = []
    let isPadded = inputs.contains { $0.valid != nil }
    for (index, input) in inputs.enumerated() {
      if context?.input != input.shape {
        // Let go of the last one before the next is planned.
        context = nil
        context = try self.context(input.shape, pool: pool, kernels: kernels)
      }
      guard let context else { continue }
      if isPadded {
        try context.restrict(
          height: input.valid?.height ?? input.height, width: input.valid?.width ?? input.width)
      }
      let observe = index == observing ? observe : nil
      context.pixels.assign(input.pixels)
      observe?(Observation(InputPoint.pixels, context.pixels, .map(input.shape)))
      let grid = try context.features(observe: observe, cancelled: cancelled)
      features.append(try PictureFeatures(copying: grid))
    }
    withExtendedLifetime(context) {}
    return features
  }
}
