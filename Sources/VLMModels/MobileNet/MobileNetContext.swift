import VLMFoundation
import VLMTensor

/// A MobileNet with the memory of a pass over pictures of one size: a convolutional tower's, two maps
/// within blocks, and what attention needs.
final class MobileNetContext: ConvolutionContext, TowerContext, @unchecked Sendable {
  private let model: MobileNet
  let input: FeatureShape
  private let pixelMemory: Activations
  private let inner: [Activations]
  private let extraMemory: Activations
  private let memories: [MobileNetPlan.AttentionSize: AttentionMemory]

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
    (self.model, self.input) = (model, input)
    pixelMemory = Activations(count: input.elementCount)
    inner = [Activations(count: plan.innerCount), Activations(count: plan.innerCount)]
    extraMemory = Activations(count: plan.extraCount)
    let sizes = plan.attention.map { size in
      (
        size,
        AttentionMemory(size, format, threads: pool.threadCount, kernels: kernels)
      )
    }
    memories = Dictionary(sizes) { first, _ in first }
    super.init(plan.sizes, pool: pool, kernels: kernels)
  }

  var pixels: MatrixView { pixelMemory.matrix(rows: input.rows, columns: input.channels) }

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

  /// All rows: the threads share the outputs where there are few, and the rows where there are
  /// many.
  func multiply(
    _ linear: Linear, _ x: MatrixView, into y: MatrixView, activation: Activation = .none,
    gamma: Tensor? = nil, residual: MatrixView? = nil
  ) {
    guard !sharesProduct(rows: x.rows, inputs: x.columns) else {
      return linear(
        x, into: y, activation: activation, gamma: gamma, residual: residual,
        shared: sharedProduct, scratches: products, pool: pool)
    }
    forPointRows(x.rows) { rows, scratch in
      linear(
        x[rows], into: y[rows], activation: activation, gamma: gamma,
        residual: residual?[rows], scratch)
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
    let vector = model.vector(pooled(model.finish(map, self), observe))
    observe.show(ConvolutionPoint.logits, vector.logits)
    return [vector]
  }
}
