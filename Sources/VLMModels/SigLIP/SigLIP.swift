import VLMFoundation
import VLMTensor

/// SigLIP's vision transformer as transformers' `SiglipVisionModel` and `Siglip2VisionModel` compute it,
/// one picture at a time. The padding of the latter is masked everywhere, so there is none here.
package final class SigLIP: Sendable {
  private enum PatchEmbedding: Sendable {
    case convolution(PatchConvolution)
    case linear(Linear)
  }

  package let config: SigLIPConfig
  private let kernels: KernelSet
  private let patchEmbedding: PatchEmbedding
  private let positions: PositionTable
  private let layers: [TransformerLayer]
  private let postNorm: LayerNorm?
  private let head: AttentionPooling?
  private let classifier: HeadStack?

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(_ weights: Weights, _ config: SigLIPConfig) throws(ModelError) {
    self.config = config
    kernels = weights.kernels
    let width = config.encoder.width
    let embeddings = weights["embeddings"]
    if config.isFlattened {
      patchEmbedding = .linear(
        try Linear(embeddings["patch"], inputs: config.patchInputs, outputs: width, bias: true))
    } else {
      patchEmbedding = .convolution(
        try PatchConvolution(
          embeddings["patch"], inputs: 3, outputs: width,
          geometry: PatchGeometry(kernel: config.patchSize, stride: config.patchSize), bias: true,
          role: .patchConvolution))
    }
    positions = PositionTable(
      try embeddings.tensor("position", [config.tableGrid.count, width], .vector),
      grid: config.tableGrid, width: width, classRow: .absent, resampling: config.resampling)
    var layers: [TransformerLayer] = []
    for index in 0..<config.encoder.layers {
      layers.append(
        try TransformerLayer(weights["layers"][index], config.encoder, config.layout.layers))
    }
    self.layers = layers
    postNorm =
      config.feature.isVector
      ? try LayerNorm(weights["post_norm"], channels: width, epsilon: config.encoder.epsilon) : nil
    head = config.feature == .attentionPooled ? try AttentionPooling(weights["head"], config) : nil
    classifier =
      config.classifier.isEmpty
      ? nil : try HeadStack(weights["classifier"], inputs: width, config.classifier)
  }

  /// How a context for this tower keeps keys and values.
  var keyValueFormat: KeyValueFormat { layers.first?.keyValueFormat ?? .f32 }

  /// Runs the layers on the picture that `context.pixels` holds.
  ///
  /// - Parameter cancelled: looked at before each layer.
  /// - Returns: the tokens after the last layer, `[patches, width]`, in the context's memory.
  /// - Throws: `ModelError` with `.cancelled` once the flag is.
  func tokens(
    _ context: SigLIPContext, cancelled: CancellationFlag?, observe: TowerObserver?
  ) throws(ModelError) -> MatrixView {
    let tokens = context.tokens
    embed(into: tokens, context, observe: observe)
    context.keep(tokens, behind: 0)
    for (index, layer) in layers.enumerated() {
      try ModelError.check(cancelled)
      layer(tokens, context.transformer)
      observe?(Observation(SigLIPPoint.hidden(index + 1), tokens, .tokens))
      context.keep(tokens, behind: index + 1)
    }
    return tokens
  }

  /// The patches with their positions.
  private func embed(
    into tokens: MatrixView, _ context: SigLIPContext, observe: TowerObserver?
  ) {
    let windows = context.gatherPatches()
    switch patchEmbedding {
    case .convolution(let layer): context.transformer.multiply(layer, windows, into: tokens)
    case .linear(let layer): context.transformer.multiply(layer, windows, into: tokens)
    }
    let table = positions.rows(for: context.grid)
    withExtendedLifetime(table) {
      let rows = table.matrix(rows: tokens.rows, columns: tokens.columns)
      observe?(Observation(SigLIPPoint.positions, rows, .tokens))
      tokens.add(rows)
    }
    observe?(Observation(SigLIPPoint.hidden(0), tokens, .tokens))
  }

  /// One vector for the picture, `[1, width]` in the context's memory, of the tokens that left the
  /// layers; they are normed in place.
  func pooled(
    _ tokens: MatrixView, _ context: SigLIPContext, observe: TowerObserver?
  ) -> MatrixView {
    if let postNorm {
      context.transformer.forRows(tokens.rows) { postNorm(tokens[$0], into: tokens[$0]) }
    }
    observe?(Observation(SigLIPPoint.last, tokens, .tokens))
    if let head { return head(context) }
    let mean = context.transformer.branch.matrix(rows: 1, columns: tokens.columns)
    kernels.meanOfRows(tokens, into: mean)
    return mean
  }

  /// A logit for each class of the picture's vector; nil for a tower without a classifier.
  func classify(_ pooled: [Float]) -> [Float]? { classifier?(pooled, rows: 1) }
}
