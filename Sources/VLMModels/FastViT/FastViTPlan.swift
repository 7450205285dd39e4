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
  private(set) var sizes = ConvolutionSizes()
  private let input: FeatureShape
  private let wideElements: Int

  /// - Throws: `ModelError` for a picture without pixels, or with too many to count with.
  init(
    _ config: FastViTConfig, input: FeatureShape, wideElements: Int
  ) throws(ModelError) {
    try ConvolutionSizes.checkPicture(input)
    (self.input, self.wideElements) = (input, wideElements)
    let channels = config.stages.first?.channels ?? 1
    middle = Self.halved(input, channels: channels)
    stem = Self.halved(middle, channels: channels)
    output = stem
    addStem()
    var map = stem
    sizes.mapCount = stem.elementCount
    for (index, stage) in config.stages.enumerated() {
      if stage.downsamples {
        let next = Self.halved(map, channels: stage.channels)
        addGroups(map, next, kernel: config.downsampleKernel, stride: 2)
        map = next
      }
      sizes.mapCount.grow(to: map.elementCount)
      sizes.maximumInputs.grow(to: max(stage.channels, stage.hidden))
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
    sizes.mapCount.grow(to: output.elementCount)
    // The squeeze-excite of the last map, and of those before it.
    sizes.maximumInputs.grow(to: max(config.outputs, config.squeeze))
    sizes.maximumInputs.grow(to: config.stages.compactMap(\.squeeze).max() ?? 1)
  }

  /// A map behind a convolution of stride 2.
  static func halved(_ map: FeatureShape, channels: Int) -> FeatureShape {
    FeatureShape(
      batch: 1, height: (map.height + 1) / 2, width: (map.width + 1) / 2, channels: channels)
  }

  private mutating func addStem() {
    let (lines, channels) = (FastViTStem.lines, stem.channels)
    let window = FastViTConfig.stemKernel * FastViTConfig.stemKernel * input.channels
    sizes.hiddenCount = (2 * lines + 1) * middle.width * channels
    sizes.branchCount = max(middle.width * window, lines * stem.width * channels)
    sizes.tileRows = max(ConvolutionSizes.pointRows, middle.width, lines * stem.width)
    sizes.maximumInputs = max(window, channels)
    sizes.linesCount = middle.width * channels
  }

  private mutating func addGroups(
    _ x: FeatureShape, _ y: FeatureShape, kernel: Int, stride: Int
  ) {
    let lines = (ConvolutionSizes.lines - 1) * stride + kernel + 1
    sizes.linesCount.grow(to: lines * x.width * y.channels)
  }

  private mutating func addMLP(_ map: FeatureShape, hidden: Int) {
    if isWide(rows: map.rows, hidden: hidden) {
      return sizes.addWide(rows: map.rows, channels: map.channels, hidden: hidden)
    }
    let tile = LineTiles.maximumRows(
      width: map.width, targetRows: ConvolutionSizes.tileRows(columns: hidden))
    let group = max(tile, min(map.rows, ConvolutionSizes.lines * map.width))
    sizes.tileRows.grow(to: tile)
    sizes.branchCount.grow(to: group * map.channels)
    sizes.hiddenCount.grow(to: tile * hidden)
  }

  /// Whether an MLP runs layer by layer.
  func isWide(rows: Int, hidden: Int) -> Bool { rows * hidden <= wideElements }

  /// Nil when it overflows.
  func byteCount(threads: Int, _ format: KeyValueFormat) -> Int? {
    attention.values.reduce(input.elementCount * 4 + sizes.byteCount(threads: threads)) {
      $0?.adding(TransformerPlan($1.config, rows: $1.rows, inputs: 1).byteCount(format))
    }
  }
}
