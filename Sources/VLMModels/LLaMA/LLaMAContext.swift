import VLMFoundation
import VLMTensor

/// One sequence: the keys and values of its positions, and the memory of a forward pass over a
/// chunk of them. All of it is planned from shapes and allocated once.
package final class LLaMAContext: @unchecked Sendable {
  package let pool: WorkerPool
  /// Positions that fit.
  package let capacity: Int
  /// Positions that one pass over the weights takes at most.
  package let chunkRows: Int
  package let keyValueFormat: KeyValueFormat
  package let precision: Precision
  /// Bytes of everything that was allocated.
  package let byteCount: Int
  /// Positions that are stored.
  package private(set) var count = 0

  private let config: LLaMAConfig
  let keysAndValues: [KeyValues]
  let attention: Attention
  let attentionScratches: [Attention.Scratch]
  private let streams: [Activations]
  private let branchBuffer: Activations
  private let wideBuffer: Activations
  private let logitBuffer: Activations
  private let rotationBuffer: Activations
  let sharedProduct: MatrixProduct.Scratch
  /// For what 8-bit codes leave over.
  let restProduct: MatrixProduct.Rest
  let products: [MatrixProduct.Scratch]
  private var frequencies = RotationFrequencies()

  /// Rows of logits that exist at a time: a vocabulary is wide.
  let logitRows: Int

  package static let defaultChunkRows = 512

  /// - Parameters:
  ///   - capacity: positions of the longest sequence, visual tokens and answers included.
  ///   - chunkRows: positions that share a pass over the weights; activations grow with it.
  /// - Throws: `ModelError` when that needs more memory than the machine has.
  package init(
    _ config: LLaMAConfig, capacity: Int, chunkRows: Int = LLaMAContext.defaultChunkRows,
    keyValueFormat: KeyValueFormat = .f16, precision: Precision = .balanced, pool: WorkerPool,
    kernels: KernelSet
  ) throws(ModelError) {
    let memory = Machine.memory
    guard capacity >= 1, capacity <= LLaMAConfig.maximumContext else {
      throw ModelError(
        .configuration(
          field: "context length", found: String(capacity),
          expected: "1 to \(LLaMAConfig.maximumContext)"))
    }
    let plan = LLaMAPlan(
      config, capacity: capacity, chunkRows: min(chunkRows, capacity), format: keyValueFormat,
      threads: pool.threadCount)
    guard let bytes = plan.byteCount, bytes <= memory.planned else {
      let fitting = Self.capacity(
        fitting: memory.planned, atMost: capacity, config, chunkRows: chunkRows,
        format: keyValueFormat, threads: pool.threadCount)
      throw ModelError(
        .memory(
          "a context of \(capacity) positions", needed: plan.byteCount, limit: memory.text,
          fitting.map { .shorterContext($0) }))
    }
    self.config = config
    self.pool = pool
    self.capacity = capacity
    self.keyValueFormat = keyValueFormat
    self.precision = precision
    self.chunkRows = plan.chunkRows
    byteCount = bytes
    try ModelError.require(memory: bytes, for: "a context of \(capacity) positions")
    keysAndValues = (0..<config.layers).map { _ in
      KeyValues(
        capacity: capacity, heads: config.keyValueHeads, headDimension: config.headDimension,
        format: keyValueFormat, kernels: kernels)
    }
    let attention = Attention(
      queryHeads: config.heads, keyValueHeads: config.keyValueHeads,
      headDimension: config.headDimension,
      scale: config.traits.scoreScale ?? 1 / Float(config.headDimension).squareRoot(),
      cap: config.traits.scoreCap ?? 0, kernels: kernels)
    self.attention = attention
    attentionScratches = (0..<pool.threadCount).map { _ in
      Attention.Scratch(attention, kernels: kernels)
    }
    streams = [Activations(count: plan.streamCount), Activations(count: plan.streamCount)]
    branchBuffer = Activations(count: plan.branchCount)
    wideBuffer = Activations(count: plan.wideCount)
    logitBuffer = Activations(count: plan.logitCount)
    rotationBuffer = Activations(count: plan.rotationCount)
    logitRows = plan.logitRows
    sharedProduct = MatrixProduct.Scratch(
      rows: plan.chunkRows, maximumInputs: plan.maximumInputs, kernels: kernels,
      keepsOutliers: true)
    restProduct = MatrixProduct.Rest(
      rows: plan.chunkRows, maximumInputs: plan.maximumInputs, threads: pool.threadCount,
      kernels: kernels)
    products = (0..<pool.threadCount).map { _ in
      MatrixProduct.Scratch(rows: 1, maximumInputs: plan.maximumInputs, kernels: kernels)
    }
  }

  /// The most positions that fit so many bytes, in round numbers; nil where hardly any do.
  ///
  /// - Parameter limit: positions that are wanted.
  package static func capacity(
    fitting bytes: Int, atMost limit: Int, _ config: LLaMAConfig,
    chunkRows: Int = LLaMAContext.defaultChunkRows, format: KeyValueFormat, threads: Int
  ) -> Int? {
    func fits(_ capacity: Int) -> Bool {
      let plan = LLaMAPlan(
        config, capacity: capacity, chunkRows: min(chunkRows, capacity), format: format,
        threads: threads)
      return plan.byteCount.map { $0 <= bytes } ?? false
    }
    if limit >= 1, fits(limit) { return limit }
    let step = 64
    var (low, high) = (0, max(0, limit) / step + 1)
    while high - low > 1 {
      let middle = (low + high) / 2
      if fits(middle * step) { low = middle } else { high = middle }
    }
    return low > 0 ? min(limit, low * step) : nil
  }

  /// Forgets every position from `length` on.
  package func truncate(to length: Int) {
    precondition(length >= 0 && length <= count, "a prefix of what is stored")
    count = length
  }

  /// Whether the first `position` positions stay as they are in a sequence that comes to `length`. Where
  /// they do not, it has to be run from its start: LongRoPE turns the keys of longer sequences otherwise.
  package func holds(_ position: Int, length: Int) -> Bool {
    position == 0 || frequencies.holds(config, length: length)
  }

  /// How many positions behind `position` can be run in one pass with the bits that one after the other
  /// would have: as many as turn by the same angles, fit the buffers and have room.
  ///
  /// - Parameter limit: positions that are wanted, 1 or more.
  package func togetherRows(from position: Int, atMost limit: Int) -> Int {
    let room = min(limit, chunkRows, logitRows, capacity - position)
    return min(room, RotationFrequencies.steadyCount(config, from: position))
  }

  // MARK: - For the model

  /// Makes room for `added` positions behind the first `position`.
  func begin(at position: Int, adding added: Int) throws(ModelError) {
    precondition(position >= 0 && position <= count, "positions without gaps")
    guard added <= capacity - position else {
      throw ModelError(
        .contextFull(held: position, added: added, capacity: capacity))
    }
    guard holds(position, length: position + added) else {
      throw LLaMA.rotatedOtherwise(position, position + added)
    }
    count = position
    frequencies.prepare(config, length: position + added)
  }

  func advance(to position: Int) { count = position }

  /// Computes sines and cosines of a chunk's angles: `position * frequency` in f32, as upstream.
  func prepareRotation(positions: Range<Int>) {
    let tables = rotation(rows: positions.count)
    for (row, position) in positions.enumerated() { turn(position, row, tables) }
  }

  /// The angles of one position of this sequence, to a row of `tables`, which may be another context's.
  func turn(_ position: Int, _ row: Int, _ tables: RotationTables) {
    frequencies.turn(position, config, row, tables)
  }

  func rotation(rows: Int) -> RotationTables {
    RotationTables(
      config, rows: rows, in: rotationBuffer.matrix(rows: 1, columns: rotationBuffer.count))
  }

  /// The residual stream, in one of two buffers: `[rows, hidden]`.
  func stream(_ index: Int, rows: Int) -> MatrixView {
    streams[index].matrix(rows: rows, columns: config.hidden)
  }

  /// What a norm or the attention made: `[rows, columns]`.
  func branch(rows: Int, columns: Int) -> MatrixView {
    branchBuffer.matrix(rows: rows, columns: columns)
  }

  /// Queries, keys and values, in the memory of `gated`.
  func projections(rows: Int) -> (MatrixView, MatrixView, MatrixView) {
    let all = wideBuffer.matrix(rows: 1, columns: wideBuffer.count)
    let (q, rest) = all.split(rows: rows, columns: config.queryColumns)
    let (k, last) = rest.split(rows: rows, columns: config.keyValueColumns)
    return (q, k, last.split(rows: rows, columns: config.keyValueColumns).0)
  }

  /// Gates and what they gate, in the memory of `projections`: `[rows, feedForward]` each.
  func gated(rows: Int) -> (MatrixView, MatrixView) {
    let all = wideBuffer.matrix(rows: 1, columns: wideBuffer.count)
    let (gates, rest) = all.split(rows: rows, columns: config.feedForward)
    return (gates, rest.split(rows: rows, columns: config.feedForward).0)
  }

  func logits(rows: Int) -> MatrixView {
    logitBuffer.matrix(rows: rows, columns: config.vocabulary)
  }

  /// What is done about rows of activations whose few large values make their 8-bit codes coarse.
  package enum Precision: String, Sendable, CaseIterable {
    /// Nothing.
    case fast
    /// The largest values of each row are multiplied as floats, apart from the others.
    case balanced
    /// What the codes leave over is quantized again: twice the arithmetic.
    case exact
  }

  /// Products of one input, by all threads; `x` may be overwritten.
  ///
  /// - Parameters:
  ///   - outliers: of a row of `x`, where the precision is `.balanced`.
  ///   - making: makes some rows of `x`.
  func multiply(
    _ tasks: [MatrixProduct.Task], of x: MatrixView, outliers: MatrixProduct.Outliers = .some,
    making: (Range<Int>) -> Void = { _ in }
  ) {
    switch precision {
    case .fast, .balanced:
      MatrixProduct.run(
        tasks, of: x, shared: sharedProduct, scratches: products, pool: pool,
        outliers: precision == .balanced ? outliers : .none, making: making)
    case .exact:
      forEachTile(rows: x.rows, making)
      MatrixProduct.runPrecisely(
        tasks, of: x, shared: sharedProduct, rest: restProduct,
        scratches: products, pool: pool)
    }
  }

  private static let tileRows = 16

  /// Shares out rows that do not depend on one another.
  func forEachTile(rows: Int, _ body: (Range<Int>) -> Void) {
    let tiles = (rows + Self.tileRows - 1) / Self.tileRows
    pool.forEach(count: tiles) { tile, _ in
      let start = tile * Self.tileRows
      body(start..<min(rows, start + Self.tileRows))
    }
  }
}

