import VLMTensor

/// A part of what a prompt has in the place of one picture.
package enum PictureRun: Sendable, Equatable {
  /// Rows of the picture's visual tokens.
  case rows(Range<Int>)
  /// Text that the model reads among them, such as the number of a tile's row, by its ids.
  case text([Int])

  package var count: Int {
    switch self {
    case .rows(let rows): rows.count
    case .text(let ids): ids.count
    }
  }
}

/// A picture as the language model sees it, in memory of its own.
package final class VisualTokens: Sendable {
  /// Visual tokens.
  package let count: Int
  /// Tokens in a column and in a row of the picture; of one in tiles, of the grid that the tiles make
  /// together, beside which there are more tokens.
  package let gridHeight: Int
  package let gridWidth: Int
  package let columns: Int
  /// What a prompt has in the picture's place, in this order: all rows once, from the first to the
  /// last, and maybe text between them.
  package let runs: [PictureRun]
  private let memory: Activations

  /// - Throws: `ModelError` when the system has no memory for them.
  init(count: Int, gridHeight: Int, gridWidth: Int, columns: Int) throws(ModelError) {
    self.count = count
    self.gridHeight = gridHeight
    self.gridWidth = gridWidth
    self.columns = columns
    runs = [.rows(0..<count)]
    memory = try Activations(count: count * columns, for: "the visual tokens of a picture")
  }

  private init(_ other: VisualTokens, _ runs: [PictureRun]) {
    (count, columns, memory) = (other.count, other.columns, other.memory)
    (gridHeight, gridWidth) = (other.gridHeight, other.gridWidth)
    self.runs = runs
  }

  /// The same tokens, text among them; they share the memory.
  ///
  /// - Precondition: the runs have every row once, in order.
  package func arranged(_ runs: [PictureRun]) -> VisualTokens {
    var next = 0
    for case .rows(let rows) in runs {
      precondition(rows.lowerBound == next, "every row once, in order")
      next = rows.upperBound
    }
    precondition(next == count, "every row once, in order")
    return VisualTokens(self, runs)
  }

  /// Positions of a prompt that the picture takes, the text among its tokens included.
  package var positionCount: Int { runs.reduce(0) { $0 + $1.count } }

  /// `[count, columns]`, in the order in which they are read: of one input from the top left, row by
  /// row. Valid while this object lives.
  package var rows: MatrixView { memory.matrix(rows: count, columns: columns) }
}
