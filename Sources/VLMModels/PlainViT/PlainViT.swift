import VLMFoundation
import VLMTensor

/// A plain vision transformer as transformers' `ViTModel`, `DeiTModel` and `Dinov2Model` and timm's
/// `VisionTransformer` compute it, one picture at a time.
package final class PlainViT: Sendable {
  package let config: PlainViTConfig
  private let kernels: KernelSet
  /// Nil where a stem makes the patches.
  private let patchEmbedding: PatchConvolution?
  private let stem: PlainViTStem?
  private let preNorm: LayerNorm?
  private let classToken: Tensor
  private let distillationToken: Tensor?
  private let registers: Tensor?
  private let positions: PositionTable?
  private let layers: [PlainViTLayer]
  private let norm: LayerNorm
  private let pooler: HeadStack?
  private let classifier: HeadStack?
  /// Of the token of distillation.
  private let distilledClassifier: HeadStack?

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
    distillationToken = try embeddings.vector(
      "distillation", width, if: config.hasDistillationToken)
    registers =
      config.registers > 0
      ? try embeddings.tensor("registers", [config.registers, width], .vector) : nil
    positions =
      config.rotaryBase == nil
      ? PositionTable(
        try embeddings.tensor("position", [config.tableRows, width], .vector),
        grid: config.tableGrid, width: width,
        classRow: config.hasClassPosition
          ? .used(others: config.positionedTokens - 1) : .absent,
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
    func stack(
      _ name: String, _ inputs: Int, _ layers: [HeadLayer], role: TensorRole = .head
    ) throws(ModelError) -> HeadStack? {
      layers.isEmpty ? nil : try HeadStack(weights[name], inputs: inputs, layers, role: role)
    }
    pooler = try stack("pooler", config.pooledWidth, config.pooler, role: .matrix)
    classifier = try stack("classifier", config.vectorWidth, config.classifier)
    distilledClassifier =
      config.pooling == .classAndDistillation
      ? try stack("distilled_classifier", config.vectorWidth, config.classifier) : nil
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

  /// The class token, that of distillation, registers, and the patches; positions on all but
  /// registers.
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
    let firstRegister = first - config.registers
    for column in 0..<tokens.columns {
      tokens[0, column] = classToken.floats[column]
      if let distillationToken { tokens[1, column] = distillationToken.floats[column] }
      for index in 0..<config.registers {
        tokens[firstRegister + index, column] =
          registers?.floats[index * tokens.columns + column] ?? 0
      }
    }
    guard let table = positions?.rows(for: grid) else { return }
    withExtendedLifetime(table) {
      let own = config.positionedTokens
      let rows = table.matrix(rows: own + grid.count, columns: tokens.columns)
      if own > 0 { tokens[0..<own].add(rows[0..<own]) }
      patches.add(rows[own..<rows.rows])
    }
  }

  /// One vector for the picture, of the tokens that left `tokens`.
  func pooled(_ tokens: MatrixView) -> [Float] {
    let vector = vector(of: tokens)
    return pooler?(vector, rows: 1) ?? vector
  }

  private func vector(of tokens: MatrixView) -> [Float] {
    guard config.pooling != .classToken else { return tokens[0..<1].array() }
    let memory = Activations(count: tokens.columns)
    defer { withExtendedLifetime(memory) {} }
    let mean = memory.matrix(rows: 1, columns: tokens.columns)
    let isDistilled = config.pooling == .classAndDistillation
    kernels.meanOfRows(
      isDistilled ? tokens[0..<2] : tokens[config.prefix..<tokens.rows], into: mean)
    if config.pooling == .normedMean { norm(mean, into: mean) }
    return (config.pooling == .classAndMean ? tokens[0..<1].array() : []) + mean.array()
  }

  /// A logit for each class of a picture; nil for a tower without a classifier.
  ///
  /// - Parameters:
  ///   - pooled: what `pooled` made of `tokens`.
  func classify(_ pooled: [Float], _ tokens: MatrixView) -> [Float]? {
    guard let classifier, let distilledClassifier else { return classifier?(pooled, rows: 1) }
    let pair = zip(
      classifier(tokens[0..<1].array(), rows: 1),
      distilledClassifier(tokens[1..<2].array(), rows: 1))
    return pair.map { ($0 + $1) / 2 }
  }
}
