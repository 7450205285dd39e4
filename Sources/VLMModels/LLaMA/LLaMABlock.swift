import VLMTensor

/// `h += o(attention(norm h)); h += down(SiLU(gate n) · up n), n = norm h`.
struct LLaMABlock: Sendable {
  private let config: LLaMAConfig
  private let inputNorm: RMSNorm
  private let query: Linear
  private let key: Linear
  private let value: Linear
  private let output: Linear
  private let innerNorm: RMSNorm
  private let gate: Linear
  private let up: Linear
  private let down: Linear
  private let kernels: KernelSet

  init(_ weights: Weights, _ config: LLaMAConfig) throws(ModelError) {
    self.config = config
    let (hidden, wide) = (config.hidden, config.feedForward)
    let (queries, keys) = (config.queryColumns, config.keyValueColumns)
    let (attention, layer) = (weights["self_attn"], weights["mlp"])
    let bias = config.attentionBias
    inputNorm = try RMSNorm(
      weights["input_layernorm"], channels: hidden, epsilon: config.epsilon)
    query = try Linear(attention["q_proj"], inputs: hidden, outputs: queries, bias: bias)
    key = try Linear(attention["k_proj"], inputs: hidden, outputs: keys, bias: bias)
    value = try Linear(
      attention["v_proj"], inputs: hidden, outputs: keys, bias: bias, role: .valueProjection)
    output = try Linear(
      attention["o_proj"], inputs: queries, outputs: hidden, bias: config.outputBias)
    innerNorm = try RMSNorm(
      weights["post_attention_layernorm"], channels: hidden, epsilon: config.epsilon)
    let hasBias = config.feedForwardBias
    gate = try Linear(layer["gate_proj"], inputs: hidden, outputs: wide, bias: hasBias)
    up = try Linear(layer["up_proj"], inputs: hidden, outputs: wide, bias: hasBias)
    down = try Linear(
      layer["down_proj"], inputs: wide, outputs: hidden, bias: hasBias, role: .downProjection)
    kernels = weights.kernels
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
      into: mixed, scratches: context.attentionScratches, pool: context.pool)
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
      let own = row..<row + 1
      stored.store(keys: k[own], values: v[own], at: position)
      shared.attention(
        q[own], stored, count: position + 1, causalFrom: position, into: mixed[own],
        scratches: shared.attentionScratches, pool: shared.pool)
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
      q[0..<wanted.count], as: wanted, of: memory, layer: layer, into: mixed,
      scratches: context.attentionScratches, pool: context.pool)
    leave(h[0..<wanted.count], mixed, context)
  }

  /// Queries and keys, rotated, and values, in `context.projections`.
  private func project(
    _ h: MatrixView, _ context: LLaMAContext
  ) -> (MatrixView, MatrixView, MatrixView) {
    let normed = context.branch(rows: h.rows, columns: config.hidden)
    context.forEachTile(rows: h.rows) { rows in inputNorm(h[rows], into: normed[rows]) }
    let (q, k, v) = context.projections(rows: h.rows)
    context.multiply(
      [query.task(into: q), key.task(into: k), value.task(into: v)], of: normed)
    let (cosines, sines) = context.rotation(rows: h.rows)
    context.forEachTile(rows: h.rows) { rows in
      kernels.rotateHalf(
        q[rows], heads: config.heads, cosines: cosines[rows], sines: sines[rows])
      kernels.rotateHalf(
        k[rows], heads: config.keyValueHeads, cosines: cosines[rows], sines: sines[rows])
    }
    return (q, k, v)
  }

  /// All behind the attention, which made `mixed` of `h`: into the first rows of the stream.
  private func leave(_ h: MatrixView, _ mixed: MatrixView, _ context: LLaMAContext) {
    let count = h.rows
    let middle = context.stream(1, rows: count)
    context.multiply([output.task(into: middle, residual: h)], of: mixed)
    let inner = context.branch(rows: count, columns: config.hidden)
    context.forEachTile(rows: count) { rows in innerNorm(middle[rows], into: inner[rows]) }
    let (gates, ups) = context.gated(rows: count)
    context.multiply([gate.task(into: gates), up.task(into: ups)], of: inner)
    context.forEachTile(rows: count) { rows in
      kernels.gate(.silu, gates[rows], times: ups[rows], into: gates[rows])
    }
    let leaving = context.stream(0, rows: count)
    // Nearly half of what 8-bit activations cost SmolLM2 comes from these, a quarter from the head.
    context.multiply([down.task(into: leaving, residual: middle)], of: gates, outliers: .many)
  }
}