/// Sizes of everything that a context allocates, from shapes alone.
struct LLaMAPlan {
  let chunkRows: Int
  let streamCount: Int
  let branchCount: Int
  let wideCount: Int
  let logitCount: Int
  let logitRows: Int
  let rotationCount: Int
  let maximumInputs: Int
  /// Nil when it overflows.
  let byteCount: Int?

  /// The configuration is validated and `capacity` bounded: no product below can overflow, but
  /// the one over the layers.
  init(
    _ config: LLaMAConfig, capacity: Int, chunkRows rows: Int, format: KeyValueFormat, threads: Int
  ) {
    chunkRows = rows
    streamCount = rows * config.hidden
    branchCount = rows * max(config.hidden, config.queryColumns)
    wideCount = rows * max(config.queryColumns + 2 * config.keyValueColumns, 2 * config.feedForward)
    logitRows = max(1, min(rows, (1 << 21) / config.vocabulary))
    logitCount = logitRows * config.vocabulary
    rotationCount = RotationTables.count(config, rows: rows)
    maximumInputs = max(config.hidden, config.queryColumns, config.feedForward)
    let floats = 2 * streamCount + branchCount + wideCount + logitCount + rotationCount
    // Quantized rows with their outliers, and what the kernels unpack per thread.
    let activations =
      4 * floats + rows * (maximumInputs + 200) + threads * (256 * maximumInputs)
      + MatrixProduct.Rest.byteCount(rows: rows, maximumInputs: maximumInputs, threads: threads)
    let perLayer = KeyValues.byteCount(
      capacity: capacity, heads: config.keyValueHeads, headDimension: config.headDimension,
      format: format)
    guard let (cache, first) = perLayer?.multipliedReportingOverflow(by: config.layers), !first
    else {
      byteCount = nil
      return
    }
    let (sum, second) = cache.addingReportingOverflow(activations)
    byteCount = second ? nil : sum
  }
}
