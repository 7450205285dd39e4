import VLMTensor

/// A vector for a picture by attention: a learned query, the probe, looks at all of its tokens, and
/// one MLP with a norm and a residual follows.
///
/// transformers' `SiglipMultiheadAttentionPoolingHead` and timm's `AttentionPoolLatent` with one
/// latent. The probe is no residual: `y = out(attention(probe, x))`, then `y + mlp(norm y)`.
struct AttentionPooling: Sendable {
  private enum Projections: Sendable {
    /// One matrix of queries, keys and values, in this order.
    case packed(Linear)
    case apart(query: Linear, keysAndValues: Linear)
  }

  private let config: TransformerConfig
  /// `[width]`.
  private let probe: Tensor
  private let projections: Projections
  private let out: Linear
  private let norm: LayerNorm
  private let expand: Linear
  private let contract: Linear

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  init(_ weights: Weights, _ config: SigLIPConfig) throws(ModelError) {
    let (encoder, attention, mlp) = (config.encoder, weights["attention"], weights["mlp"])
    let width = encoder.width
    self.config = encoder
    probe = try weights.tensor("probe", [width], .vector)
    switch config.layout {
    case .huggingFace:
      projections = .packed(
        try Linear(attention["qkv"], inputs: width, outputs: 3 * width, bias: true))
    case .timm:
      projections = .apart(
        query: try Linear(attention["q"], inputs: width, outputs: width, bias: true),
        keysAndValues: try Linear(attention["kv"], inputs: width, outputs: 2 * width, bias: true))
    }
    out = try Linear(attention["out"], inputs: width, outputs: width, bias: true)
    norm = try LayerNorm(weights["norm"], channels: width, epsilon: encoder.epsilon)
    expand = try Linear(mlp["fc1"], inputs: width, outputs: encoder.hidden, bias: true)
    contract = try Linear(mlp["fc2"], inputs: encoder.hidden, outputs: width, bias: true)
  }

  /// The vector of the picture whose tokens `context` holds, `[1, width]` in its memory.
  func callAsFunction(_ context: SigLIPContext) -> MatrixView {
    let (tokens, width, memory) = (context.tokens, config.width, context.transformer)
    let probeRow = context.probeRow
    for column in 0..<width { probeRow[0, column] = probe.floats[column] }
    let rows = memory.branch.matrix(rows: 2, columns: width)
    let (inner, pooled) = (rows[0..<1], rows[1..<2])
    let (query, keys, values): (MatrixView, MatrixView, MatrixView)
    switch projections {
    case .packed(let linear):
      // The probe goes along as one token more: cheaper than a product of its own.
      let joint = memory.inner.matrix(rows: tokens.rows + 1, columns: 3 * width)
      memory.multiply(linear, context.rows, into: joint)
      query = joint[tokens.rows..<tokens.rows + 1][columns: 0..<width]
      keys = joint[0..<tokens.rows][columns: width..<2 * width]
      values = joint[0..<tokens.rows][columns: 2 * width..<3 * width]
    case .apart(let queryLinear, let linear):
      let joint = memory.inner.matrix(rows: tokens.rows, columns: 2 * width)
      memory.multiply(linear, tokens, into: joint)
      memory.multiply(queryLinear, probeRow, into: pooled)
      (query, keys, values) = (
        pooled, joint[columns: 0..<width], joint[columns: width..<2 * width]
      )
    }
    memory.keyValues.store(keys: keys, values: values, at: 0, pool: memory.pool)
    memory.attention(
      query, memory.keyValues, count: tokens.rows, causalFrom: nil, into: inner,
      scratches: memory.attentionScratches, pool: memory.pool)
    memory.multiply(out, inner, into: pooled)
    norm(pooled, into: inner)
    let hidden = memory.inner.matrix(rows: 1, columns: config.hidden)
    memory.multiply(expand, inner, into: hidden, activation: config.activation)
    memory.multiply(contract, hidden, into: pooled, residual: pooled)
    return pooled
  }
}
