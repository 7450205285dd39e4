import VLMTensor

/// `h += o(attention(norm h)); h += down(SiLU(gate n) · up n), n = norm h`, with what the traits say of
/// the layer: norms of queries and keys, of what is added to h instead of or beside those of h, a scale
/// of what is added, another activation, no rotation.
struct LLaMABlock: Sendable {
  private let config: LLaMAConfig
  private let own: LayerTraits
  /// Of what queries, keys and values are made of; nil: h itself.
  private let inputNorm: RMSNorm?
  private let query: Linear
  private let key: Linear
  private let value: Linear
  /// Of queries and of keys, head by head.
  private let headNorms: (query: HeadNorm, key: HeadNorm)?
  /// The same of all heads together.
  private let wholeNorms: (query: RMSNorm, key: RMSNorm)?
  private let output: Linear
  /// Of what the gated layer reads; nil: h itself.
  private let innerNorm: RMSNorm?
  /// Of what the attention and the gated layer add to the residual stream.
  private let branchNorms: (attention: RMSNorm, feedForward: RMSNorm)?
  private let gate: Linear
  private let up: Linear
  private let down: Linear
  private let kernels: KernelSet
  /// The bits of the finest and of the coarsest codes of its matrices, 16 and more without codes.
  private let codeBits: (most: Int, least: Int)

  init(_ weights: Weights, _ config: LLaMAConfig, layer index: Int) throws(ModelError) {
    self.config = config
    own = config.traits.layer(index)
    func norm(_ name: String) throws(ModelError) -> RMSNorm {
      try RMSNorm(weights[name], channels: config.hidden, epsilon: config.epsilon)
    }
    func wholeNorm(_ name: String, _ channels: Int) throws(ModelError) -> RMSNorm {
      try RMSNorm(weights["self_attn"][name], channels: channels, epsilon: config.epsilon)
    }
    func headNorm(_ name: String) throws(ModelError) -> HeadNorm {
      try HeadNorm(
        weights["self_attn"][name], dimension: config.headDimension, epsilon: config.epsilon)
    }
    let (hidden, wide) = (config.hidden, config.feedForward)
    let (queries, keys) = (config.queryColumns, config.keyValueColumns)
    let (attention, layer) = (weights["self_attn"], weights["mlp"])
    let bias = config.attentionBias
    inputNorm = config.traits.norms == .behind ? nil : try norm("input_layernorm")
    query = try Linear(attention["q_proj"], inputs: hidden, outputs: queries, bias: bias)
    key = try Linear(attention["k_proj"], inputs: hidden, outputs: keys, bias: bias)
    value = try Linear(
      attention["v_proj"], inputs: hidden, outputs: keys, bias: bias, role: .valueProjection)
    let queryNorms = config.traits.queryNorms
    headNorms =
      queryNorms == .heads ? (try headNorm("q_norm"), try headNorm("k_norm")) : nil
    wholeNorms =
      queryNorms == .whole
      ? (try wholeNorm("q_norm", queries), try wholeNorm("k_norm", keys)) : nil
    output = try Linear(
      attention["o_proj"], inputs: queries, outputs: hidden, bias: config.outputBias)
    switch config.traits.norms {
    case .before:
      innerNorm = try norm("post_attention_layernorm")
      branchNorms = nil
    case .around:
      let behind = try norm("post_attention_layernorm")
      innerNorm = try norm("pre_feedforward_layernorm")
      branchNorms = (behind, try norm("post_feedforward_layernorm"))
    case .behind:
      innerNorm = nil
      branchNorms = (
        try norm("post_attention_layernorm"), try norm("post_feedforward_layernorm")
      )
    }
    let hasBias = config.feedForwardBias
    gate = try Linear(layer["gate_proj"], inputs: hidden, outputs: wide, bias: hasBias)
    up = try Linear(layer["up_proj"], inputs: hidden, outputs: wide, bias: hasBias)
    down = try Linear(
      layer["down_proj"], inputs: wide, outputs: hidden, bias: hasBias, role: .downProjection)
    kernels = weights.kernels
    let bits = [query, key, value, output, gate, up, down].map { $0.product.scheme.codeBits }
    codeBits = (bits.max() ?? 0, bits.min() ?? 0)
  }

