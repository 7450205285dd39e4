import VLMTensor

/// Sizes of everything that a pass of a FastViT needs, from shapes alone.
struct FastViTPlan {
  /// What a stage's attention works in.
  struct AttentionStage {
    let config: TransformerConfig
    let rows: Int
  }

  /// The map behind the stem's first convolution, which never exists in full.
  let middle: FeatureShape
  /// The map that leaves the stem.
  let stem: FeatureShape
  /// The map that leaves the last convolution.
  private(set) var output: FeatureShape
  /// By the stage's index.
  private(set) var attention: [Int: AttentionStage] = [:]
  /// Elements of each of the two maps.
  private(set) var mapCount = 1
  private(set) var branchCount = 1
  private(set) var hiddenCount = 1
  private(set) var linesCount = 1
  private(set) var tileRows = FastViTPlan.pointRows
  private(set) var maximumInputs = 27
  private(set) var wideRows = 1
  private(set) var wideInputs = 1
  private(set) var wideBranchCount = 1
  private(set) var wideHiddenCount = 1
  private let input: FeatureShape
  private let wideElements: Int

  /// Rows that a pointwise convolution takes at a time.
  static let pointRows = 128
  /// The largest side of a picture: memory refuses those before; this keeps arithmetic from
  /// overflowing.
  private static let maximumSide = 1 << 16

  /// - Throws: `ModelError` for a picture without pixels, or with too many to count with.
  init(
    _ config: FastViTConfig, input: FeatureShape, wideElements: Int
  ) throws(ModelError) {
    let side = 1...Self.maximumSide
    guard side.contains(input.height), side.contains(input.width) else {
      throw ModelError(
        .image(
          found: "\(input.width)×\(input.height) pixels",
          expected: "sides of 1 to \(Self.maximumSide)"))
    }
    (self.input, self.wideElements) = (input, wideElements)
    let channels = config.stages.first?.channels ?? 1
    middle = Self.halved(input, channels: channels)
    stem = Self.halved(middle, channels: channels)
    output = stem
    addStem()
    var map = stem
    mapCount = stem.elementCount
    for (index, stage) in config.stages.enumerated() {
      if stage.downsamples {
        let next = Self.halved(map, channels: stage.channels)
        addGroups(map, next, kernel: config.downsampleKernel, stride: 2)
        map = next
      }
      mapCount = max(mapCount, map.elementCount)
      maximumInputs = max(maximumInputs, stage.channels, stage.hidden)
      addMLP(map, hidden: stage.hidden)
      if stage.mixer == .attention {
        attention[index] = AttentionStage(
          config: TransformerConfig(
            width: stage.channels, layers: stage.depth,
            heads: stage.channels / FastViTConfig.headDimension, hidden: stage.channels,
            activation: .gelu, epsilon: FastViTConfig.epsilon), rows: map.rows)
      }
    }
    output = FeatureShape(
      batch: 1, height: map.height, width: map.width, channels: config.outputs)
    addGroups(map, output, kernel: FastViTConfig.finalKernel, stride: 1)
    mapCount = max(mapCount, output.elementCount)
    // The squeeze-excite of the last map, and of those before it.
    maximumInputs = max(
      maximumInputs, config.outputs, config.squeeze, config.stages.compactMap(\.squeeze).max() ?? 1)
  }

  /// A map behind a convolution of stride 2.
  static func halved(_ map: FeatureShape, channels: Int) -> FeatureShape {
    FeatureShape(
      batch: 1, height: (map.height + 1) / 2, width: (map.width + 1) / 2, channels: channels)
  }

  private mutating func addStem() {
    let (lines, channels) = (FastViTStem.lines, stem.channels)
    hiddenCount = (2 * lines + 1) * middle.width * channels
    branchCount = max(middle.width * 27, lines * stem.width * channels)
    tileRows = max(tileRows, middle.width, lines * stem.width)
    maximumInputs = max(maximumInputs, channels)
    linesCount = middle.width * channels
  }

  private mutating func addGroups(
    _ x: FeatureShape, _ y: FeatureShape, kernel: Int, stride: Int
  ) {
    let lines = (FastViTContext.groupLines - 1) * stride + kernel + 1
    linesCount = max(linesCount, lines * x.width * y.channels)
  }

  private mutating func addMLP(_ map: FeatureShape, hidden: Int) {
    if isWide(rows: map.rows, hidden: hidden) {
      wideRows = max(wideRows, map.rows)
      wideInputs = max(wideInputs, map.channels, hidden)
      wideBranchCount = max(wideBranchCount, map.elementCount)
      wideHiddenCount = max(wideHiddenCount, map.rows * hidden)
      return
    }
    let tile = LineTiles.maximumRows(
      width: map.width, targetRows: FastViTContext.tileRows(columns: hidden))
    let group = max(tile, min(map.rows, FastViTContext.groupLines * map.width))
    tileRows = max(tileRows, tile)
    branchCount = max(branchCount, group * map.channels)
    hiddenCount = max(hiddenCount, tile * hidden)
  }

  /// Whether an MLP runs layer by layer.
  func isWide(rows: Int, hidden: Int) -> Bool { rows * hidden <= wideElements }

  /// Nil when it overflows.
  func byteCount(threads: Int, _ format: KeyValueFormat) -> Int? {
    let perThread =
      (branchCount + hiddenCount + linesCount) * 4 + tileRows * (maximumInputs + 72)
    let wide = (wideBranchCount + wideHiddenCount) * 4 + wideRows * (wideInputs + 72)
    var sum = (input.elementCount + 2 * mapCount) * 4 + threads * perThread + wide
    for stage in attention.values {
      guard
        let bytes = TransformerPlan(stage.config, rows: stage.rows, inputs: 1).byteCount(format)
      else { return nil }
      let (total, overflow) = sum.addingReportingOverflow(bytes)
      guard !overflow else { return nil }
      sum = total
    }
    return sum
  }
}
