import VLMFoundation
import VLMTensor

/// A vision tower, a projector and a language model, as LLaVA's `llava_arch.py` joins them.
package final class LLaVA: Sendable {
  package let config: LLaVAConfig
  package let tower: any VisionTower
  package let projector: Projector
  package let language: LLaMA
  /// `image_newline`, `[hidden]`, where the merge of tiles has one.
  private let newline: Tensor?
  private let kernels: KernelSet

  /// What the names of the language model's tensors begin with.
  static let languageName = "language"

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(_ weights: Weights, _ config: LLaVAConfig) throws(ModelError) {
    self.config = config
    tower = try config.tower.tower(weights["tower"])
    projector = try Projector(weights["projector"], config.projector)
    language = try LLaMA(weights[Self.languageName], config.language)
    newline = try weights.vector(
      "image_newline", config.projector.outputs, if: config.merge.hasNewline)
    kernels = weights.kernels
  }

  /// The visual tokens of one picture.
  ///
  /// The tower sees one input after the other, those of one size in the same memory.
  ///
  /// - Parameters:
  ///   - inputs: the preprocessed picture, or its parts.
  ///   - layout: which part each is; it has as many as there are.
  ///   - cancelled: looked at before each of the tower's layers, and before the projector.
  ///   - observe: sees the picture, what the tower shows, its features, and what the projector makes
  ///     of them; of several inputs those of the overview, and then the merged rows.
  /// - Throws: `ModelError` when an input is too small for the tower or too large for memory, when
  ///   the inputs cannot be merged, or when the pass was cancelled.
  package func encode(
    _ inputs: [TowerInput], layout: TileLayout, pool: WorkerPool,
    cancelled: CancellationFlag? = nil, observe: TowerObserver? = nil
  ) throws(ModelError) -> VisualTokens {
    precondition(
      inputs.count == layout.count && layout.count > 0, "as many inputs as the layout has")
    let shown = layout.overview ?? 0
    let features = try tower.features(
      of: inputs, pool: pool, kernels: kernels, cancelled: cancelled,
      observing: shown,
      observe: observe.map { observe in
        { seen in
          let isFeatures = seen.role == .features
          observe(seen.renamed(LLaVAPoint.tower(seen.point), layout: isFeatures ? .tokens : nil))
        }
      })
    try ModelError.check(cancelled)
    let grids = features.map { MapExtent(height: $0.gridHeight, width: $0.gridWidth) }
    guard let grid = grids.first, grids.allSatisfy({ $0 == grid }) else {
      throw ModelError(
        .image(found: "tiles of several sizes", expected: "one size, of which to make one map"))
    }
    let plan = try TileMergePlan(config.merge, layout, tile: grid)
    let tokens = try VisualTokens(
      count: plan.count, gridHeight: plan.map.height, gridWidth: plan.map.width,
      columns: config.projector.outputs)
    // What needs no merging is projected to its place.
    let isInPlace = config.merge == .inOrder
    let between =
      isInPlace
      ? nil
      : try Activations(
        count: features.count * grid.count * tokens.columns, for: "the tiles of a picture")
    let projected =
      between?.matrix(rows: features.count * grid.count, columns: tokens.columns) ?? tokens.rows
    for (index, feature) in features.enumerated() {
      let rows = projected[index * grid.count..<(index + 1) * grid.count]
      try projector(feature.tokens, into: rows, pool: pool)
      if index == shown { observe?(Observation(LLaVAPoint.projector, rows, .tokens)) }
    }
    if !isInPlace { try plan.merge(projected, newline: newlineRow, into: tokens.rows) }
    if layout.count > 1 || !isInPlace {
      observe?(Observation(LLaVAPoint.merged, tokens.rows, .tokens))
    }
    withExtendedLifetime(between) {}
    return tokens
  }

  private var newlineRow: [Float] {
    guard let newline else { return [] }
    return (0..<config.projector.outputs).map { newline.floats[$0] }
  }

  /// The same for a picture that is one input.
  ///
  /// - Parameter pixels: `[height, width, 3]`.
  package func encode(
    _ pixels: [Float], height: Int, width: Int, pool: WorkerPool,
    cancelled: CancellationFlag? = nil, observe: TowerObserver? = nil
  ) throws(ModelError) -> VisualTokens {
    try encode(
      [TowerInput(pixels, height: height, width: width)],
      layout: .whole(height: height, width: width), pool: pool, cancelled: cancelled,
      observe: observe)
  }

  /// The language model's input for pieces of a prompt, one after the other.
  ///
  /// - Parameters:
  ///   - images: as many as the prompt has.
  ///   - output: `[positions of the pieces, hidden]`.
  /// - Throws: `ModelError` for a token that is not in the vocabulary.
  package func embed(
    _ pieces: [Splice.Piece], images: [VisualTokens], into output: MatrixView
  ) throws(ModelError) {
    var row = 0
    for piece in pieces {
      let rows = output[row..<row + piece.count]
      switch piece {
      case .text(let ids): try language.embed(ids, into: rows)
      case .image(let index, let part):
        rows.copy(images[index].rows[part])
        let scale = language.config.traits.pictureScale
        if scale != 1 { rows.multiply(by: scale) }
      }
      row += piece.count
    }
  }
}

/// What can be looked at where a picture becomes visual tokens.
package enum LLaVAPoint: ObservationPoint {
  /// Of the tower.
  case tower(any ObservationPoint)
  /// What the language model reads of the picture, or of the overview of one in tiles.
  case projector
  /// What it reads of all tiles.
  case merged

  package var name: String {
    switch self {
    case .tower(let point): point.nameUnderLanguageModel
    case .projector: "projector"
    case .merged: "merged"
    }
  }

  package var nameUnderLanguageModel: String { name }

  package var role: ObservationRole {
    switch self {
    case .tower(let point): point.role == .features ? .visualTokens : point.role
    case .projector, .merged: .other
    }
  }
}
