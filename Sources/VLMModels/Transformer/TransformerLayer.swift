import VLMTensor

/// `x += out(attention(norm1 x))`, then `x += fc2(activation(fc1(norm2 x)))`.
struct TransformerLayer: Sendable {
  /// How the checkpoint keeps the three projections, which is how they run.
  enum Projections: Sendable {
    case separate
    /// One matrix of queries, keys and values, in this order.
    case fused

    init(_ layout: CLIPLayout) { self = layout == .openCLIP ? .fused : .separate }
  }

  private let config: TransformerConfig
  private let norm1: LayerNorm
  /// Queries, keys, values; or the one that makes them all.
  private let projections: [Linear]
  private let out: Linear
  private let norm2: LayerNorm
  private let expand: Linear
  private let contract: Linear

  init(
    _ weights: Weights, _ config: TransformerConfig, _ kind: Projections
  ) throws(ModelError) {
    self.config = config
    let width = config.width
    norm1 = try LayerNorm(weights["norm1"], channels: width, epsilon: config.epsilon)
    let attention = weights["attention"]
    switch kind {
    case .separate:
      projections = [
        try Linear(attention["q"], inputs: width, outputs: width, bias: true),
        try Linear(attention["k"], inputs: width, outputs: width, bias: true),
        try Linear(attention["v"], inputs: width, outputs: width, bias: true),
      ]
    case .fused:
      projections = [try Linear(attention["qkv"], inputs: width, outputs: 3 * width, bias: true)]
    }
    out = try Linear(attention["out"], inputs: width, outputs: width, bias: true)
    norm2 = try LayerNorm(weights["norm2"], channels: width, epsilon: config.epsilon)
    let mlp = weights["mlp"]
    expand = try Linear(mlp["fc1"], inputs: width, outputs: config.hidden, bias: true)
    contract = try Linear(mlp["fc2"], inputs: config.hidden, outputs: width, bias: true)
  }

  /// How this layer wants its keys and values. Weights that are rounded already leave room for the
  /// rounding of bf16; those of f32 do not.
  var keyValueFormat: KeyValueFormat {
    let products = projections.map(\.product)
    return products.allSatisfy { !$0.scheme.isExact && $0.kernels.multipliesPairs } ? .bf16 : .f32
  }

  /// In place on the residual stream `x`: `[rows, width]`.
  ///
  /// - Parameters:
  ///   - causal: whether a row sees only itself and those before it.
  ///   - keys: how many of the rows, from the first, are looked at; nil for all.
  func callAsFunction(
    _ x: MatrixView, causal: Bool = false, keys: Int? = nil, _ context: TransformerContext
  ) {
    let (rows, width) = (x.rows, config.width)
    let branch = context.branch.matrix(rows: rows, columns: width)
    context.forRows(rows) { norm1(x[$0], into: branch[$0]) }
    let joint = context.inner.matrix(rows: rows, columns: 3 * width)
    let parts = (0..<3).map { joint[columns: $0 * width..<($0 + 1) * width] }
    let targets = projections.count == 1 ? [joint] : parts
    context.multiply(Array(zip(projections, targets)), of: branch)
    context.keyValues.store(keys: parts[1], values: parts[2], at: 0, pool: context.pool)
    // The norm has been read; its room is free for what attention makes.
    context.attention(
      parts[0], context.keyValues, count: keys ?? rows, causalFrom: causal ? 0 : nil, into: branch,
      scratches: context.attentionScratches, pool: context.pool)
    context.multiply(out, branch, into: x, residual: x)
    context.forRows(rows) { norm2(x[$0], into: branch[$0]) }
    let hidden = context.inner.matrix(rows: rows, columns: config.hidden)
    context.multiply(expand, branch, into: hidden, activation: config.activation)
    context.multiply(contract, hidden, into: x, residual: x)
  }
}

