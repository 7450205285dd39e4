import VLMTensor

/// depthwise → norm → expand → activation (→ GRN) → contract → layer scale → add.
struct ConvNeXtBlock: Sendable {
  let channels: Int
  let hidden: Int
  private let depthwise: DepthwiseConvolution
  private let norm: ChannelNorm
  private let expand: Linear
  private let contract: Linear
  private let gamma: Tensor?
  private let grn: GlobalResponseNorm?
  private let activation: Activation

  init(
    _ weights: Weights, _ config: ConvNeXtConfig, _ stage: ConvNeXtConfig.Stage
  ) throws(ModelError) {
    let c = stage.channels
    channels = c
    hidden = stage.hidden
    activation = config.activation
    depthwise = try DepthwiseConvolution(
      weights["conv_dw"], channels: c, kernel: stage.kernel, dilation: stage.dilation,
      bias: config.convolutionBias)
    norm = try ChannelNorm(
      weights["norm"], channels: c, epsilon: config.epsilon, config.norm)
    expand = try Linear(weights["mlp"]["fc1"], inputs: c, outputs: stage.hidden, bias: true)
    grn =
      config.usesGRN ? try GlobalResponseNorm(weights["mlp"]["grn"], channels: stage.hidden) : nil
    contract = try Linear(weights["mlp"]["fc2"], inputs: stage.hidden, outputs: c, bias: true)
    gamma = try weights.vector("gamma", c, if: config.usesLayerScale)
  }

  /// `y = x + block(x)` over the whole batch, tile by tile, so that the hidden layer never exists
  /// in full. GRN needs statistics of it all, so there it does.
  ///
  /// - Parameters:
  ///   - x, y: `[batch * height * width, channels]`, not overlapping: tiles read their neighbours.
  func callAsFunction(
    _ x: MatrixView, into y: MatrixView, _ shape: FeatureShape, _ context: ConvNeXtContext
  ) {
    let tiles = LineTiles(shape, targetRows: ConvolutionSizes.tileRows(columns: hidden))
    if grn == nil, context.isWide(rows: shape.rows, channels: channels, hidden: hidden) {
      return wide(x, into: y, tiles, context)
    }
    guard let grn else {
      forEachTile(x, tiles, context) { rows, normed, scratch in
        let inner = scratch.hidden.matrix(rows: rows.count, columns: hidden)
        expand(normed, into: inner, activation: activation, scratch.product)
        contract(inner, into: y[rows], gamma: gamma, residual: x[rows], scratch.product)
      }
      return
    }
    let inner = context.fullHidden(rows: shape.rows, columns: hidden)
    forEachTile(x, tiles, context) { rows, normed, scratch in
      expand(normed, into: inner[rows], activation: activation, scratch.product)
    }
    grn(inner, shape, context)
    context.pool.forEach(count: tiles.count) { piece, worker in
      let rows = tiles.rows(piece)
      let scratch = context.scratch(worker)
      contract(inner[rows], into: y[rows], gamma: gamma, residual: x[rows], scratch.product)
    }
  }

  /// Calls `body` with the rows of every tile and their norm of the depthwise convolution, which is
  /// made for several tiles at a time: each line of it needs three more above and below.
  private func forEachTile(
    _ x: MatrixView, _ tiles: LineTiles, _ context: ConvNeXtContext,
    _ body: (_ rows: Range<Int>, _ normed: MatrixView, _ scratch: TileScratch) -> Void
  ) {
    let groups = LineTiles(
      grouping: tiles, maximumLines: ConvolutionSizes.lines, threads: context.pool.threadCount)
    context.pool.forEach(count: groups.count) { piece, worker in
      let scratch = context.scratch(worker)
      let rows = groups.rows(piece)
      let branch = scratch.branch.matrix(rows: rows.count, columns: channels)
      convolve(x, groups, piece, into: branch)
      for start in stride(from: 0, to: rows.count, by: tiles.rowsPerTile) {
        let part = start..<min(rows.count, start + tiles.rowsPerTile)
        let tile = branch[part]
        norm(tile, into: tile)
        body(rows.lowerBound + part.lowerBound..<rows.lowerBound + part.upperBound, tile, scratch)
      }
    }
  }

