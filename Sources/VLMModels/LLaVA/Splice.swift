import VLMFoundation
import VLMTensor

/// Where each position of a language model's input comes from, once pictures stand in for their
/// sentinels: text by its ids, a picture by rows of its visual tokens, and by the text that the model
/// reads among them.
///
/// A position of a picture is a position like any other: it counts for rotation, for the mask and
/// against the context limit.
package struct Splice: Sendable, Equatable {
  package enum Piece: Sendable, Equatable {
    case text([Int])
    /// Rows of picture number `image`.
    case image(Int, rows: Range<Int>)

    package var count: Int {
      switch self {
      case .text(let ids): ids.count
      case .image(_, let rows): rows.count
      }
    }
  }

  package let pieces: [Piece]

  package var count: Int { pieces.reduce(0) { $0 + $1.count } }

  /// Replaces the sentinels of `ids`, in order, by pictures.
  ///
  /// - Parameters:
  ///   - sentinel: what `ids` hold where a picture goes, which is no token's id.
  ///   - images: what stands for each, see `VisualTokens.runs`.
  /// - Throws: `ModelError` when there are not as many pictures as sentinels.
  package init(
    _ ids: [Int], sentinel: Int, images: [[PictureRun]]
  ) throws(ModelError) {
    let sentinels = ids.count { $0 == sentinel }
    guard sentinels == images.count else {
      throw ModelError(
        .prompt(
          found: counted(images.count, "image"),
          expected: "\(sentinels), one for each place in the prompt"))
    }
    var pieces: [Piece] = []
    var text: [Int] = []
    var image = 0
    func flush() {
      if !text.isEmpty { pieces.append(.text(text)) }
      text = []
    }
    for id in ids {
      guard id == sentinel else {
        text.append(id)
        continue
      }
      for run in images[image] where run.count > 0 {
        switch run {
        case .text(let ids): text += ids
        case .rows(let rows):
          flush()
          pieces.append(.image(image, rows: rows))
        }
      }
      image += 1
    }
    flush()
    self.pieces = pieces
  }

  /// The same for pictures of these many tokens, each one run.
  package init(
    _ ids: [Int], sentinel: Int, imageTokens: [Int]
  ) throws(ModelError) {
    try self.init(ids, sentinel: sentinel, images: imageTokens.map { [.rows(0..<$0)] })
  }

  /// The pieces behind the first `count` positions.
  package func pieces(from count: Int) -> [Piece] {
    var left = count
    var kept: [Piece] = []
    for piece in pieces {
      let skipped = min(left, piece.count)
      left -= skipped
      if skipped == piece.count { continue }
      switch piece {
      case .text(let ids): kept.append(.text(Array(ids.dropFirst(skipped))))
      case .image(let index, let rows): kept.append(.image(index, rows: rows.dropFirst(skipped)))
      }
    }
    return kept
  }
}
