import VLMTensor

/// One convolution with its activation, run in the way that its kind runs best.
struct MobileNetLayer: Sendable {
  private enum Kind: Sendable {
    case pointwise(Linear)
    /// Gathered windows and a product.
    case dense(PatchConvolution)
    case depthwise(GroupedConvolution)
    case smoothing(MobileNetConfig.Smoothing)
  }

  private let kind: Kind
  private let config: MobileNetConfig.Layer

  init(
    _ weights: Weights, _ config: MobileNetConfig.Layer, inputs: Int
  ) throws(ModelError) {
    self.config = config
    if let smoothing = config.smoothing {
      kind = .smoothing(smoothing)
      return
    }
    guard let outputs = config.outputs else {
      kind = .depthwise(
        try GroupedConvolution(
          weights, inputs: inputs, multiplier: 1, kernel: config.kernel, stride: config.stride))
      return
    }
    guard config.kernel > 1 || config.stride > 1 else {
      kind = .pointwise(try Linear(weights, inputs: inputs, outputs: outputs, bias: true))
      return
    }
    kind = .dense(
      try PatchConvolution(
        weights, inputs: inputs, outputs: outputs, geometry: Self.geometry(config), bias: true,
        role: Self.isStem(inputs: inputs) ? .convolution : .patchConvolution))
  }

  /// The windows of a dense convolution: as much padding as leaves the extent at stride 1.
  static func geometry(_ config: MobileNetConfig.Layer) -> PatchGeometry {
    PatchGeometry(
      kernel: config.kernel, stride: config.stride, padding: config.kernel / 2,
      trailingPadding: config.kernel / 2)
  }

  /// Whether a convolution reads the picture itself, which quantized weights would harm most.
  private static func isStem(inputs: Int) -> Bool { inputs <= 3 }

  func output(_ map: FeatureShape) -> FeatureShape { config.output(map) }

  /// `y = residual + gamma * activation(convolution(x))`, without the parts that are nil.
  ///
  /// - Parameter y: without gaps, and neither `x` nor a part of it.
  func callAsFunction(
    _ x: FeatureMap, into y: MatrixView, gamma: Tensor? = nil, residual: MatrixView? = nil,
    _ context: MobileNetContext
  ) {
    let (shape, activation) = (output(x.shape), config.activation)
    switch kind {
    case .pointwise(let linear):
      context.multiply(
        linear, x.view, into: y, activation: activation, gamma: gamma, residual: residual)
    case .dense(let convolution):
      let columns = convolution.geometry.kernel * convolution.geometry.kernel * x.view.columns
      let tiles = MobileNetPlan.denseTiles(shape, columns: columns)
      context.pool.forEach(count: tiles.count) { piece, worker in
        let (scratch, rows) = (context.scratch(worker), tiles.rows(piece))
        let windows = scratch.hidden.matrix(rows: rows.count, columns: columns)
        convolution.geometry.gather(
          x.view, height: x.shape.height, width: x.shape.width, lines: tiles[piece],
          into: windows)
        convolution(
          windows, into: y[rows], activation: activation, gamma: gamma,
          residual: residual?[rows], scratch.product)
      }
    case .depthwise(let convolution):
      context.convolve(x, convolution, into: FeatureMap(view: y, shape: shape)) { lines, rows in
        if activation != .none { context.kernels.activate(activation, lines) }
        lines.rejoin(residual?[rows], gamma: gamma)
      }
    case .smoothing(let smoothing):
      context.pool.forEach(count: shape.height) { line, _ in
        let target = y[line * shape.width..<(line + 1) * shape.width]
        switch smoothing {
        case .mean: Self.average(x, line, into: target)
        case .blur: Self.blur(x, line, into: target)
        }
      }
    }
  }

  /// A line of means of four features.
  private static func average(_ x: FeatureMap, _ line: Int, into y: MatrixView) {
    for column in 0..<y.rows {
      let first = 2 * line * x.shape.width + 2 * column
      let second = first + x.shape.width
      for channel in 0..<y.columns {
        let upper = x.view[first, channel] + x.view[first + 1, channel]
        let lower = x.view[second, channel] + x.view[second + 1, channel]
        y[column, channel] = (upper + lower) / 4
      }
    }
  }

  /// A line of what the filter makes of features two apart.
  private static func blur(_ x: FeatureMap, _ line: Int, into y: MatrixView) {
    let (taps, width) = ([(-1, Float(0.25)), (0, 0.5), (1, 0.25)], x.shape.width)
    y.fill(0)
    for (down, outer) in taps where (0..<x.shape.height).contains(2 * line + down) {
      let first = (2 * line + down) * width
      for column in 0..<y.rows {
        for (right, inner) in taps where (0..<width).contains(2 * column + right) {
          let place = first + 2 * column + right
          y[column..<column + 1].add(x.view[place..<place + 1], times: outer * inner)
        }
      }
    }
  }
}

extension MobileNetConfig.Layer {
  func output(_ map: FeatureShape) -> FeatureShape {
    guard smoothing != .mean else {
      return FeatureShape(
        batch: 1, height: map.height / stride, width: map.width / stride, channels: map.channels)
    }
    return FeatureShape(
      batch: 1, height: (map.height - 1) / stride + 1, width: (map.width - 1) / stride + 1,
      channels: outputs ?? map.channels)
  }
}
