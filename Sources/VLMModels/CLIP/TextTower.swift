import VLMFoundation
import VLMTensor

/// The text transformer of a CLIP or of a SigLIP: the feature of a text is what the last layer makes of
/// its end token, or of the last one, normed and projected to the space that it shares with images.
package final class TextTower: Sendable {
  package let config: TextTowerConfig
  private let tokens: Embedding
  /// `[context length, width]`.
  private let positions: Tensor
  private let layers: [TransformerLayer]
  /// Before the layers and behind them.
  private let convolutions: (first: TextConvolution, last: TextConvolution)?
  private let norm: LayerNorm
  private let projection: JointProjection
  private let kernels: KernelSet

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(_ weights: Weights, _ config: TextTowerConfig) throws(ModelError) {
    self.config = config
    let width = config.encoder.width
    tokens = try Embedding(
      weights["tokens"], count: config.vocabulary, dimension: width)
    positions = try weights.tensor("positions", [config.contextLength, width], .vector)
    let projections = TransformerLayer.Projections(config.layout)
    var layers: [TransformerLayer] = []
    for index in 0..<config.encoder.layers {
      layers.append(try TransformerLayer(weights["layers"][index], config.encoder, projections))
    }
    self.layers = layers
    if let size = config.convolution {
      convolutions = (
        try TextConvolution(weights["first"], width: width, size),
        try TextConvolution(weights["last"], width: width, size)
      )
    } else {
      convolutions = nil
    }
    norm = try LayerNorm(weights["norm"], channels: width, epsilon: config.encoder.epsilon)
    projection = try JointProjection(
      weights, inputs: width, outputs: config.embedding, config.layout,
      bias: config.hasProjectionBias)
    kernels = weights.kernels
  }

  /// How a context for this tower keeps keys and values.
  package var keyValueFormat: KeyValueFormat { layers.first?.keyValueFormat ?? .f32 }

  /// Memory of one pass.
  package final class Context: @unchecked Sendable {
    let stream: Activations
    let transformer: TransformerContext

    /// - Parameter format: the tower's `keyValueFormat`.
    /// - Throws: `ModelError` when a text needs more memory than the machine has.
    package init(
      _ config: TextTowerConfig, format: KeyValueFormat, pool: WorkerPool, kernels: KernelSet
    ) throws(ModelError) {
      let rows = config.contextLength
      let inputs = config.convolution?.hidden ?? 0
      let plan = TransformerPlan(config.encoder, rows: rows, inputs: inputs)
      let (memory, bytes) = (Machine.memory, plan.byteCount(format))
      guard let bytes, bytes <= memory.planned else {
        throw ModelError(
          .memory("a text of \(rows) tokens", needed: bytes, limit: memory.text, nil))
      }
      try ModelError.require(memory: bytes, for: "a text of \(rows) tokens")
      stream = Activations(count: rows * config.encoder.width)
      transformer = TransformerContext(
        config.encoder, rows: rows, inputs: inputs, format: format, pool: pool, kernels: kernels)
    }
  }

  /// The embedding of one text, before its norm.
  ///
  /// - Parameter ids: as the tokenizer made them, at most `contextLength`, with or without the
  ///   padding behind the end; of a tower that takes the last token's feature with all of it.
  /// - Throws: `ModelError` when there are none or too many, or one is not in the vocabulary.
  package func callAsFunction(_ ids: [Int], _ context: Context) throws(ModelError) -> [Float] {
    guard let largest = ids.max(), ids.count <= config.contextLength else {
      throw ModelError(
        .prompt(found: "\(ids.count) tokens", expected: "1 to \(config.contextLength)"))
    }
    if let wrong = ids.first(where: { $0 < 0 || $0 >= config.vocabulary }) {
      throw ModelError(
        .prompt(found: "token \(wrong)", expected: "0 to \(config.vocabulary - 1)"))
    }
    // transformers takes the first token where it finds none.
    let end =
      config.pooling == .last
      ? ids.count - 1 : ids.firstIndex(of: config.endToken ?? largest) ?? 0
    // Under a causal mask nobody looks back at what follows the end. Without one everybody does.
    let fill = config.pooling == .last ? 0 : config.contextLength - ids.count
    let read = config.isCausal ? Array(ids[...end]) : ids + Array(repeating: 0, count: fill)
    let width = config.encoder.width
    let x = context.stream.matrix(rows: read.count, columns: width)
    tokens(read, into: x)
    for row in 0..<read.count {
      for column in 0..<width { x[row, column] += positions.floats[row * width + column] }
    }
    convolutions?.first(x, context.transformer)
    for layer in layers { layer(x, causal: config.isCausal, context.transformer) }
    convolutions?.last(x, context.transformer)
    let last = x[end..<end + 1]
    norm(last, into: last)
    return projection(last.array())
  }
}
