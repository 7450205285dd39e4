import VLMFoundation
import VLMTensor

/// LLaVA-HR's vision tower, one image at a time.
package final class MultiResolutionTower: Sendable {
  package let config: MultiResolutionConfig
  private let fast: ViT
  /// How a context for this tower keeps keys and values.
  package var keyValueFormat: KeyValueFormat { fast.keyValueFormat }
  private let slow: ConvNeXt
  private let adapters: [ResolutionAdapter]
  private let finalFast: Linear
  private let finalSlow: Linear

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(_ weights: Weights, _ config: MultiResolutionConfig) throws(ModelError) {
    self.config = config
    let (width, channels) = (config.width, config.slow.featureChannels)
    fast = try ViT(weights["fast"], config.fast)
    slow = try ConvNeXt(weights["slow"], config.slow)
    var adapters: [ResolutionAdapter] = []
    for index in 0..<(config.usesAdapters ? MultiResolutionConfig.adapterCount : 0) {
      adapters.append(
        try ResolutionAdapter(weights["adapters"][index], width: width, slowChannels: channels))
    }
    self.adapters = adapters
    // Their sum is the tower's answer.
    finalFast = try Linear(
      weights["final"]["fast"], inputs: width, outputs: width, bias: true, role: .head)
    finalSlow = try Linear(
      weights["final"]["slow"], inputs: channels, outputs: width, bias: true, role: .head)
  }

  /// Runs the tower on the image that `context.pixels` holds.
  ///
  /// - Parameter cancelled: looked at before each layer of either path.
  /// - Returns: the visual tokens row by row of the grid, `[tokens, width]`, in the context's
  ///   memory.
  package func callAsFunction(
    _ context: MultiResolutionContext, cancelled: CancellationFlag? = nil,
    observe: TowerObserver? = nil
  ) throws(ModelError) -> MatrixView {
    func show(
      _ point: MultiResolutionPoint, _ value: MatrixView, _ layout: Observation.Layout
    ) {
      observe?(Observation(point, value, layout))
    }
    // The slow path writes over its input, so the copy comes first.
    let copy = context.makeSmallCopy()
    show(.smallCopy, copy, .map(context.fastPixels.shape(copy.columns)))
    let high = try slow.features(context.slowShape, context.slow, cancelled: cancelled) { seen in
      observe?(seen.renamed(MultiResolutionPoint.slow(seen.point)))
    }.view
    let tokens = fast.embed(context.fast) { seen in
      observe?(seen.renamed(MultiResolutionPoint.fast(seen.point)))
    }
    let layers = config.fast.encoder.layers
    let quarter = adapters.isEmpty ? layers : config.layersPerQuarter
    for (index, first) in stride(from: 0, to: layers, by: quarter).enumerated() {
      let range = first..<min(layers, first + quarter)
      try fast.run(range, tokens, context.fast, cancelled: cancelled) { seen in
        observe?(seen.renamed(MultiResolutionPoint.fast(seen.point)))
      }
      guard index < adapters.count else { continue }
      show(.adapter(index, .entering), tokens, .tokens)
      adapters[index](tokens, high, context, isObserved: observe != nil) { point, value, layout in
        show(.adapter(index, point), value, layout)
      }
      show(.adapter(index, .leaving), tokens, .tokens)
    }
    show(.fusion(.entering), tokens, .tokens)
    return fuse(tokens, high, context, isObserved: observe != nil) { show($0, $1, .tokens) }
  }

  /// `A_f y + a_f + A_s h + a_s`, h fitted to the fast grid before its product.
  private func fuse(
    _ tokens: MatrixView, _ high: MatrixView, _ context: MultiResolutionContext, isObserved: Bool,
    observe: (_ point: MultiResolutionPoint, _ value: MatrixView) -> Void
  ) -> MatrixView {
    let result = context.value.matrix(rows: tokens.rows, columns: config.width)
    let fitted = context.fit(
      high, into: context.inner.matrix(rows: tokens.rows, columns: high.columns))
    context.multiply(finalFast, tokens, into: result)
    observe(.fusion(.fast), result)
    if isObserved {
      context.showProduct(finalSlow, fitted, columns: config.width) {
        observe(.fusion(.slow), $0)
      }
    }
    context.multiply(finalSlow, fitted, into: result, residual: result)
    observe(.visualTokens, result)
    return result
  }
}

