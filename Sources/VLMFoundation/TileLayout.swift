/// Height and width of a picture or of a part of one.
package struct PictureExtent: Sendable, Hashable {
  package var height: Int
  package var width: Int

  package init(height: Int, width: Int) {
    self.height = height
    self.width = width
  }
}

/// How the inputs that a picture becomes make up the picture: what preprocessing knows, and what
/// whoever puts the encoded parts together again needs.
///
/// The tiles of the grid are in the list of inputs from the top left, row by row, before or behind the
/// overview.
package struct TileLayout: Sendable, Hashable {
  /// The whole picture, upright, before it was resized.
  package var picture: PictureExtent
  /// Tiles in a column and in a row of the grid; both 0 for a picture that is not cut up.
  package var rows: Int
  package var columns: Int
  /// Which of the inputs shows the whole picture; nil where none does.
  package var overview: Int?
  /// The part of each input that shows something, from its top left; empty where all of every one
  /// does.
  package var valid: [PictureExtent]

  package init(
    picture: PictureExtent, rows: Int, columns: Int, overview: Int?, valid: [PictureExtent] = []
  ) {
    self.picture = picture
    self.rows = rows
    self.columns = columns
    self.overview = overview
    self.valid = valid
  }

  /// Of a picture that is one input.
  package static func whole(height: Int, width: Int) -> TileLayout {
    TileLayout(
      picture: PictureExtent(height: height, width: width), rows: 0, columns: 0, overview: 0)
  }

  package var isWhole: Bool { rows == 0 && columns == 0 }
  /// Inputs, all together.
  package var count: Int { rows * columns + (overview == nil ? 0 : 1) }
  /// Where the grid's tiles are in the list of inputs, in their order.
  package var grid: [Int] { (0..<count).filter { $0 != overview } }
}