  /// Whether attention is made of products of bf16: in every pass or in none, so that a row's bits do
  /// not depend on how a text is cut into passes. Their rounding is nothing beside that of fewer than
  /// 8 bits; beside 8 it adds a fiftieth to the divergence.
  private func pairs(_ context: LLaMAContext) -> Bool {
    guard kernels.pairsHalves, codeBits.most <= 8 else { return false }
    switch context.precision {
    case .fast: return true
    case .balanced: return codeBits.least < 8
    case .exact: return false
    }
  }

  /// See `MatrixProduct.keepsRowsApart`.
  var keepsRowsApart: Bool {
    [query, key, value, output, gate, up, down].allSatisfy { $0.product.keepsRowsApart }
  }

  /// Runs the rows of `context.stream(0)`; their keys and values are stored from `position` on.
  ///
  /// - Parameter kept: the rows that are wanted; they replace the stream, from its first row on.
  func callAsFunction(
    rows count: Int, position: Int, layer: Int, kept: Range<Int>, _ context: LLaMAContext
  ) {
    let h = context.stream(0, rows: count)
    let (q, k, v) = project(h, context)
    let stored = context.keysAndValues[layer]
    // A few rows are stored in less time than it takes to wake the other threads.
    stored.store(keys: k, values: v, at: position, pool: count > 8 ? context.pool : nil)
    guard !kept.isEmpty else { return }
    let mixed = context.branch(rows: kept.count, columns: config.queryColumns)
    context.attention(
      q[kept], stored, count: position + kept.upperBound, causalFrom: position + kept.lowerBound,
      window: own.window, pairs: pairs(context), into: mixed, scratches: context.attentionScratches,
      pool: context.pool)
    leave(h[kept], mixed, context)
  }

  /// Runs the next position of each of several sequences: row r of `shared.stream(0)` is that of
  /// `sequences[r]`, whose keys and values it joins.
  func step(_ sequences: [LLaMAContext], layer: Int, _ shared: LLaMAContext) {
    let count = sequences.count
    let h = shared.stream(0, rows: count)
    let (q, k, v) = project(h, shared)
    let mixed = shared.branch(rows: count, columns: config.queryColumns)
    for (row, sequence) in sequences.enumerated() {
      let (stored, position) = (sequence.keysAndValues[layer], sequence.count)
      let at = row..<row + 1
      stored.store(keys: k[at], values: v[at], at: position)
      shared.attention(
        q[at], stored, count: position + 1, causalFrom: position, window: own.window,
        pairs: pairs(shared), into: mixed[at], scratches: shared.attentionScratches,
        pool: shared.pool)
    }
    leave(h, mixed, shared)
  }

  /// Runs rows of several sequences, which are those of `context.stream(0)`.
  ///
  /// - Parameter kept: the rows that are wanted, ascending; they replace the stream, from its first row
  ///   on. Nil: all.
  func callAsFunction(
    _ rows: PagedRows, layer: Int, kept: [Int]?, in memory: KeyValuePages, _ context: LLaMAContext
  ) {
    let h = context.stream(0, rows: rows.count)
    let (q, k, v) = project(h, context)
    // A few rows are stored in less time than it takes to wake the other threads.
    memory.store(
      keys: k, values: v, as: rows, layer: layer, pool: rows.count > 8 ? context.pool : nil)
    var wanted = rows
    if let kept {
      wanted = rows.keeping(kept)
      for (place, row) in kept.enumerated() where place != row {
        h[place..<place + 1].copy(h[row..<row + 1])
        q[place..<place + 1].copy(q[row..<row + 1])
      }
    }
    guard wanted.count > 0 else { return }
    let mixed = context.branch(rows: wanted.count, columns: config.queryColumns)
    context.attention(
      q[0..<wanted.count], as: wanted, of: memory, layer: layer, window: own.window,
      pairs: pairs(context), into: mixed, scratches: context.attentionScratches, pool: context.pool)
    leave(h[0..<wanted.count], mixed, context)
  }

