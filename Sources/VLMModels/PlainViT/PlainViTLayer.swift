import VLMTensor

/// `y = x + γ₁ out(attention(norm1 x))`, then `y + γ₂ mlp(norm2 y)`.
struct PlainViTLayer: Sendable {
  private let config: PlainViTConfig
  private let kernels: KernelSet
  private let norm1: LayerNorm
  /// Queries, keys, values; or the one that makes them all.
  private let projections: [Linear]
  private let out: Linear
  private let gamma1: Tensor?
  private let norm2: LayerNorm
  /// One matrix, or a gate's and its factor's.
  private let expand: [Linear]
  private let contract: Linear
  private let gamma2: Tensor?

  init(_ weights: Weights, _ config: PlainViTConfig) throws(ModelError) {
    self.config = config
    kernels = weights.kernels
    let (encoder, attention, mlp) = (config.encoder, weights["attention"], weights["mlp"])
    let (width, hidden) = (encoder.width, encoder.hidden)
    norm1 = try LayerNorm(weights["norm1"], channels: width, epsilon: encoder.epsilon)
    var projections: [Linear] = []
    for name in config.isFused ? ["qkv"] : ["q", "k", "v"] {
      projections.append(
        try Linear(
          attention[name], inputs: width, outputs: config.isFused ? 3 * width : width,
          bias: name == "k" ? config.hasKeyBias : config.hasProjectionBias))
    }
    self.projections = projections
    out = try Linear(attention["out"], inputs: width, outputs: width, bias: true)
    gamma1 = try attention.vector("gamma", width, if: config.usesLayerScale)
    norm2 = try LayerNorm(weights["norm2"], channels: width, epsilon: encoder.epsilon)
    switch config.mlp {
    case .plain:
      expand = [try Linear(mlp["fc1"], inputs: width, outputs: hidden, bias: true)]
    case .packedGate:
      expand = [try Linear(mlp["fc1"], inputs: width, outputs: 2 * hidden, bias: true)]
    case .splitGate:
      expand = [
        try Linear(mlp["gate"], inputs: width, outputs: hidden, bias: true),
        try Linear(mlp["up"], inputs: width, outputs: hidden, bias: true),
      ]
    }
    contract = try Linear(mlp["fc2"], inputs: hidden, outputs: width, bias: true)
    gamma2 = try mlp.vector("gamma", width, if: config.usesLayerScale)
  }

  /// As `TransformerLayer` chooses it.
  var keyValueFormat: KeyValueFormat {
    let products = projections.map(\.product)
    return products.allSatisfy { !$0.scheme.isExact && $0.kernels.multipliesPairs } ? .bf16 : .f32
  }

  /// In place on the residual stream `x`: `[rows, width]`. What a factor is multiplied with cannot
  /// be added where it lies, so the stream goes over `y` and back.
  ///
  /// - Parameter rotation: of the patches, which are the last rows; nil for a model with a table of
  ///   positions.
  func callAsFunction(
    _ x: MatrixView, by y: MatrixView, _ rotation: PatchRotation?, _ context: TransformerContext
  ) {
    let (rows, width, hidden) = (x.rows, config.encoder.width, config.encoder.hidden)
    let branch = context.branch.matrix(rows: rows, columns: width)
    context.forRows(rows) { norm1(x[$0], into: branch[$0]) }
    let joint = context.inner.matrix(rows: rows, columns: 3 * width)
    let parts = (0..<3).map { joint[columns: $0 * width..<($0 + 1) * width] }
    context.multiply(Array(zip(projections, config.isFused ? [joint] : parts)), of: branch)
    if let rotation {
      let first = rows - rotation.cosines.rows
      context.forRows(rotation.cosines.rows) { range in
        let own = first + range.lowerBound..<first + range.upperBound
        for part in parts[..<2] {
          kernels.rotateHalf(
            part[own], heads: config.encoder.heads, cosines: rotation.cosines[range],
            sines: rotation.sines[range])
        }
      }
    }
    context.keyValues.store(keys: parts[1], values: parts[2], at: 0, pool: context.pool)
    context.attention(
      parts[0], context.keyValues, count: rows, causalFrom: nil, into: branch,
      scratches: context.attentionScratches, pool: context.pool)
    context.multiply(out, branch, into: y, gamma: gamma1, residual: x)
    context.forRows(rows) { norm2(y[$0], into: branch[$0]) }
    var inner = context.inner.matrix(rows: rows, columns: hidden)
    if config.mlp.isGated {
      let both = context.inner.matrix(rows: rows, columns: 2 * hidden)
      let (gates, factors) = (both[columns: 0..<hidden], both[columns: hidden..<2 * hidden])
      let targets = config.mlp == .packedGate ? [both] : [gates, factors]
      context.multiply(Array(zip(expand, targets)), of: branch)
      context.forRows(rows) { range in
        kernels.gate(
          config.encoder.activation, gates[range], times: factors[range], into: gates[range])
      }
      inner = gates
    } else {
      context.multiply(expand[0], branch, into: inner, activation: config.encoder.activation)
    }
    context.multiply(contract, inner, into: x, gamma: gamma2, residual: y)
  }
}
