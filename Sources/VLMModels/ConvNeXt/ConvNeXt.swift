// ConvNeXt V1 and V2 as timm's `convnext.py` computes them, for a batch of images of one size.

import VLMFoundation
import VLMTensor

package final class ConvNeXt: Sendable {
  package let config: ConvNeXtConfig
  private let stem: Stem
  private let stages: [Stage]
  private let head: Head

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(_ weights: Weights, _ config: ConvNeXtConfig) throws(ModelError) {
    self.config = config
    stem = try Stem(weights["stem"], config)
    var stages: [Stage] = []
    var channels = config.stemConvolutions.last?.outputs ?? 0
    for (index, stage) in config.stages.enumerated() {
      stages.append(try Stage(weights["stages"][index], config, stage, inputs: channels))
      channels = stage.channels
    }
    self.stages = stages
    head = try Head(weights, config)
  }

  /// Results of a forward pass, each `[batch, …]`.
  package struct Output: Sendable {
    /// The mean of the last feature map: `[batch, channels]`.
    package var pooled: [Float]
    /// One row per image: what the head makes of it, logits or joint embedding before its norm.
    package var logits: [Float]?
    /// The vector that stands for the image: L2-normalised for a joint embedding, else the
    /// (normed) pooled features.
    package var embedding: [Float]
    package var embeddingCount: Int
  }

  /// Runs the model on the images that `context.input(shape)` holds.
  ///
  /// - Parameter cancelled: looked at before each block.
  /// - Throws: `ModelError` for images that are too small, and with `.cancelled` once the flag is.
  package func callAsFunction(
    _ shape: FeatureShape, _ context: ConvNeXtContext, cancelled: CancellationFlag? = nil,
    observe: TowerObserver? = nil
  ) throws(ModelError) -> Output {
    head(try trunk(shape, context, cancelled, observe), context, observe)
  }

  /// The last stage's feature map as it leaves the trunk, with neither norm nor pooling: what image
  /// towers of language models take, row by row from the top left.
  ///
  /// - Parameter cancelled: looked at before each block.
  /// - Returns: a view into `context`, valid until it is used again.
  /// - Throws: as a whole pass.
  package func features(
    _ shape: FeatureShape, _ context: ConvNeXtContext, cancelled: CancellationFlag? = nil,
    observe: TowerObserver? = nil
  ) throws(ModelError) -> (view: MatrixView, shape: FeatureShape) {
    let map = try trunk(shape, context, cancelled, observe)
    return (map.view, map.shape)
  }

  private func trunk(
    _ shape: FeatureShape, _ context: ConvNeXtContext, _ cancelled: CancellationFlag?,
    _ observe: TowerObserver?
  ) throws(ModelError) -> FeatureMap {
    let plan = try ConvNeXtPlan(config, input: shape, wideElements: 0)
    precondition(context.hasRoom(for: plan), "planned for the input")
    var map = stem(context.firstMap(shape), context)
    observe?(Observation(ConvNeXtPoint.stem, map.view, .map(map.shape)))
    for (index, stage) in stages.enumerated() {
      map = try stage(map, context, cancelled)
      observe?(Observation(ConvNeXtPoint.stage(index), map.view, .map(map.shape)))
    }
    return map
  }
}

extension ConvNeXtContext {
  /// A convolution over windows, tile by tile, with a norm on either side of it.
  func convolve(
    _ x: FeatureMap, _ convolution: PatchConvolution, normBefore: ChannelNorm? = nil,
    normAfter: ChannelNorm? = nil, activation: Activation = .none
  ) -> FeatureMap {
    let geometry = convolution.geometry
    if let normBefore, !geometry.isPartition {
      let tiles = LineTiles(x.shape, targetRows: 256)
      pool.forEach(count: tiles.count) { piece, _ in
        let rows = x.view[tiles.rows(piece)]
        normBefore(rows, into: rows)
      }
    }
    let shape = FeatureShape(
      batch: x.shape.batch, height: geometry.outputExtent(x.shape.height),
      width: geometry.outputExtent(x.shape.width), channels: convolution.outputs)
    let y = nextMap(shape)
    let window = geometry.kernel * geometry.kernel * x.shape.channels
    if normAfter == nil, let windows = wideWindows(rows: shape.rows, columns: window) {
      gatherWide(x, geometry, shape, normBefore: normBefore, into: windows)
      convolution(
        windows, into: y.view, activation: activation, shared: sharedProduct, scratches: products,
        pool: pool)
      return y
    }
    let tiles = LineTiles(shape, targetRows: ConvolutionSizes.tileRows(columns: window))
    pool.forEach(count: tiles.count) { piece, worker in
      let scratch = scratch(worker)
      let rows = tiles.rows(piece)
      let windows = scratch.hidden.matrix(rows: rows.count, columns: window)
      gather(x, geometry, tiles, piece, normBefore: normBefore, into: windows)
      let tile = y.view[rows]
      convolution(windows, into: tile, activation: activation, scratch.product)
      normAfter?(tile, into: tile)
    }
    return y
  }