/// Memory of the layers, planned once for the most rows: one branch, the inner layer, keys and
/// values, and what products and attention need.
package final class TransformerContext: @unchecked Sendable {
  package let pool: WorkerPool
  package let rows: Int
  /// `[rows, width]`.
  let branch: Activations
  /// `[rows, hidden]`, or the three projections, or the gathered patches.
  let inner: Activations
  let keyValues: KeyValues
  let attention: Attention
  let attentionScratches: [Attention.Scratch]
  private let shared: MatrixProduct.Scratch
  private let scratches: [MatrixProduct.Scratch]

  /// Room for `rows` rows, and for products of up to `inputs` inputs beside the layers'.
  ///
  /// - Parameter format: what the layers want.
  init(
    _ config: TransformerConfig, rows: Int, inputs: Int, format: KeyValueFormat, pool: WorkerPool,
    kernels: KernelSet
  ) {
    self.pool = pool
    self.rows = rows
    let plan = TransformerPlan(config, rows: rows, inputs: inputs)
    branch = Activations(count: rows * config.width)
    inner = Activations(count: rows * plan.innerColumns)
    keyValues = KeyValues(
      capacity: rows, heads: config.heads, headDimension: config.headDimension, format: format,
      kernels: kernels)
    let attention = Attention(
      queryHeads: config.heads, keyValueHeads: config.heads, headDimension: config.headDimension,
      scale: 1 / Float(config.headDimension).squareRoot(), kernels: kernels)
    self.attention = attention
    attentionScratches = (0..<pool.threadCount).map { _ in
      Attention.Scratch(attention, kernels: kernels)
    }
    shared = MatrixProduct.Scratch(rows: rows, maximumInputs: plan.maximumInputs, kernels: kernels)
    // The rows are in the shared one; a thread needs only its kernel's own room.
    scratches = (0..<pool.threadCount).map { _ in
      MatrixProduct.Scratch(rows: 1, maximumInputs: plan.maximumInputs, kernels: kernels)
    }
  }

  /// All rows by all threads, which share the outputs.
  func multiply(
    _ linear: Linear, _ x: MatrixView, into y: MatrixView, activation: Activation = .none,
    gamma: Tensor? = nil, residual: MatrixView? = nil
  ) {
    linear(
      x, into: y, activation: activation, gamma: gamma, residual: residual, shared: shared,
      scratches: scratches, pool: pool)
  }

  /// Products of one input, which is quantized once for all of them.
  func multiply(_ layers: [(Linear, MatrixView)], of x: MatrixView) {
    MatrixProduct.run(
      layers.map { $0.task(into: $1) }, of: x, shared: shared, scratches: scratches, pool: pool)
  }

  func multiply(_ product: MatrixProduct, _ x: MatrixView, into y: MatrixView) {
    product(x, into: y, Epilogue(), shared: shared, scratches: scratches, pool: pool)
  }

  /// A convolution of gathered windows.
  func multiply(
    _ convolution: PatchConvolution, _ windows: MatrixView, into y: MatrixView,
    activation: Activation = .none
  ) {
    convolution(
      windows, into: y, activation: activation, shared: shared, scratches: scratches, pool: pool)
  }

  /// One row on the calling thread.
  func multiplyRow(
    _ linear: Linear, _ x: MatrixView, into y: MatrixView, activation: Activation = .none
  ) {
    linear(x, into: y, activation: activation, shared)
  }

  /// Runs `body` on pieces of `rows` rows, in parallel.
  func forRows(_ rows: Int, _ body: @Sendable (Range<Int>) -> Void) {
    let step = 32
    pool.forEach(count: (rows + step - 1) / step) { piece, _ in
      body(piece * step..<min(rows, (piece + 1) * step))
    }
  }
}

/// Sizes of what the layers need.
struct TransformerPlan {
  private let config: TransformerConfig
  private let rows: Int
  let innerColumns: Int
  let maximumInputs: Int

  init(_ config: TransformerConfig, rows: Int, inputs: Int) {
    self.config = config
    self.rows = rows
    innerColumns = max(3 * config.width, config.hidden, inputs)
    maximumInputs = max(config.width, config.hidden, inputs)
  }

  /// Bytes, without the threads' own, which do not grow with the image; nil when they overflow.
  func byteCount(_ format: KeyValueFormat) -> Int? {
    // Branch, the inner layer, and its quantized rows.
    let perRow = (config.width + innerColumns) * 4 + maximumInputs + 72
    let (bytes, overflow) = rows.multipliedReportingOverflow(by: perRow)
    let keyValues = KeyValues.byteCount(
      capacity: rows, heads: config.heads, headDimension: config.headDimension, format: format)
    guard !overflow, let keyValues else { return nil }
    let (sum, tooMany) = bytes.addingReportingOverflow(keyValues)
    return tooMany ? nil : sum
  }
}
