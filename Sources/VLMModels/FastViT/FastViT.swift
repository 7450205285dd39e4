import VLMFoundation
import VLMTensor

/// FastViT as timm's `fastvit.py` computes it behind training, one picture at a time: parallel
/// branches of convolutions with batch norms are one convolution each.
package final class FastViT: Sendable {
  package let config: FastViTConfig
  let kernels: KernelSet
  private let stem: FastViTStem
  private let stages: [Stage]
  private let final: GroupedConvolution
  private let finalSqueeze: SqueezeExcite
  private let head: HeadStack?

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(_ weights: Weights, _ config: FastViTConfig) throws(ModelError) {
    self.config = config
    kernels = weights.kernels
    var channels = config.stages.first?.channels ?? 0
    stem = try FastViTStem(weights["stem"], channels: channels)
    var stages: [Stage] = []
    for (index, stage) in config.stages.enumerated() {
      stages.append(try Stage(weights["stages"][index], config, stage, inputs: channels))
      channels = stage.channels
    }
    self.stages = stages
    final = try GroupedConvolution(
      weights["final_conv"], inputs: channels, multiplier: config.outputs / max(1, channels),
      kernel: FastViTConfig.finalKernel, stride: 1)
    finalSqueeze = try SqueezeExcite(
      weights["final_conv"]["se"], channels: config.outputs, hidden: config.squeeze)
    head = try config.head.map { head throws(ModelError) in
      try HeadStack(
        weights["head"], inputs: config.outputs, [.linear(outputs: head.count, bias: head.bias)])
    }
  }

  /// How a context for this tower keeps keys and values of attention.
  var keyValueFormat: KeyValueFormat {
    stages.lazy.flatMap(\.blocks).compactMap(\.keyValueFormat).first ?? .f32
  }

  /// Runs the tower on the picture that `context.pixels` holds.
  ///
  /// - Parameter cancelled: looked at before each block.
  /// - Returns: the map behind the last convolution, in the context's memory.
  /// - Throws: `ModelError` with `.cancelled` once the flag is.
  func map(
    _ context: FastViTContext, cancelled: CancellationFlag?, observe: TowerObserver?
  ) throws(ModelError) -> FeatureMap {
    var map = stem(context)
    observe?(Observation(ConvolutionPoint.stem, map.view, .map(map.shape)))
    for (index, stage) in stages.enumerated() {
      map = try stage(map, context, index: index, cancelled)
      observe?(Observation(ConvolutionPoint.stage(index), map.view, .map(map.shape)))
    }
    try ModelError.check(cancelled)
    map = context.convolve(map, final)
    finalSqueeze(map.view, context)
    context.activate(map.view)
    observe?(Observation(ConvolutionPoint.features, map.view, .map(map.shape)))
    return map
  }

  /// Of the pooled vector; nil for a tower without a head.
  func logits(_ pooled: [Float]) -> [Float]? { head?(pooled, rows: 1) }
}

/// Three convolutions, a GELU behind each: dense with stride 2, depthwise with stride 2, pointwise.
struct FastViTStem: Sendable {
  let dense: PatchConvolution
  private let depthwise: GroupedConvolution
  private let pointwise: PatchConvolution
  private let channels: Int

  static let geometry = PatchGeometry(
    kernel: FastViTConfig.stemKernel, stride: 2, padding: 1, trailingPadding: 1)
  /// Output lines of a tile: each wants two of the first map, and one more above all of them.
  static let lines = 4

  init(_ weights: Weights, channels: Int) throws(ModelError) {
    self.channels = channels
    dense = try PatchConvolution(
      weights[0], inputs: 3, outputs: channels, geometry: Self.geometry, bias: true,
      role: .convolution)
    depthwise = try GroupedConvolution(
      weights[1], inputs: channels, multiplier: 1, kernel: FastViTConfig.stemKernel, stride: 2)
    pointwise = try PatchConvolution(
      weights[2], inputs: channels, outputs: channels,
      geometry: PatchGeometry(kernel: 1, stride: 1), bias: true, role: .convolution)
  }

  /// The first map, the largest of all, exists a few lines at a time.
  func callAsFunction(_ context: FastViTContext) -> FeatureMap {
    let (input, middle, output) = (context.input, context.plan.middle, context.plan.stem)
    let y = context.nextMap(output)
    let tiles = LineTiles(output, threads: context.pool.threadCount, maximumLines: Self.lines)
    context.pool.forEach(count: tiles.count) { piece, worker in
      let scratch = context.scratch(worker)
      let lines = tiles[piece]
      let inner = depthwise.inputLines(lines, height: middle.height)
      let first = scratch.hidden.matrix(rows: inner.count * middle.width, columns: channels)
      let windows = scratch.branch.matrix(rows: middle.width, columns: 27)
      for (index, line) in inner.enumerated() {
        Self.geometry.gather(
          context.pixels, height: input.height, width: input.width, lines: line..<line + 1,
          into: windows)
        dense(
          windows, into: first[index * middle.width..<(index + 1) * middle.width],
          activation: .gelu, scratch.product)
      }
      let second = scratch.branch.matrix(rows: lines.count * output.width, columns: channels)
      depthwise(
        first, from: inner.lowerBound, height: middle.height, width: middle.width, lines: lines,
        into: second, scratch: scratch.lines)
      context.kernels.activate(.gelu, second)
      pointwise(second, into: y.view[tiles.rows(piece)], activation: .gelu, scratch.product)
    }
    return y
  }
}