  /// Layer by layer over all rows, the threads sharing the outputs: few rows make few tiles, of
  /// which one thread may have none, and each would read all the weights.
  private func wide(
    _ x: MatrixView, into y: MatrixView, _ tiles: LineTiles, _ context: ConvNeXtContext
  ) {
    let rows = tiles.shape.rows
    let (branch, inner) = context.wideMatrices(rows: rows, channels: channels, hidden: hidden)
    // Several lines at a time: each needs three more above and below it.
    let lines = LineTiles(
      tiles.shape, threads: context.pool.threadCount, maximumLines: ConvolutionSizes.lines)
    context.pool.forEach(count: lines.count) { piece, _ in
      let tile = branch[lines.rows(piece)]
      convolve(x, lines, piece, into: tile)
      norm(tile, into: tile)
    }
    let (shared, scratches) = (context.sharedProduct, context.products)
    expand(
      branch, into: inner, activation: activation, shared: shared, scratches: scratches,
      pool: context.pool)
    contract(
      inner, into: y, gamma: gamma, residual: x, shared: shared, scratches: scratches,
      pool: context.pool)
  }

  /// The depthwise convolution of one tile: `[rows, channels]`.
  private func convolve(
    _ x: MatrixView, _ tiles: LineTiles, _ piece: Int, into tile: MatrixView
  ) {
    let shape = tiles.shape
    tiles.forEachImage(in: piece) { image, lines, offset in
      depthwise(
        x[image], height: shape.height, width: shape.width, lines: lines,
        into: tile[offset..<offset + lines.count * shape.width])
    }
  }
}

/// Global response normalisation (ConvNeXt V2, eq. 1–3), per image:
/// `y = x + weight * (x * N) + bias`, `N = G / (mean G + ε)`, `G[c] = ‖x[:, c]‖₂`.
struct GlobalResponseNorm: Sendable {
  private let weight: Tensor
  private let bias: Tensor
  private let kernels: KernelSet

  init(_ weights: Weights, channels: Int) throws(ModelError) {
    weight = try weights.tensor("weight", [channels], .vector)
    bias = try weights.tensor("bias", [channels], .vector)
    kernels = weights.kernels
  }

  /// In place on `x`: `[batch * height * width, channels]`.
  func callAsFunction(_ x: MatrixView, _ shape: FeatureShape, _ context: ConvNeXtContext) {
    let channels = x.columns
    let imageRows = shape.height * shape.width
    // Partial sums of fixed row ranges, added in order: the same result for any thread count.
    let chunk = 256
    let chunks = (imageRows + chunk - 1) / chunk
    for image in 0..<shape.batch {
      let view = x[image * imageRows..<(image + 1) * imageRows]
      let partial = Activations(count: chunks * channels)
      let sums = partial.matrix(rows: chunks, columns: channels)
      context.pool.forEach(count: chunks) { piece, _ in
        let rows = piece * chunk..<min(imageRows, (piece + 1) * chunk)
        kernels.addSquares(of: view[rows], to: sums[piece..<piece + 1])
      }
      var norms = [Double](repeating: 0, count: channels)
      for piece in 0..<chunks {
        for channel in 0..<channels { norms[channel] += Double(sums[piece, channel]) }
      }
      for channel in 0..<channels { norms[channel] = norms[channel].squareRoot() }
      let mean = norms.reduce(0, +) / Double(max(1, channels))
      let factors = Activations(count: 2 * channels)
      let factor = factors.matrix(rows: 2, columns: channels)
      for channel in 0..<channels {
        let response = norms[channel] / (mean + Double(ConvNeXtConfig.grnEpsilon))
        factor[0, channel] = Float(1 + Double(weight.floats[channel]) * response)
        factor[1, channel] = bias.floats[channel]
      }
      context.pool.forEach(count: chunks) { piece, _ in
        let rows = view[piece * chunk..<min(imageRows, (piece + 1) * chunk)]
        kernels.scaleShift(rows, scale: factor[0..<1], shift: factor[1..<2], into: rows)
      }
      withExtendedLifetime((partial, factors)) {}
    }
  }
}
