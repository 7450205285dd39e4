import VLMTensor

extension MobileNetBlock {
  /// EfficientViT's attention: linear in the positions, once on queries, keys and values as they
  /// are, and once for each kernel that gathers them from around.
  struct LinearMixer: Sendable {
    private let joint: Linear
    private let aggregates: [(around: DepthwiseConvolution, mix: GroupedLinear)]
    private let out: Linear
    private let attention: LinearAttention
    private let heads: Int

    init(
      _ weights: Weights, _ config: MobileNetConfig.LinearMixer, channels: Int
    ) throws(ModelError) {
      let width = config.heads * config.dimension
      heads = config.heads
      joint = try Linear(weights["qkv"], inputs: channels, outputs: 3 * width, bias: false)
      var aggregates: [(around: DepthwiseConvolution, mix: GroupedLinear)] = []
      for (index, kernel) in config.kernels.enumerated() {
        let own = weights["aggregates"][index]
        aggregates.append(
          (
            around: try DepthwiseConvolution(
              own["around"], channels: 3 * width, kernel: kernel, dilation: 1, bias: false),
            mix: try GroupedLinear(
              own["mix"], width: config.dimension, groups: 3 * config.heads)
          ))
      }
      self.aggregates = aggregates
      out = try Linear(
        weights["out"], inputs: width * (1 + config.kernels.count), outputs: channels, bias: true)
      attention = LinearAttention(
        dimension: config.dimension, epsilon: MobileNetConfig.attentionEpsilon)
    }

    func callAsFunction(_ x: FeatureMap, _ context: MobileNetContext) -> FeatureMap {
      let (rows, width) = (x.shape.rows, heads * attention.dimension)
      let shape = FeatureShape(
        batch: 1, height: x.shape.height, width: x.shape.width, channels: 3 * width)
      let own = context.innerMap(0, shape)
      context.multiply(joint, x.view, into: own.view)
      let attended = context.extra(rows: rows, columns: width * (1 + aggregates.count))
      attend(own.view, into: attended[columns: 0..<width], context)
      for (index, aggregate) in aggregates.enumerated() {
        let gathered = context.innerMap(1, shape)
        let tiles = LineTiles(
          shape, threads: context.pool.threadCount, maximumLines: ConvolutionSizes.lines)
        context.pool.forEach(count: tiles.count) { piece, worker in
          let part = tiles.rows(piece)
          let around = context.scratch(worker).lines.matrix(
            rows: part.count, columns: 3 * width)
          aggregate.around(
            own.view, height: shape.height, width: shape.width, lines: tiles[piece], into: around)
          aggregate.mix(around, into: gathered.view[part])
        }
        let columns = (index + 1) * width..<(index + 2) * width
        attend(gathered.view, into: attended[columns: columns], context)
      }
      let y = context.nextMap(x.shape)
      context.multiply(out, attended, into: y.view, residual: x.view)
      return y
    }

    private func attend(_ joint: MatrixView, into y: MatrixView, _ context: MobileNetContext) {
      context.pool.forEach(count: heads) { head, worker in
        attention(head: head, of: joint, into: y, scratch: context.scratch(worker).lines)
      }
    }
  }

  /// MobileNetV4's attention: all heads look at one set of keys and values, of the map or of a
  /// halved one.
  struct SharedMixer: Sendable {
    private let scale: Tensor
    private let shift: Tensor
    private let query: Linear
    private let key: Linear
    private let value: Linear
    /// What halves the map for keys, and for values.
    private let reductions: (keys: GroupedConvolution, values: GroupedConvolution)?
    private let out: Linear
    private let gamma: Tensor?
    private let config: MobileNetConfig.SharedMixer

    /// How many times smaller a reduced map is, in each direction.
    static let reductionStride = 2

    init(
      _ weights: Weights, _ config: MobileNetConfig.SharedMixer, channels: Int
    ) throws(ModelError) {
      self.config = config
      let width = config.heads * config.dimension
      scale = try weights["norm"].tensor("scale", [channels], .vector)
      shift = try weights["norm"].tensor("shift", [channels], .vector)
      query = try Linear(weights["query"], inputs: channels, outputs: width, bias: false)
      key = try Linear(weights["key"], inputs: channels, outputs: config.dimension, bias: false)
      value = try Linear(
        weights["value"], inputs: channels, outputs: config.dimension, bias: false)
      reductions = try config.reduction.map { kernel throws(ModelError) in
        let halves = try ["key_reduction", "value_reduction"].map { name throws(ModelError) in
          try GroupedConvolution(
            weights[name], inputs: channels, multiplier: 1, kernel: kernel,
            stride: Self.reductionStride)
        }
        return (halves[0], halves[1])
      }
      out = try Linear(weights["out"], inputs: width, outputs: channels, bias: false)
      gamma = try weights.vector("gamma", channels, if: config.hasScale)
    }

    /// As `TransformerLayer` chooses it.
    var keyValueFormat: KeyValueFormat {
      let product = query.product
      return !product.scheme.isExact && product.kernels.multipliesPairs ? .bf16 : .f32
    }

    func callAsFunction(_ x: FeatureMap, _ context: MobileNetContext) -> FeatureMap {
      let memory = context.attention(config, x.shape)
      let normed = context.innerMap(0, x.shape)
      context.forRows(x.shape.rows) { rows in
        context.kernels.scaleShift(
          x.view[rows], scale: scale, shift: shift, into: normed.view[rows])
      }
      let width = config.heads * config.dimension
      let pairs = memory.pairs.matrix(rows: memory.keys, columns: 2 * config.dimension)
      let keys = pairs[columns: 0..<config.dimension]
      let values = pairs[columns: config.dimension..<2 * config.dimension]
      context.multiply(key, source(normed, reductions?.keys, context), into: keys)
      context.multiply(value, source(normed, reductions?.values, context), into: values)
      memory.keyValues.store(keys: keys, values: values, at: 0, pool: context.pool)
      var shape = x.shape
      shape.channels = width
      let queries = context.innerMap(1, shape)
      context.multiply(query, normed.view, into: queries.view)
      let attended = context.extra(rows: x.shape.rows, columns: width)
      memory.attention(
        queries.view, memory.keyValues, count: memory.keys, causalFrom: nil, into: attended,
        scratches: memory.scratches, pool: context.pool)
      let y = context.nextMap(x.shape)
      context.multiply(out, attended, into: y.view, gamma: gamma, residual: x.view)
      return y
    }

    /// What keys or values are made of.
    private func source(
      _ x: FeatureMap, _ reduction: GroupedConvolution?, _ context: MobileNetContext
    ) -> MatrixView {
      guard let reduction else { return x.view }
      let y = context.innerMap(1, MobileNetPlan.reduced(x.shape))
      context.convolve(x, reduction, into: y)
      return y.view
    }
  }
}
