import VLMFoundation
import VLMTensor

/// CLIP's vision transformer as transformers' `CLIPVisionModel` computes it, one image at a time.
package final class ViT: Sendable {
  package let config: ViTConfig
  private let kernels: KernelSet
  private let patchEmbedding: MatrixProduct
  private let classEmbedding: Tensor?
  private let positions: PositionTable
  private let preNorm: LayerNorm
  private let layers: [TransformerLayer]
  private let postNorm: LayerNorm?
  private let projection: JointProjection?
  private let classifier: HeadStack?

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(_ weights: Weights, _ config: ViTConfig) throws(ModelError) {
    self.config = config
    kernels = weights.kernels
    let (width, patch) = (config.encoder.width, config.patchSize)
    let embeddings = weights["embeddings"]
    classEmbedding = try embeddings.vector(
      "class", width, if: config.usesClassToken || config.showsClassToken)
    patchEmbedding = weights.product(
      try embeddings["patch"].tensor("weight", [width, 3, patch, patch], .patchConvolution))
    positions = PositionTable(
      try embeddings.tensor("position", [config.tableRows, width], .vector),
      grid: config.tableGrid, width: width,
      classRow: config.usesClassToken ? .used() : .unused)
    let epsilon = config.encoder.epsilon
    preNorm = try LayerNorm(weights["pre_norm"], channels: width, epsilon: epsilon)
    let projections = TransformerLayer.Projections(config.layout)
    var layers: [TransformerLayer] = []
    for index in 0..<config.encoder.layers {
      layers.append(try TransformerLayer(weights["layers"][index], config.encoder, projections))
    }
    self.layers = layers
    postNorm =
      config.feature == .pooled
      ? try LayerNorm(weights["post_norm"], channels: width, epsilon: epsilon) : nil
    projection = try config.projection.map { outputs throws(ModelError) in
      try JointProjection(weights, inputs: width, outputs: outputs, config.layout)
    }
    classifier =
      config.classifier.isEmpty
      ? nil
      : try HeadStack(
        weights["classifier"], inputs: config.projection ?? width, config.classifier)
  }

  /// How a context for this tower keeps keys and values.
  package var keyValueFormat: KeyValueFormat { layers.first?.keyValueFormat ?? .f32 }

  /// Runs the tower on the image that `context.pixels` holds.
  ///
  /// - Parameter cancelled: looked at before each layer.
  /// - Returns: the tokens after the last layer, `[tokens, width]`, in the context's memory; what
  ///   `config.feature` says of them is left to `feature(_:_:)`.
  /// - Throws: `ModelError` with `.cancelled` once the flag is.
  package func callAsFunction(
    _ context: PatchContext, cancelled: CancellationFlag? = nil, observe: TowerObserver? = nil
  ) throws(ModelError) -> MatrixView {
    let tokens = embed(context, observe: observe)
    try run(0..<layers.count, tokens, context, cancelled: cancelled, observe: observe)
    return tokens
  }

  /// The patches as tokens, those of the class first where it has one, before the first layer.
  func embed(_ context: PatchContext, observe: TowerObserver? = nil) -> MatrixView {
    let (grid, width) = (context.grid, config.encoder.width)
    let tokens = context.rows
    let patches = tokens[tokens.rows - grid.count..<tokens.rows]
    context.transformer.multiply(patchEmbedding, context.gatherPatches(), into: patches)
    if config.usesClassToken, let classEmbedding {
      for column in 0..<width { tokens[0, column] = classEmbedding.floats[column] }
    }
    let table = positions.rows(for: grid)
    observe?(
      Observation(
        ViTPoint.positions, table.matrix(rows: tokens.rows, columns: width), .tokens))
    tokens.add(table.matrix(rows: tokens.rows, columns: width))
    observe?(Observation(ViTPoint.embeddings, tokens, .tokens))
    if let observe { showWithClass(tokens, observe) }
    context.transformer.forRows(tokens.rows) { preNorm(tokens[$0], into: tokens[$0]) }
    observe?(Observation(ViTPoint.hidden(0), tokens, .tokens))
    context.keep(tokens, behind: 0)
    return tokens
  }

  /// The embeddings as a tower has them that drops the class token only behind them.
  private func showWithClass(_ tokens: MatrixView, _ observe: TowerObserver) {
    guard !config.usesClassToken, let classEmbedding else { return }
    let memory = Activations(count: (tokens.rows + 1) * tokens.columns)
    let all = memory.matrix(rows: tokens.rows + 1, columns: tokens.columns)
    for column in 0..<tokens.columns {
      all[0, column] = classEmbedding.floats[column] + positions.classVector[column]
    }
    all[1..<all.rows].copy(tokens)
    withExtendedLifetime(memory) {
      observe(Observation(ViTPoint.embeddingsWithClass, all, .tokens))
    }
  }

  /// Runs some of the layers on `tokens`, in place.
  func run(
    _ range: Range<Int>, _ tokens: MatrixView, _ context: PatchContext,
    cancelled: CancellationFlag?, observe: TowerObserver?
  ) throws(ModelError) {
    for index in range {
      try ModelError.check(cancelled)
      layers[index](tokens, context.transformer)
      observe?(Observation(ViTPoint.hidden(index + 1), tokens, .tokens))
      context.keep(tokens, behind: index + 1)
    }
  }

  /// What the tower gives of its tokens: some of them, or one row for all.
  package func feature(_ tokens: MatrixView, _ context: PatchContext) -> MatrixView {
    let tokens = context.features(tokens)
    let patches = tokens[tokens.rows - context.grid.count..<tokens.rows]
    switch config.feature {
    case .tokens: return tokens
    case .patches: return patches
    case .patchMean:
      let mean = context.transformer.branch.matrix(rows: 1, columns: tokens.columns)
      kernels.meanOfRows(patches, into: mean)
      return mean
    case .pooled:
      let pooled = context.transformer.branch.matrix(rows: 1, columns: tokens.columns)
      postNorm?(tokens[0..<1], into: pooled)
      return pooled
    }
  }

  /// What the pooled feature is in the space that images share with texts, of any length; nil for a
  /// tower without such a space.
  package func project(_ pooled: [Float]) -> [Float]? { projection?(pooled) }

  /// A logit for each class of the image's vector, projected where the tower has a projection; nil
  /// for a tower without a classifier.
  package func classify(_ feature: [Float]) -> [Float]? { classifier?(feature, rows: 1) }
}