  /// All windows of a convolution of few rows, whose product the threads then share.
  private func gatherWide(
    _ x: FeatureMap, _ geometry: PatchGeometry, _ shape: FeatureShape, normBefore: ChannelNorm?,
    into windows: MatrixView
  ) {
    let tiles = LineTiles(shape, threads: pool.threadCount, maximumLines: ConvolutionSizes.lines)
    pool.forEach(count: tiles.count) { piece, _ in
      gather(
        x, geometry, tiles, piece, normBefore: normBefore, into: windows[tiles.rows(piece)])
    }
  }

  /// The windows of one tile of the output, normed where each pixel is in one window only.
  private func gather(
    _ x: FeatureMap, _ geometry: PatchGeometry, _ tiles: LineTiles, _ piece: Int,
    normBefore: ChannelNorm?, into windows: MatrixView
  ) {
    let shape = tiles.shape
    let imageRows = x.shape.height * x.shape.width
    tiles.forEachImage(in: piece) { image, lines, offset in
      let index = image.lowerBound / (shape.height * shape.width)
      geometry.gather(
        x.view[index * imageRows..<(index + 1) * imageRows], height: x.shape.height,
        width: x.shape.width, lines: lines,
        into: windows[offset..<offset + lines.count * shape.width])
    }
    if let normBefore, geometry.isPartition {
      let pixels = windows.reshaped(
        rows: windows.rows * geometry.kernel * geometry.kernel, columns: x.shape.channels)
      normBefore(pixels, into: pixels)
    }
  }
}

/// Convolutions that turn pixels into the first feature map, then a norm.
private struct Stem: Sendable {
  private let convolutions: [PatchConvolution]
  private let norm: ChannelNorm
  private let activation: Activation

  init(_ weights: Weights, _ config: ConvNeXtConfig) throws(ModelError) {
    let parts = config.stemConvolutions
    var activated = false
    if case .overlap(_, true) = config.stem { activated = true }
    // timm numbers the stem's parts, the activation included.
    let step = activated ? 2 : 1
    var convolutions: [PatchConvolution] = []
    for (index, part) in parts.enumerated() {
      convolutions.append(
        try PatchConvolution(
          weights[index * step], inputs: part.inputs, outputs: part.outputs,
          geometry: part.geometry, bias: config.convolutionBias, role: .convolution))
    }
    self.convolutions = convolutions
    norm = try ChannelNorm(
      weights[(parts.count - 1) * step + 1], channels: parts.last?.outputs ?? 0,
      epsilon: config.epsilon, config.norm)
    activation = activated ? config.activation : .none
  }

  func callAsFunction(_ pixels: FeatureMap, _ context: ConvNeXtContext) -> FeatureMap {
    var map = pixels
    for (index, convolution) in convolutions.enumerated() {
      let isLast = index == convolutions.count - 1
      map = context.convolve(
        map, convolution, normAfter: isLast ? norm : nil,
        activation: isLast ? .none : activation)
    }
    return map
  }
}

/// Norm and downsampling convolution, where there are, then the blocks.
private struct Stage: Sendable {
  private let downsampleNorm: ChannelNorm?
  private let downsample: PatchConvolution?
  private let blocks: [ConvNeXtBlock]

  init(
    _ weights: Weights, _ config: ConvNeXtConfig, _ stage: ConvNeXtConfig.Stage, inputs: Int
  ) throws(ModelError) {
    if let geometry = stage.downsample {
      downsampleNorm = try ChannelNorm(
        weights["downsample"][0], channels: inputs, epsilon: config.epsilon, config.norm)
      downsample = try PatchConvolution(
        weights["downsample"][1], inputs: inputs, outputs: stage.channels, geometry: geometry,
        bias: config.convolutionBias, role: .patchConvolution)
    } else {
      downsampleNorm = nil
      downsample = nil
    }
    var blocks: [ConvNeXtBlock] = []
    for index in 0..<stage.depth {
      blocks.append(try ConvNeXtBlock(weights["blocks"][index], config, stage))
    }
    self.blocks = blocks
  }