/// One MR-adapter: `y1 = y + P_f(GELU(K_f y))`, `v = P_s(GELU(C_s h))`,
/// `y = y1 + tanh(G mean(y1, v)) v`.
struct ResolutionAdapter: Sendable {
  private let width: Int
  private let slowInner: Linear
  private let slowOuter: Linear
  private let fastInner: DepthwiseConvolution
  private let fastOuter: Linear
  private let gateInner: Linear
  /// `[1, width / 2]`: one output, so a vector; kept whole, because it scales all of `v`.
  private let gateOuter: Tensor
  private let gateBias: Tensor
  private let kernels: KernelSet

  init(_ weights: Weights, width: Int, slowChannels: Int) throws(ModelError) {
    self.width = width
    kernels = weights.kernels
    slowInner = try Linear(
      weights["slow_conv"], inputs: slowChannels, outputs: slowChannels, bias: true)
    slowOuter = try Linear(weights["slow_proj"], inputs: slowChannels, outputs: width, bias: true)
    fastInner = try DepthwiseConvolution(
      weights["fast_conv"], channels: width, kernel: 7, dilation: 1, bias: true)
    fastOuter = try Linear(weights["fast_proj"], inputs: width, outputs: width, bias: true)
    gateInner = try Linear(weights["gate"][0], inputs: 2 * width, outputs: width / 2, bias: true)
    gateOuter = try weights["gate"][2].tensor("weight", [1, width / 2], .vector)
    gateBias = try weights["gate"][2].tensor("bias", [1], .vector)
  }

  /// In place on the fast path's `tokens`; `high` is the slow path's map and is left as it is.
  func callAsFunction(
    _ tokens: MatrixView, _ high: MatrixView, _ context: MultiResolutionContext, isObserved: Bool,
    observe: (
      _ point: MultiResolutionPoint.Adapter, _ value: MatrixView, _ layout: Observation.Layout
    ) -> Void
  ) {
    let grids = context.grids
    let inner = context.inner.matrix(rows: high.rows, columns: high.columns)
    context.multiply(slowInner, high, into: inner, activation: .gelu)
    let projected = context.projected.matrix(rows: high.rows, columns: width)
    context.multiply(slowOuter, inner, into: projected)
    observe(.slow, projected, .map(grids.slow.shape(width)))
    let value = context.fit(
      projected, into: context.value.matrix(rows: tokens.rows, columns: width))

    let branch = context.branch.matrix(rows: tokens.rows, columns: width)
    let grid = grids.fast
    context.pool.forEach(count: grid.height) { line, _ in
      let rows = branch[line * grid.width..<(line + 1) * grid.width]
      fastInner(tokens, height: grid.height, width: grid.width, lines: line..<line + 1, into: rows)
      kernels.activate(.gelu, rows)
    }
    if isObserved {
      context.showProduct(fastOuter, branch, columns: width) {
        observe(.fast, $0, .map(grid.shape(width)))
      }
    }
    context.multiply(fastOuter, branch, into: tokens, residual: tokens)

    let means = context.gate.matrix(rows: 1, columns: 2 * width)
    kernels.meanOfRows(tokens, into: means[columns: 0..<width])
    kernels.meanOfRows(value, into: means[columns: width..<2 * width])
    let hidden = context.gateHidden.matrix(rows: 1, columns: width / 2)
    context.multiplyRow(gateInner, means, into: hidden, activation: .gelu)
    var sum = Double(gateBias.floats[0])
    for index in 0..<width / 2 {
      sum += Double(gateOuter.floats[index]) * Double(hidden[0, index])
    }
    hidden[0, 0] = Float(sum)
    observe(.gate, hidden[columns: 0..<1], .vectors)
    let gate = tanhf(Float(sum))
    context.pool.forEach(count: grid.height) { line, _ in
      let rows = line * grid.width..<(line + 1) * grid.width
      tokens[rows].add(value[rows], times: gate)
    }
  }
}

#if canImport(Glibc)
  import Glibc
#endif
