import VLMTensor

/// A vision tower with its weights.
package enum VisionEncoder: Sendable {
  case convNeXt(ConvNeXt)
  case clipViT(CLIPViT)
  case multiResolution(MultiResolutionTower)

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(_ weights: Weights, _ tower: VisionTower) throws(ModelError) {
    switch tower {
    case .convNeXt(let config): self = .convNeXt(try ConvNeXt(weights, config))
    case .clipViT(let config): self = .clipViT(try CLIPViT(weights, config))
    case .multiResolution(let config):
      self = .multiResolution(try MultiResolutionTower(weights, config))
    }
  }

  /// The tokens of one picture, in memory of their own.
  package struct Features: Sendable {
    private let memory: Activations
    /// Tokens in a column and in a row of the picture.
    package let gridHeight: Int
    package let gridWidth: Int
    package let channels: Int

    package var count: Int { gridHeight * gridWidth }
    /// `[count, channels]`, from the top left, row by row.
    package var tokens: MatrixView { memory.matrix(rows: count, columns: channels) }

    init(copying view: MatrixView, _ shape: FeatureShape) {
      gridHeight = shape.height
      gridWidth = shape.width
      channels = shape.channels
      memory = Activations(count: shape.elementCount)
      memory.matrix(rows: shape.rows, columns: shape.channels).assign(view.array())
    }
  }

  /// Sees a named intermediate: `[height * width, channels]`, channels last.
  package typealias Observer = ConvNeXt.Observer

  /// Runs the tower on one picture. What it needs besides the weights is allocated for the picture
  /// and let go after it, so that a conversation about it does not pay for it.
  ///
  /// - Parameters:
  ///   - pixels: the preprocessed picture, `[height, width, 3]`.
  /// - Throws: `ModelError` when the picture is too small for the tower or too large for memory.
  package func callAsFunction(
    _ pixels: [Float], height: Int, width: Int, pool: WorkerPool, kernels: KernelSet,
    observe: Observer? = nil
  ) throws(ModelError) -> Features {
    let shape = FeatureShape(batch: 1, height: height, width: width, channels: 3)
    switch self {
    case .convNeXt(let model):
      let context = try ConvNeXtContext(model.config, capacity: shape, pool: pool, kernels: kernels)
      context.input(shape).assign(pixels)
      let map = try model.features(shape, context) { name, view, shape in
        observe?(name == "stem" ? "embeddings" : name, view, shape)
      }
      observe?("features", map.view, map.shape)
      return withExtendedLifetime(context) { Features(copying: map.view, map.shape) }
    case .clipViT(let model):
      let context = try CLIPViTContext(
        model.config, height: height, width: width, format: model.keyValueFormat, pool: pool,
        kernels: kernels)
      context.pixels.assign(pixels)
      let tokens = model(context) { name, view in
        observe?(
          name, view,
          FeatureShape(batch: 1, height: 1, width: view.rows, channels: view.columns))
      }
      let feature = model.feature(tokens, context)
      // With the class token there is one row more than the grid has.
      let isGrid = model.config.feature == .patches
      let grid = isGrid ? context.grid : MapExtent(height: 1, width: feature.rows)
      let shape = FeatureShape(
        batch: 1, height: grid.height, width: grid.width, channels: feature.columns)
      observe?("features", feature, shape)
      return withExtendedLifetime(context) { Features(copying: feature, shape) }
    case .multiResolution(let model):
      let context = try MultiResolutionContext(
        model.config, height: height, width: width, format: model.keyValueFormat, pool: pool,
        kernels: kernels)
      context.pixels.assign(pixels)
      let tokens = try model(context, observe: observe)
      let grid = context.grids.fast
      let shape = FeatureShape(
        batch: 1, height: grid.height, width: grid.width, channels: tokens.columns)
      observe?("features", tokens, shape)
      return withExtendedLifetime(context) { Features(copying: tokens, shape) }
    }
  }
}