/// Channels weighed by what their means over the map say (Hu et al., "Squeeze-and-Excitation
/// Networks"): `x * sigmoid(fc2(relu(fc1(mean x))))`.
struct SqueezeExcite: Sendable {
  private let reduce: Linear
  private let expand: Linear
  private let hidden: Int

  init(_ weights: Weights, channels: Int, hidden: Int) throws(ModelError) {
    self.hidden = hidden
    reduce = try Linear(weights["fc1"], inputs: channels, outputs: hidden, bias: true)
    expand = try Linear(weights["fc2"], inputs: hidden, outputs: channels, bias: true)
  }

  /// In place on the map `x`.
  func callAsFunction(_ x: MatrixView, _ context: FastViTContext) {
    let channels = x.columns
    let memory = Activations(count: 2 * channels + hidden)
    defer { withExtendedLifetime(memory) {} }
    let (rows, rest) = memory.matrix(rows: 1, columns: memory.count)
      .split(rows: 2, columns: channels)
    let (gate, zeros) = (rows[0..<1], rows[1..<2])
    let (inner, _) = rest.split(rows: 1, columns: hidden)
    context.kernels.meanOfRows(x, into: gate)
    let product = context.scratch(0).product
    reduce(gate, into: inner, activation: .relu, product)
    expand(inner, into: gate, product)
    for channel in 0..<channels {
      gate[0, channel] = Float(HeadActivation.sigmoid(Double(gate[0, channel])))
      zeros[0, channel] = 0
    }
    context.forRows(x.rows) { rows in
      context.kernels.scaleShift(x[rows], scale: gate, shift: zeros, into: x[rows])
    }
  }
}

/// A downsampling, where there is one, positions, and blocks.
private struct Stage: Sendable {
  private let downsample: Downsampling?
  private let positions: DepthwiseConvolution?
  let blocks: [FastViTBlock]

  init(
    _ weights: Weights, _ config: FastViTConfig, _ stage: FastViTConfig.Stage, inputs: Int
  ) throws(ModelError) {
    downsample =
      stage.downsamples
      ? try Downsampling(weights["downsample"], config, stage, inputs: inputs) : nil
    positions =
      stage.hasPositions
      ? try DepthwiseConvolution(
        weights["positions"], channels: stage.channels, kernel: FastViTConfig.wideKernel,
        dilation: 1, bias: true) : nil
    var blocks: [FastViTBlock] = []
    for index in 0..<stage.depth {
      blocks.append(try FastViTBlock(weights["blocks"][index], config, stage))
    }
    self.blocks = blocks
  }

  func callAsFunction(
    _ input: FeatureMap, _ context: FastViTContext, index: Int, _ cancelled: CancellationFlag?
  ) throws(ModelError) -> FeatureMap {
    var map = input
    if let downsample {
      try ModelError.check(cancelled)
      map = downsample(map, context)
    }
    if let positions { map = context.depthwise(map, positions) }
    for block in blocks {
      try ModelError.check(cancelled)
      map = block(map, context, stage: index)
    }
    return map
  }
}

/// A large convolution of stride 2 that widens the map, and a pointwise one.
private struct Downsampling: Sendable {
  private let large: GroupedConvolution
  private let squeeze: SqueezeExcite?
  private let isActivated: Bool
  private let pointwise: PatchConvolution

  init(
    _ weights: Weights, _ config: FastViTConfig, _ stage: FastViTConfig.Stage, inputs: Int
  ) throws(ModelError) {
    large = try GroupedConvolution(
      weights[0], inputs: inputs, multiplier: stage.channels / max(1, inputs),
      kernel: config.downsampleKernel, stride: 2)
    squeeze = try stage.squeeze.map { hidden throws(ModelError) in
      try SqueezeExcite(weights["se"], channels: stage.channels, hidden: hidden)
    }
    isActivated = config.activatesDownsampling
    pointwise = try PatchConvolution(
      weights[1], inputs: stage.channels, outputs: stage.channels,
      geometry: PatchGeometry(kernel: 1, stride: 1), bias: true, role: .patchConvolution)
  }

  func callAsFunction(_ input: FeatureMap, _ context: FastViTContext) -> FeatureMap {
    let map = context.convolve(input, large)
    squeeze?(map.view, context)
    if isActivated { context.activate(map.view) }
    let next = context.nextMap(map.shape)
    context.multiply(pointwise, map.view, into: next.view, activation: .gelu)
    return next
  }
}
