/// Extent of a batch of feature maps, channels last: `[batch * height * width, channels]`.
package struct FeatureShape: Sendable, Equatable {
  package var batch: Int
  package var height: Int
  package var width: Int
  package var channels: Int

  package init(batch: Int, height: Int, width: Int, channels: Int) {
    self.batch = batch
    self.height = height
    self.width = width
    self.channels = channels
  }

  package var rows: Int { batch * height * width }
  package var elementCount: Int { rows * channels }
}

/// A batch of feature maps cut into tiles of whole image lines.
///
/// The cut depends on the shape only, never on the number of threads, so that results do not
/// either. Lines are counted through the whole batch; a tile may hold lines of several images.
struct LineTiles: Sendable {
  let shape: FeatureShape
  private let linesPerTile: Int

  /// - Parameter targetRows: matrix rows that a tile should have; at least one line is taken.
  init(_ shape: FeatureShape, targetRows: Int) {
    self.shape = shape
    linesPerTile = max(1, targetRows / max(1, shape.width))
  }

  /// Tiles of lines for work whose results do not depend on how it is cut: as many as `threads` have
  /// equal shares of, each of at most `maximumLines`.
  init(_ shape: FeatureShape, threads: Int, maximumLines: Int) {
    self.shape = shape
    let lines = shape.batch * shape.height
    let tiles = (lines + maximumLines - 1) / maximumLines
    let shares = (tiles + threads - 1) / threads * threads
    linesPerTile = max(1, (lines + shares - 1) / max(1, shares))
  }

  /// Groups of whole `tiles`: of about `maximumLines`, fewer where `threads` would have too few
  /// groups to balance.
  init(grouping tiles: LineTiles, maximumLines: Int, threads: Int) {
    shape = tiles.shape
    let group = min(maximumLines / tiles.linesPerTile, tiles.count / (4 * threads))
    linesPerTile = tiles.linesPerTile * max(1, group)
  }

  /// Rows of every tile but the last.
  var rowsPerTile: Int { linesPerTile * shape.width }

  private var lines: Int { shape.batch * shape.height }
  var count: Int { shape.width == 0 ? 0 : (lines + linesPerTile - 1) / linesPerTile }

  /// Rows that the largest tile has.
  static func maximumRows(width: Int, targetRows: Int) -> Int {
    max(1, targetRows / max(1, width)) * width
  }

  subscript(piece: Int) -> Range<Int> {
    piece * linesPerTile..<min(lines, (piece + 1) * linesPerTile)
  }

  /// The matrix rows of a tile.
  func rows(_ piece: Int) -> Range<Int> {
    let lines = self[piece]
    return lines.lowerBound * shape.width..<lines.upperBound * shape.width
  }

  /// Calls `body(rows of the image, lines within it, row offset within the tile)` for every image
  /// that the tile touches.
  func forEachImage(
    in piece: Int, _ body: (_ image: Range<Int>, _ lines: Range<Int>, _ offset: Int) -> Void
  ) {
    let range = self[piece]
    var line = range.lowerBound
    while line < range.upperBound {
      let image = line / shape.height
      let end = min(range.upperBound, (image + 1) * shape.height)
      let imageRows = shape.height * shape.width
      body(
        image * imageRows..<(image + 1) * imageRows,
        line - image * shape.height..<end - image * shape.height,
        (line - range.lowerBound) * shape.width)
      line = end
    }
  }
}
