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
  /// Elements of each of the two maps between blocks.
  private(set) var mapCount = 1
  /// Elements of each of the two maps within a block.
  private(set) var innerCount = 1
  /// Elements of what attention makes.
  private(set) var extraCount = 1
  /// Elements of a thread's windows, and of what else it works in.
  private(set) var windowCount = 1
  private(set) var linesCount = 1
  /// Rows and columns that enter a product of one thread.
  private(set) var tileRows = MobileNetPlan.pointRows
  private(set) var maximumInputs = 27
  /// The same of products that all threads share.
  private(set) var sharedRows = 1
  private(set) var sharedInputs = 1
  private(set) var attention: Set<AttentionSize> = []
  private let input: FeatureShape

  /// Rows that a pointwise convolution of a large map takes at a time.
  static let pointRows = 128
  /// Rows up to which all threads share a product's outputs, as there are few pieces of rows.
  private static let mostSharedRows = 1024
  /// Lines that a depthwise convolution makes at a time.
  static let depthwiseLines = 8
  /// The largest side of a picture: memory refuses those before; this keeps arithmetic from
  /// overflowing.
  private static let maximumSide = 1 << 16

  /// - Throws: `ModelError` for a picture without pixels, or with too many to count with.
  init(_ config: MobileNetConfig, input: FeatureShape) throws(ModelError) {
    let side = 1...Self.maximumSide
    guard side.contains(input.height), side.contains(input.width) else {
      throw ModelError(
        .image(
          found: "\(input.width)×\(input.height) pixels",
          expected: "sides of 1 to \(Self.maximumSide)"))
    }
    self.input = input
    output = input
    var map = input
    for block in config.stem + config.stages.flatMap({ $0 }) {
      add(block, map)
      if case .bottleneck(let block) = block { map = block.layers.reduce(map) { $1.output($0) } }
      mapCount = max(mapCount, map.elementCount)
    }
    output = map
    if let final = config.final {
      add(final, map)
      mapCount = max(mapCount, final.output(map).elementCount)
    }
  }

  private mutating func add(_ block: MobileNetConfig.Block, _ map: FeatureShape) {
    switch block {
    case .bottleneck(let block):
      var x = map
      for layer in block.layers {
        add(layer, x)
        x = layer.output(x)
        innerCount = max(innerCount, x.elementCount)
      }
    case .linearMixer(let mixer):
      let width = mixer.heads * mixer.dimension
      innerCount = max(innerCount, map.rows * 3 * width)
      extraCount = max(extraCount, map.rows * width * (1 + mixer.kernels.count))
      linesCount = max(
        linesCount, mixer.dimension * (mixer.dimension + 1),
        min(Self.depthwiseLines, map.height) * map.width * 3 * width)
      addProduct(rows: map.rows, inputs: map.channels)
      addProduct(rows: map.rows, inputs: width * (1 + mixer.kernels.count))
    case .sharedMixer(let mixer):
      let width = mixer.heads * mixer.dimension
      innerCount = max(innerCount, map.elementCount, map.rows * width)
      extraCount = max(extraCount, map.rows * width)
      let keys = mixer.reduction == nil ? map.rows : Self.reduced(map).rows
      linesCount = max(linesCount, map.width * map.channels)
      attention.insert(AttentionSize(heads: mixer.heads, dimension: mixer.dimension, keys: keys))
      addProduct(rows: map.rows, inputs: map.channels)
      addProduct(rows: keys, inputs: map.channels)
      addProduct(rows: map.rows, inputs: width)
    }
  }

  private mutating func add(_ layer: MobileNetConfig.Layer, _ map: FeatureShape) {
    let shape = layer.output(map)
    if layer.outputs == nil {
      linesCount = max(linesCount, map.width * map.channels)
    } else if layer.kernel == 1, layer.stride == 1 {
      addProduct(rows: map.rows, inputs: map.channels)
    } else {
      let columns = layer.kernel * layer.kernel * map.channels
      let rows = Self.denseTiles(shape, columns: columns).rowsPerTile
      windowCount = max(windowCount, rows * columns)
      tileRows = max(tileRows, rows)
      maximumInputs = max(maximumInputs, columns)
    }
  }

  private mutating func addProduct(rows: Int, inputs: Int) {
    maximumInputs = max(maximumInputs, inputs)
    guard Self.isShared(rows: rows) else { return }
    sharedRows = max(sharedRows, rows)
    sharedInputs = max(sharedInputs, inputs)
  }

  /// Whether all threads share a product of so many rows.
  static func isShared(rows: Int) -> Bool { rows <= mostSharedRows }

  /// Tiles of a dense convolution to `shape`, whose windows have so many columns.
  static func denseTiles(_ shape: FeatureShape, columns: Int) -> LineTiles {
    LineTiles(
      shape,
      targetRows: min(ConvNeXtContext.tileRows(columns: columns), max(32, shape.rows / 16)))
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
    let perThread = (windowCount + linesCount) * 4 + tileRows * (maximumInputs + 72)
    let maps = input.elementCount + 2 * (mapCount + innerCount) + extraCount
    var sum = maps * 4 + threads * perThread + sharedRows * (sharedInputs + 72)
    for size in attention {
      guard
        let bytes = KeyValues.byteCount(
          capacity: size.keys, heads: 1, headDimension: size.dimension, format: format)
      else { return nil }
      let (total, overflow) = sum.addingReportingOverflow(
        bytes + size.keys * 2 * size.dimension * 4)
      guard !overflow else { return nil }
      sum = total
    }
    return sum
  }
}
