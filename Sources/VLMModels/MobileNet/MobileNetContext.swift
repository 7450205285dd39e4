import VLMFoundation
import VLMTensor

/// A MobileNet with the memory of a pass over pictures of one size: two maps between blocks and two
/// within them, to read and write in turn, and for each thread the space of one tile.
final class MobileNetContext: TowerContext, @unchecked Sendable {
  private let model: MobileNet
  let plan: MobileNetPlan
  let pool: WorkerPool
  let input: FeatureShape
  private let pixelMemory: Activations
  private let maps: [Activations]
  /// The map that was written last.
  private var current = 0
  private let inner: [Activations]
  private let extraMemory: Activations
  private let scratches: [Scratch]
  private let sharedProduct: MatrixProduct.Scratch
  private let memories: [MobileNetPlan.AttentionSize: AttentionMemory]

  /// What one thread needs for one tile.
  final class Scratch: @unchecked Sendable {
    /// Gathered windows of a dense convolution.
    let windows: Activations
    /// Lines of a convolution with groups, or sums of linear attention.
    let lines: Activations
    let product: MatrixProduct.Scratch

    init(_ plan: MobileNetPlan, kernels: KernelSet) {
      windows = Activations(count: plan.windowCount)
      lines = Activations(count: plan.linesCount)
      product = MatrixProduct.Scratch(
        rows: plan.tileRows, maximumInputs: plan.maximumInputs, kernels: kernels)
    }
  }

  /// What attention with shared keys needs.
  final class AttentionMemory: @unchecked Sendable {
    let attention: Attention
    let keyValues: KeyValues
    /// Positions that are looked at.
    let keys: Int
    /// Keys and values side by side, `[keys, 2 * dimension]`.
    let pairs: Activations
    let scratches: [Attention.Scratch]

    init(
      _ size: MobileNetPlan.AttentionSize, _ format: KeyValueFormat, threads: Int,
      kernels: KernelSet
    ) {
      let attention = Attention(
        queryHeads: size.heads, keyValueHeads: 1, headDimension: size.dimension,
        scale: 1 / Float(size.dimension).squareRoot(), kernels: kernels)
      self.attention = attention
      keys = size.keys
      keyValues = KeyValues(
        capacity: size.keys, heads: 1, headDimension: size.dimension, format: format,
        kernels: kernels)
      pairs = Activations(count: size.keys * 2 * size.dimension)
      scratches = (0..<threads).map { _ in Attention.Scratch(attention, kernels: kernels) }
    }
  }

  /// - Throws: `ModelError` when the picture needs more memory than the machine has.
  init(
    _ model: MobileNet, _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet
  ) throws(ModelError) {
    let format = model.keyValueFormat
    let plan = try MobileNetPlan(model.config, input: input)
    try MemoryLimit.check(
      plan.byteCount(threads: pool.threadCount, format), height: input.height, width: input.width)
    (self.model, self.plan, self.pool, self.input) = (model, plan, pool, input)
    pixelMemory = Activations(count: input.elementCount)
    maps = [Activations(count: plan.mapCount), Activations(count: plan.mapCount)]
    inner = [Activations(count: plan.innerCount), Activations(count: plan.innerCount)]
    extraMemory = Activations(count: plan.extraCount)
    scratches = (0..<pool.threadCount).map { _ in Scratch(plan, kernels: kernels) }
    sharedProduct = MatrixProduct.Scratch(
      rows: plan.sharedRows, maximumInputs: plan.sharedInputs, kernels: kernels)
    let sizes = plan.attention.map { size in
      (
        size,
        AttentionMemory(size, format, threads: pool.threadCount, kernels: kernels)
      )
    }
    memories = Dictionary(sizes) { first, _ in first }
  }

  var kernels: KernelSet { model.kernels }
  var pixels: MatrixView { pixelMemory.matrix(rows: input.rows, columns: input.channels) }

  func scratch(_ worker: Int) -> Scratch { scratches[worker] }

  /// Room for a map beside the one that left the block before, which stays readable until the next
  /// call.
  func nextMap(_ shape: FeatureShape) -> FeatureMap {
    current = 1 - current
    return FeatureMap(
      view: maps[current].matrix(rows: shape.rows, columns: shape.channels), shape: shape)
  }

  /// Room for a map within a block: one of two.
  func innerMap(_ index: Int, _ shape: FeatureShape) -> FeatureMap {
    FeatureMap(
      view: inner[index].matrix(rows: shape.rows, columns: shape.channels), shape: shape)
  }

  /// Room for what attention makes.
  func extra(rows: Int, columns: Int) -> MatrixView {
    extraMemory.matrix(rows: rows, columns: columns)
  }

  func attention(
    _ mixer: MobileNetConfig.SharedMixer, _ map: FeatureShape
  ) -> AttentionMemory {
    let keys = mixer.reduction == nil ? map.rows : MobileNetPlan.reduced(map).rows
    let size = MobileNetPlan.AttentionSize(
      heads: mixer.heads, dimension: mixer.dimension, keys: keys)
    guard let memory = memories[size] else { preconditionFailure("planned for attention") }
    return memory
  }

  // MARK: - Layers over whole maps

  /// Positions that an elementwise layer takes at a time.
  private static let step = 256

  /// Runs `body` on pieces of `rows` rows, in parallel.
  func forRows(_ rows: Int, _ body: @Sendable (Range<Int>) -> Void) {
    let step = Self.step
    pool.forEach(count: (rows + step - 1) / step) { piece, _ in
      body(piece * step..<min(rows, (piece + 1) * step))
    }
  }

  /// All rows: the threads share the outputs where there are few, and the rows where there are
  /// many.
  func multiply(
    _ linear: Linear, _ x: MatrixView, into y: MatrixView, activation: Activation = .none,
    gamma: Tensor? = nil, residual: MatrixView? = nil
  ) {
    if MobileNetPlan.isShared(rows: x.rows) {
      return linear(
        x, into: y, activation: activation, gamma: gamma, residual: residual,
        shared: sharedProduct, scratches: scratches.map(\.product), pool: pool)
    }
    let step = MobileNetPlan.pointRows
    pool.forEach(count: (x.rows + step - 1) / step) { piece, worker in
      let rows = piece * step..<min(x.rows, (piece + 1) * step)
      linear(
        x[rows], into: y[rows], activation: activation, gamma: gamma,
        residual: residual?[rows], scratch(worker).product)
    }
  }

  // MARK: - Passes

  func features(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> FeatureGrid {
    let map = try model.map(self, cancelled: cancelled, observe: observe)
    return FeatureGrid(view: map.view, shape: map.shape)
  }

  func vectors(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> [ImageVector] {
    let map = try model.map(self, cancelled: cancelled, observe: observe)
    try ModelError.check(cancelled)
    let last = model.finish(map, self)
    let memory = Activations(count: last.shape.channels)
    defer { withExtendedLifetime(memory) {} }
    let mean = memory.matrix(rows: 1, columns: last.shape.channels)
    kernels.meanOfRows(last.view, into: mean)
    observe?(Observation(MobileNetPoint.pooled, mean, .vectors))
    let vector = model.vector(mean.array())
    if let logits = vector.logits { observe.show(MobileNetPoint.logits, logits) }
    return [vector]
  }
}