  /// Queries and keys, rotated, and values, in `context.projections`.
  private func project(
    _ h: MatrixView, _ context: LLaMAContext
  ) -> (MatrixView, MatrixView, MatrixView) {
    let normed = context.branch(rows: h.rows, columns: config.hidden)
    let (q, k, v) = context.projections(rows: h.rows)
    context.multiply(
      [query.task(into: q), key.task(into: k), value.task(into: v)], of: normed
    ) { rows in enter(h[rows], inputNorm, into: normed[rows]) }
    if let headNorms {
      context.forEachTile(rows: h.rows) { rows in
        headNorms.query(q[rows])
        headNorms.key(k[rows])
      }
    }
    if let wholeNorms {
      context.forEachTile(rows: h.rows) { rows in
        wholeNorms.query(q[rows], into: q[rows])
        wholeNorms.key(k[rows], into: k[rows])
      }
    }
    if let angles = context.rotation(rows: h.rows).angles(own.rotation) {
      context.forEachTile(rows: h.rows) { rows in
        rotate(q[rows], heads: config.heads, angles.cosines[rows], angles.sines[rows])
        rotate(k[rows], heads: config.keyValueHeads, angles.cosines[rows], angles.sines[rows])
      }
    }
    return (q, k, v)
  }

  private func rotate(_ x: MatrixView, heads: Int, _ cosines: MatrixView, _ sines: MatrixView) {
    if config.rotaryDimension == config.headDimension {
      kernels.rotateHalf(x, heads: heads, cosines: cosines, sines: sines)
    } else {
      kernels.rotatePart(x, heads: heads, cosines: cosines, sines: sines)
    }
  }

  /// All behind the attention, which made `mixed` of `h`: into the first rows of the stream.
  private func leave(_ h: MatrixView, _ mixed: MatrixView, _ context: LLaMAContext) {
    let count = h.rows
    let middle = context.stream(1, rows: count)
    if changesBranches {
      context.multiply([output.task(into: middle)], of: mixed)
      finish(middle, branchNorms?.attention, addedTo: h, context)
    } else {
      context.multiply([output.task(into: middle, residual: h)], of: mixed)
    }
    let inner = context.branch(rows: count, columns: config.hidden)
    let (gates, ups) = context.gated(rows: count)
    context.multiply([gate.task(into: gates), up.task(into: ups)], of: inner) { rows in
      enter(middle[rows], innerNorm, into: inner[rows])
    }
    func multiplyUps(_ rows: Range<Int>) {
      kernels.gate(config.traits.activation, gates[rows], times: ups[rows], into: gates[rows])
    }
    let leaving = context.stream(0, rows: count)
    // Nearly half of what 8-bit activations cost SmolLM2 comes from these, a quarter from the head.
    if changesBranches {
      context.multiply(
        [down.task(into: leaving)], of: gates, outliers: .many, making: multiplyUps)
      finish(leaving, branchNorms?.feedForward, addedTo: middle, context)
    } else {
      context.multiply(
        [down.task(into: leaving, residual: middle)], of: gates, outliers: .many,
        making: multiplyUps)
    }
  }

  /// What a branch reads of the residual stream; a copy where there is no norm, as products may
  /// overwrite it.
  private func enter(_ h: MatrixView, _ norm: RMSNorm?, into input: MatrixView) {
    if let norm { norm(h, into: input) } else { input.copy(h) }
  }

  /// Whether something becomes of attention and gated layer before they are added.
  private var changesBranches: Bool { branchNorms != nil || config.traits.residualScale != 1 }

  /// `branch = residual + scale * norm(branch)`.
  private func finish(
    _ branch: MatrixView, _ norm: RMSNorm?, addedTo residual: MatrixView, _ context: LLaMAContext
  ) {
    let scale = config.traits.residualScale
    context.forEachTile(rows: branch.rows) { rows in
      if let norm { norm(branch[rows], into: branch[rows]) }
      if scale != 1 { branch[rows].multiply(by: scale) }
      kernels.add(residual[rows], to: branch[rows])
    }
  }
}
