import VLMFoundation
import VLMTensor

/// Sizes of everything that a pass of a MobileNet needs, from shapes alone.
struct MobileNetPlan {
  /// What attention with shared keys is planned for.
  struct AttentionSize: Hashable {
    let heads: Int
    let dimension: Int
    /// Positions that are looked at.
    let keys: Int
  }

  /// The map that leaves the last stage.
  private(set) var output: FeatureShape
  private(set) var sizes = ConvolutionSizes()
  /// Elements of each of the two maps within a block.
  private(set) var innerCount = 1
  /// Elements of what attention makes.
  private(set) var extraCount = 1
  private(set) var attention: Set<AttentionSize> = []
  private let input: FeatureShape

  /// Rows up to which all threads share a product's outputs, as there are few pieces of rows.
  private static let mostSharedRows = 1024

  /// - Throws: `ModelError` for a picture without pixels, or with too many to count with.
  init(_ config: MobileNetConfig, input: FeatureShape) throws(ModelError) {
    try ConvolutionSizes.checkPicture(input)
    (self.input, output) = (input, input)
    sizes.tileRows = ConvolutionSizes.pointRows
    var map = input
    for block in config.stem + config.stages.flatMap({ $0 }) {
      add(block, map)
      if case .bottleneck(let block) = block { map = block.layers.reduce(map) { $1.output($0) } }
      guard map.height > 0, map.width > 0 else {
        throw ModelError(
          .configuration(
            field: "picture", found: "\(input.width)×\(input.height)",
            expected: "a side of \(config.stride) pixels or more"))
      }
      sizes.mapCount.grow(to: map.elementCount)
    }
    output = map
    if let final = config.final {
      add(final, map)
      sizes.mapCount.grow(to: final.output(map).elementCount)
    }
  }

  private mutating func add(_ block: MobileNetConfig.Block, _ map: FeatureShape) {
    switch block {
    case .bottleneck(let block):
      var x = map
      for layer in block.layers {
        add(layer, x)
        x = layer.output(x)
        innerCount.grow(to: x.elementCount)
      }
    case .linearMixer(let mixer):
      let width = mixer.heads * mixer.dimension
      innerCount.grow(to: map.rows * 3 * width)
      extraCount.grow(to: map.rows * width * (1 + mixer.kernels.count))
      sizes.linesCount.grow(to: mixer.dimension * (mixer.dimension + 1))
      sizes.linesCount.grow(to: min(ConvolutionSizes.lines, map.height) * map.width * 3 * width)
      addProduct(rows: map.rows, inputs: map.channels)
      addProduct(rows: map.rows, inputs: width * (1 + mixer.kernels.count))
    case .sharedMixer(let mixer):
      let width = mixer.heads * mixer.dimension
      innerCount.grow(to: max(map.elementCount, map.rows * width))
      extraCount.grow(to: map.rows * width)
      let keys = mixer.reduction == nil ? map.rows : Self.reduced(map).rows
      sizes.linesCount.grow(to: map.width * map.channels)
      attention.insert(AttentionSize(heads: mixer.heads, dimension: mixer.dimension, keys: keys))
      addProduct(rows: map.rows, inputs: map.channels)
      addProduct(rows: keys, inputs: map.channels)
      addProduct(rows: map.rows, inputs: width)
    }
  }

  private mutating func add(_ layer: MobileNetConfig.Layer, _ map: FeatureShape) {
    let shape = layer.output(map)
    if layer.smoothing != nil { return }
    if layer.outputs == nil {
      sizes.linesCount.grow(to: map.width * map.channels)
    } else if layer.kernel == 1, layer.stride == 1 {
      addProduct(rows: map.rows, inputs: map.channels)
    } else {
      let columns = layer.kernel * layer.kernel * map.channels
      let rows = Self.denseTiles(shape, columns: columns).rowsPerTile
      sizes.hiddenCount.grow(to: rows * columns)
      sizes.tileRows.grow(to: rows)
      sizes.maximumInputs.grow(to: columns)
    }
  }

  private mutating func addProduct(rows: Int, inputs: Int) {
    sizes.maximumInputs.grow(to: inputs)
    if rows <= Self.mostSharedRows { sizes.addWide(rows: rows, inputs: inputs) }
  }

  /// Tiles of a dense convolution to `shape`, whose windows have so many columns.
  static func denseTiles(_ shape: FeatureShape, columns: Int) -> LineTiles {
    LineTiles(
      shape,
      targetRows: min(ConvolutionSizes.tileRows(columns: columns), max(32, shape.rows / 16)))
  }

  /// The map that keys and values are made of where it is reduced.
  static func reduced(_ map: FeatureShape) -> FeatureShape {
    let stride = MobileNetBlock.SharedMixer.reductionStride
    return FeatureShape(
      batch: 1, height: (map.height - 1) / stride + 1, width: (map.width - 1) / stride + 1,
      channels: map.channels)
  }

  /// Nil when it overflows.
  func byteCount(threads: Int, _ format: KeyValueFormat) -> Int? {
    let maps = input.elementCount + 2 * innerCount + extraCount
    return attention.reduce(maps * 4 + sizes.byteCount(threads: threads)) { sum, size in
      let bytes = KeyValues.byteCount(
        capacity: size.keys, heads: 1, headDimension: size.dimension, format: format)
      return sum?.adding(bytes?.adding(size.keys * 2 * size.dimension * 4))
    }
  }
}
