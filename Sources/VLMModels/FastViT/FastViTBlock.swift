import VLMTensor

/// A mixer of positions, then an MLP behind a depthwise convolution:
/// `y = mixer(x)`, or `x + gamma * attention(norm x)`; then
/// `y + gamma * fc2(gelu(fc1(depthwise y)))`.
struct FastViTBlock: Sendable {
  private enum Mixer: Sendable {
    case convolution(DepthwiseConvolution)
    case attention(AttentionMixer)
  }

  private let mixer: Mixer
  private let depthwise: DepthwiseConvolution
  private let expand: Linear
  private let contract: Linear
  private let gamma: Tensor?
  private let hidden: Int

  init(
    _ weights: Weights, _ config: FastViTConfig, _ stage: FastViTConfig.Stage
  ) throws(ModelError) {
    let channels = stage.channels
    hidden = stage.hidden
    switch stage.mixer {
    case .convolution:
      mixer = .convolution(
        try DepthwiseConvolution(
          weights["mixer"], channels: channels, kernel: config.mixerKernel, dilation: 1, bias: true)
      )
    case .attention: mixer = .attention(try AttentionMixer(weights, config, channels: channels))
    }
    let mlp = weights["mlp"]
    depthwise = try DepthwiseConvolution(
      mlp["conv"], channels: channels, kernel: FastViTConfig.wideKernel, dilation: 1, bias: true)
    expand = try Linear(mlp["fc1"], inputs: channels, outputs: stage.hidden, bias: true)
    contract = try Linear(mlp["fc2"], inputs: stage.hidden, outputs: channels, bias: true)
    gamma = try mlp.vector("gamma", channels, if: config.usesLayerScale)
  }

  /// How attention wants its keys and values; nil for a block without.
  var keyValueFormat: KeyValueFormat? {
    if case .attention(let attention) = mixer { attention.keyValueFormat } else { nil }
  }

  /// - Parameter stage: whose memory for attention is used.
  func callAsFunction(
    _ input: FeatureMap, _ context: FastViTContext, stage: Int
  ) -> FeatureMap {
    let mixed: FeatureMap
    switch mixer {
    case .convolution(let convolution): mixed = context.depthwise(input, convolution)
    case .attention(let attention):
      mixed = context.nextMap(input.shape)
      attention(input.view, into: mixed.view, context.transformer(stage), context.kernels)
    }
    let output = context.nextMap(input.shape)
    multiply(mixed, into: output.view, context)
    return output
  }

  /// The MLP, tile by tile, so that the inner layer never exists in full; layer by layer where
  /// there are few rows, which make few tiles.
  private func multiply(_ x: FeatureMap, into y: MatrixView, _ context: FastViTContext) {
    let (shape, channels) = (x.shape, x.shape.channels)
    let threads = context.pool.threadCount
    if let (branch, inner) = context.wide(rows: shape.rows, channels: channels, hidden: hidden) {
      let lines = LineTiles(
        shape, threads: threads, maximumLines: ConvolutionSizes.lines)
      context.pool.forEach(count: lines.count) { piece, _ in
        depthwise(
          x.view, height: shape.height, width: shape.width, lines: lines[piece],
          into: branch[lines.rows(piece)])
      }
      let (shared, scratches) = (context.sharedProduct, context.products)
      expand(
        branch, into: inner, activation: .gelu, shared: shared, scratches: scratches,
        pool: context.pool)
      contract(
        inner, into: y, gamma: gamma, residual: x.view, shared: shared, scratches: scratches,
        pool: context.pool)
      return
    }
    let tiles = LineTiles(shape, targetRows: ConvolutionSizes.tileRows(columns: hidden))
    let groups = LineTiles(
      grouping: tiles, maximumLines: ConvolutionSizes.lines, threads: threads)
    context.pool.forEach(count: groups.count) { piece, worker in
      let (scratch, rows) = (context.scratch(worker), groups.rows(piece))
      let branch = scratch.branch.matrix(rows: rows.count, columns: channels)
      depthwise(
        x.view, height: shape.height, width: shape.width, lines: groups[piece], into: branch)
      for start in Swift.stride(from: 0, to: rows.count, by: tiles.rowsPerTile) {
        let part = start..<min(rows.count, start + tiles.rowsPerTile)
        let inner = scratch.hidden.matrix(rows: part.count, columns: hidden)
        expand(branch[part], into: inner, activation: .gelu, scratch.product)
        let place = rows.lowerBound + part.lowerBound..<rows.lowerBound + part.upperBound
        contract(
          inner, into: y[place], gamma: gamma, residual: x.view[place], scratch.product)
      }
    }
  }
}

/// Attention between all positions of a map, in heads of 32 channels.
private struct AttentionMixer: Sendable {
  private enum Norm: Sendable {
    case layer(LayerNorm)
    /// `x * scale + shift`.
    case batch(scale: Tensor, shift: Tensor)
  }

  private let norm: Norm
  private let projections: Linear
  private let out: Linear
  private let gamma: Tensor?

  /// - Parameter weights: the block's.
  init(
    _ weights: Weights, _ config: FastViTConfig, channels: Int
  ) throws(ModelError) {
    let (norm, attention) = (weights["norm"], weights["attention"])
    switch config.norm {
    case .layer:
      self.norm = .layer(
        try LayerNorm(norm, channels: channels, epsilon: FastViTConfig.epsilon))
    case .batch:
      self.norm = .batch(
        scale: try norm.tensor("scale", [channels], .vector),
        shift: try norm.tensor("shift", [channels], .vector))
    }
    projections = try Linear(
      attention["qkv"], inputs: channels, outputs: 3 * channels, bias: false)
    out = try Linear(attention["out"], inputs: channels, outputs: channels, bias: true)
    gamma = try attention.vector("gamma", channels, if: config.usesLayerScale)
  }

  /// As `TransformerLayer` chooses it.
  var keyValueFormat: KeyValueFormat {
    let product = projections.product
    return !product.scheme.isExact && product.kernels.multipliesPairs ? .bf16 : .f32
  }

  func callAsFunction(
    _ x: MatrixView, into y: MatrixView, _ memory: TransformerContext, _ kernels: KernelSet
  ) {
    let (rows, width) = (x.rows, x.columns)
    let branch = memory.branch.matrix(rows: rows, columns: width)
    memory.forRows(rows) { range in
      switch norm {
      case .layer(let norm): norm(x[range], into: branch[range])
      case .batch(let scale, let shift):
        kernels.scaleShift(x[range], scale: scale, shift: shift, into: branch[range])
      }
    }
    let joint = memory.inner.matrix(rows: rows, columns: 3 * width)
    memory.multiply(projections, branch, into: joint)
    memory.keyValues.store(
      keys: joint[columns: width..<2 * width], values: joint[columns: 2 * width..<3 * width],
      at: 0, pool: memory.pool)
    memory.attention(
      joint[columns: 0..<width], memory.keyValues, count: rows, causalFrom: nil, into: branch,
      scratches: memory.attentionScratches, pool: memory.pool)
    memory.multiply(out, branch, into: y, gamma: gamma, residual: x)
  }
}
