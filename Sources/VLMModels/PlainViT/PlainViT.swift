import VLMFoundation
import VLMTensor

/// A plain vision transformer as transformers' `Dinov2Model` and timm's `VisionTransformer` compute
/// it, one picture at a time.
package final class PlainViT: Sendable {
  package let config: PlainViTConfig
  private let kernels: KernelSet
  /// Nil where a stem makes the patches.
  private let patchEmbedding: PatchConvolution?
  private let stem: PlainViTStem?
  private let preNorm: LayerNorm?
  private let classToken: Tensor
  private let registers: Tensor?
  private let positions: PositionTable?
  private let layers: [PlainViTLayer]
  private let norm: LayerNorm
  private let classifier: HeadStack?

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(_ weights: Weights, _ config: PlainViTConfig) throws(ModelError) {
    self.config = config
    kernels = weights.kernels
    let (width, embeddings) = (config.encoder.width, weights["embeddings"])
    stem = config.stem.isEmpty ? nil : try PlainViTStem(embeddings["stem"], config)
    patchEmbedding =
      config.stem.isEmpty
      ? try PatchConvolution(
        embeddings["patch"], inputs: 3, outputs: width,
        geometry: PatchGeometry(kernel: config.patchSize, stride: config.patchSize),
        bias: config.hasPatchBias, role: .patchConvolution) : nil
    classToken = try embeddings.tensor("class", [width], .vector)
    registers =
      config.registers > 0
      ? try embeddings.tensor("registers", [config.registers, width], .vector) : nil
    positions =
      config.rotaryBase == nil
      ? PositionTable(
        try embeddings.tensor("position", [config.tableRows, width], .vector),
        side: config.tableSide, width: width, classRow: config.hasClassPosition ? .used : .absent,
        resampling: config.resampling) : nil
    var layers: [PlainViTLayer] = []
    for index in 0..<config.encoder.layers {
      layers.append(try PlainViTLayer(weights["layers"][index], config))
    }
    self.layers = layers
    preNorm =
      config.hasPreNorm
      ? try LayerNorm(weights["pre_norm"], channels: width, epsilon: config.encoder.epsilon) : nil
    norm = try LayerNorm(
      weights["post_norm"], channels: width, epsilon: config.encoder.epsilon)
    classifier =
      config.classifier.isEmpty
      ? nil
      : try HeadStack(weights["classifier"], inputs: config.vectorWidth, config.classifier)
  }

  /// How a context for this tower keeps keys and values.
  var keyValueFormat: KeyValueFormat { layers.first?.keyValueFormat ?? .f32 }

  /// Runs the layers on the picture that `context.pixels` holds, and the last norm where it is over
  /// all tokens.
  ///
  /// - Parameter cancelled: looked at before each layer.
  /// - Returns: the tokens, `[prefix + patches, width]`, in the context's memory.
  /// - Throws: `ModelError` with `.cancelled` once the flag is.
  func tokens(
    _ context: PlainViTContext, cancelled: CancellationFlag?, observe: TowerObserver?
  ) throws(ModelError) -> MatrixView {
    let tokens = context.rows
    embed(into: tokens, context)
    if let preNorm {
      context.transformer.forRows(tokens.rows) { preNorm(tokens[$0], into: tokens[$0]) }
    }
    observe?(Observation(PlainViTPoint.hidden(0), tokens, .tokens))
    for (index, layer) in layers.enumerated() {
      try ModelError.check(cancelled)
      layer(tokens, by: context.otherRows, context.rotation, context.transformer)
      observe?(Observation(PlainViTPoint.hidden(index + 1), tokens, .tokens))
    }
    if config.pooling != .normedMean {
      context.transformer.forRows(tokens.rows) { norm(tokens[$0], into: tokens[$0]) }
    }
    observe?(Observation(PlainViTPoint.last, tokens, .tokens))
    return tokens
  }

  /// The class token, registers, and the patches; positions on the first and the last.
  private func embed(into tokens: MatrixView, _ context: PlainViTContext) {
    let (grid, input, first) = (context.grid, context.input, config.prefix)
    let patches = tokens[first..<tokens.rows]
    if let patchEmbedding {
      context.transformer.multiply(patchEmbedding, context.gatherPatches(), into: patches)
    } else if let stem, let maps = context.stemMaps {
      stem(
        context.pixels, height: input.height, width: input.width, into: patches, maps,
        context.transformer)
    }
    for column in 0..<tokens.columns {
      tokens[0, column] = classToken.floats[column]
      for index in 0..<config.registers {
        tokens[1 + index, column] = registers?.floats[index * tokens.columns + column] ?? 0
      }
    }
    guard let table = positions?.rows(for: grid) else { return }
    withExtendedLifetime(table) {
      let own = config.hasClassPosition ? 1 : 0
      let rows = table.matrix(rows: own + grid.count, columns: tokens.columns)
      if config.hasClassPosition { tokens[0..<1].add(rows[0..<1]) }
      patches.add(rows[own..<rows.rows])
    }
  }

  /// One vector for the picture, of the tokens that left `tokens`.
  func pooled(_ tokens: MatrixView) -> [Float] {
    let (patches, width) = (tokens[config.prefix..<tokens.rows], tokens.columns)
    guard config.pooling != .classToken else { return tokens[0..<1].array() }
    let memory = Activations(count: width)
    defer { withExtendedLifetime(memory) {} }
    let mean = memory.matrix(rows: 1, columns: width)
    kernels.meanOfRows(patches, into: mean)
    if config.pooling == .normedMean { norm(mean, into: mean) }
    return (config.pooling == .classAndMean ? tokens[0..<1].array() : []) + mean.array()
  }

  /// A logit for each class of the picture's vector; nil for a tower without a classifier.
  func classify(_ pooled: [Float]) -> [Float]? { classifier?(pooled, rows: 1) }
}
