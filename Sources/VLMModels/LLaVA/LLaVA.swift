import VLMFoundation
import VLMTensor

/// A vision tower, a projector and a language model, as LLaVA's `llava_arch.py` joins them.
package struct LLaVA: Sendable {
  package let config: LLaVAConfig
  package let tower: any VisionTower
  package let projector: Projector
  package let language: LLaMA
  private let kernels: KernelSet

  /// What the names of the language model's tensors begin with.
  static let languageName = "language"

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(_ weights: Weights, _ config: LLaVAConfig) throws(ModelError) {
    self.config = config
    tower = try config.tower.tower(weights["tower"])
    projector = try Projector(weights["projector"], config.projector)
    language = try LLaMA(weights[Self.languageName], config.language)
    kernels = weights.kernels
  }

  /// The visual tokens of one picture.
  ///
  /// - Parameters:
  ///   - pixels: the preprocessed picture, `[height, width, 3]`.
  ///   - cancelled: looked at before each of the tower's layers, and before the projector.
  ///   - observe: sees the picture, what the tower shows, its features, and what the projector makes
  ///     of them.
  /// - Throws: `ModelError` when the picture is too small for the tower or too large for memory, or
  ///   when the pass was cancelled.
  package func encode(
    _ pixels: [Float], height: Int, width: Int, pool: WorkerPool,
    cancelled: CancellationFlag? = nil, observe: TowerObserver? = nil
  ) throws(ModelError) -> VisualTokens {
    let features = try tower.features(
      of: pixels, height: height, width: width, pool: pool, kernels: kernels,
      cancelled: cancelled,
      observe: observe.map { observe in
        { seen in
          let isFeatures = seen.role == .features
          observe(seen.renamed(LLaVAPoint.tower(seen.point), layout: isFeatures ? .tokens : nil))
        }
      })
    try ModelError.check(cancelled)
    let tokens = try VisualTokens(
      gridHeight: features.gridHeight, gridWidth: features.gridWidth,
      columns: config.projector.outputs)
    try projector(features.tokens, into: tokens.rows, pool: pool)
    observe?(Observation(LLaVAPoint.projector, tokens.rows, .tokens))
    return tokens
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
      case .image(let index, let part): rows.copy(images[index].rows[part])
      }
      row += piece.count
    }
  }
}

/// A picture as the language model sees it, in memory of its own.
package final class VisualTokens: Sendable {
  /// Tokens in a column and in a row of the picture.
  package let gridHeight: Int
  package let gridWidth: Int
  package let columns: Int
  private let memory: Activations

  /// - Throws: `ModelError` when the system has no memory for them.
  init(gridHeight: Int, gridWidth: Int, columns: Int) throws(ModelError) {
    self.gridHeight = gridHeight
    self.gridWidth = gridWidth
    self.columns = columns
    memory = try Activations(
      count: gridHeight * gridWidth * columns, for: "the visual tokens of a picture")
  }

  package var count: Int { gridHeight * gridWidth }
  /// `[count, columns]`, from the top left, row by row. Valid while this object lives.
  package var rows: MatrixView { memory.matrix(rows: count, columns: columns) }
}

/// What can be looked at where a picture becomes visual tokens.
package enum LLaVAPoint: ObservationPoint {
  /// Of the tower.
  case tower(any ObservationPoint)
  /// What the language model reads.
  case projector

  package var name: String {
    switch self {
    case .tower(let point): point.nameUnderLanguageModel
    case .projector: "projector"
    }
  }

  package var nameUnderLanguageModel: String { name }

  package var role: ObservationRole {
    switch self {
    case .tower(let point): point.role == .features ? .visualTokens : point.role
    case .projector: .other
    }
  }
}