  func callAsFunction(
    _ input: FeatureMap, _ context: ConvNeXtContext, _ cancelled: CancellationFlag?
  ) throws(ModelError) -> FeatureMap {
    var map = input
    if let downsample { map = context.convolve(map, downsample, normBefore: downsampleNorm) }
    for block in blocks {
      try ModelError.check(cancelled)
      let next = context.nextMap(map.shape)
      block(map.view, into: next.view, map.shape, context)
      map = next
    }
    return map
  }
}

/// Pooling, norms and the linear layers on top.
private struct Head: Sendable {
  private let config: ConvNeXtConfig.Head
  private let normBeforePool: ChannelNorm?
  private let normAfterPool: ChannelNorm?
  private let hidden: Linear?
  private let output: Linear?
  private let layers: HeadStack?
  private let kernels: KernelSet

  init(_ weights: Weights, _ model: ConvNeXtConfig) throws(ModelError) {
    let (config, channels) = (model.head, model.featureChannels)
    self.config = config
    normBeforePool =
      config.normBeforePool
      ? try ChannelNorm(
        weights["norm_pre"], channels: channels, epsilon: model.headEpsilon, model.norm) : nil
    normAfterPool =
      config.normAfterPool
      ? try ChannelNorm(
        weights["head"]["norm"], channels: channels, epsilon: model.headEpsilon, model.norm) : nil
    if let width = config.hidden {
      hidden = try Linear(
        weights["head"]["pre_logits"]["fc"], inputs: model.pooledChannels, outputs: width,
        bias: config.hiddenBias)
    } else {
      hidden = nil
    }
    layers =
      config.layers.isEmpty
      ? nil : try HeadStack(weights["head"]["layers"], inputs: model.pooledChannels, config.layers)
    if let final = config.output, layers == nil {
      output = try Linear(
        weights["head"]["fc"], inputs: config.hidden ?? model.pooledChannels, outputs: final.count,
        bias: final.bias, role: .head)
    } else {
      output = nil
    }
    kernels = weights.kernels
  }

  func callAsFunction(
    _ map: FeatureMap, _ context: ConvNeXtContext, _ observe: TowerObserver?
  ) -> ConvNeXt.Output {
    let (shape, channels) = (map.shape, map.shape.channels)
    if let normBeforePool {
      let tiles = LineTiles(shape, targetRows: 256)
      context.pool.forEach(count: tiles.count) { piece, _ in
        let rows = map.view[tiles.rows(piece)]
        normBeforePool(rows, into: rows)
      }
    }
    observe?(Observation(ConvNeXtPoint.features, map.view, .map(shape)))
    let width = config.pooling == .mean ? channels : 2 * channels
    let vectors = Activations(
      count: shape.batch * (width + (config.hidden ?? 0) + (config.output?.count ?? 0)))
    defer { withExtendedLifetime(vectors) {} }
    func show(_ point: ConvNeXtPoint, _ value: MatrixView) {
      observe?(Observation(point, value, .vectors))
    }
    var free = vectors.matrix(rows: 1, columns: vectors.count)
    func take(_ columns: Int) -> MatrixView {
      let (part, rest) = free.split(rows: shape.batch, columns: columns)
      free = rest
      return part
    }
    let pooled = take(width)
    let imageRows = shape.height * shape.width
    for image in 0..<shape.batch {
      let rows = map.view[image * imageRows..<(image + 1) * imageRows]
      let row = pooled[image..<image + 1]
      switch config.pooling {
      case .mean: kernels.meanOfRows(rows, into: row)
      case .maxMean:
        let (largest, mean) = row.split(rows: 1, columns: channels)
        kernels.maximumOfRows(rows, into: largest)
        kernels.meanOfRows(rows, into: mean)
      }
    }
    show(.pooled, pooled)
    var result = ConvNeXt.Output(
      pooled: pooled.array(), logits: nil, embedding: [], embeddingCount: width)
    if let normAfterPool {
      normAfterPool(pooled, into: pooled)
      show(.headNorm, pooled)
    }
    result.embedding = pooled.array()
    let scratch = context.scratch(0).product
    var features = pooled
    if let hidden, let width = config.hidden {
      let inner = take(width)
      hidden(features, into: inner, activation: .gelu, scratch)
      show(.preLogits, inner)
      features = inner
    }
    if let final = config.output {
      let logits = take(final.count)
      if let layers {
        logits.assign(
          layers(result.embedding, rows: shape.batch) { index, value in
            show(.headLayer(index), value)
          })
      }
      output?(features, into: logits, scratch)
      show(.logits, logits)
      result.logits = logits.array()
      if final.meaning == .embedding {
        result.embeddingCount = final.count
        result.embedding = (0..<logits.rows).flatMap { row in
          logits[row..<row + 1].array().unitLength
        }
      }
    }
    return result
  }
}
