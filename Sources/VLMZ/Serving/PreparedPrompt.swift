import VLMModels
import VLMTensor
import VLMText

/// A prompt with all that is needed to compute it, pictures encoded.
struct PreparedPrompt: Sendable {
  /// What stands at each position.
  let positions: [PromptPosition]
  private let splice: Splice
  let images: [VisualTokens]
  /// The keys of its full pages, but for one that the last position ends: that one is always computed,
  /// because its logits are what is wanted.
  let keys: [PageKey]
  /// What stands before its first page.
  let root: PageKey
  let visualCount: Int

  var count: Int { positions.count }

  /// - Parameters:
  ///   - ids: `ImagePrompt.sentinel` where a picture goes.
  ///   - images: the pictures, in their order.
  ///   - digests: of the pictures.
  ///   - scope: those who share its pages.
  /// - Throws: `ModelError` when the numbers of pictures differ.
  init(
    _ ids: [Int], images: [VisualTokens], digests: [PictureDigest], scope: String,
    pagePositions: Int
  ) throws(ModelError) {
    splice = try Splice(
      ids, sentinel: ImagePrompt.sentinel, images: images.map(\.runs))
    self.images = images
    var positions: [PromptPosition] = []
    for piece in splice.pieces {
      switch piece {
      case .text(let ids): positions += ids.map { .token($0) }
      case .image(let index, let rows):
        positions += rows.map { .picture(digests[index], row: $0) }
      }
    }
    self.positions = positions
    visualCount = images.reduce(0) { $0 + $1.count }
    root = PageKey(scope: scope)
    var keys: [PageKey] = []
    var end = pagePositions
    while end < positions.count {
      keys.append(
        PageKey(after: keys.last ?? root, positions[end - pagePositions..<end]))
      end += pagePositions
    }
    self.keys = keys
  }

  /// The tokens of some positions; nil where there is a picture.
  func tokens(_ range: Range<Int>) -> [Int]? {
    var tokens: [Int] = []
    for position in positions[range] {
      guard case .token(let id) = position else { return nil }
      tokens.append(id)
    }
    return tokens
  }

  /// Embeddings of some positions: `[range.count, hidden]`.
  ///
  /// - Throws: `ModelError` for a token that is not in the vocabulary.
  func embed(
    _ range: Range<Int>, _ model: LLaVA, into output: MatrixView
  ) throws(ModelError) {
    var left = range.count
    var pieces: [Splice.Piece] = []
    for piece in splice.pieces(from: range.lowerBound) where left > 0 {
      let count = min(left, piece.count)
      left -= count
      switch piece {
      case .text(let ids): pieces.append(.text(Array(ids.prefix(count))))
      case .image(let index, let rows): pieces.append(.image(index, rows: rows.prefix(count)))
      }
    }
    try model.embed(pieces, images: images, into: output)
  }
}
