/// How a product is shared out among threads: blocks of rows by blocks of outputs.
///
/// Depends on shapes only, so that results do not depend on the number of threads even where a
/// library rounds one block unlike another.
struct ProductPieces {
  private let rows: Int
  private let outputs: Int
  /// Rows and outputs of a block; those at the far ends may have fewer.
  private let blockRows: Int
  private let blockOutputs: Int

  /// Pieces that balance on a few threads, whatever one of them is held up by.
  private static let wanted = 24
  /// Multiply-adds that are worth handing out: some 5 microseconds.
  private static let least = 2 << 20
  /// The kernels' own blocks hold 32 outputs and up to 32 rows; fewer rows would read the weights
  /// too often.
  private static let leastOutputs = 32
  private static let leastRows = 128

  /// Outputs of a piece of the few rows that are multiplied straight from the stored weights.
  private static let streamedOutputs = 64
  private static let streamedRows = 4
  /// Weights that stay in a cache while several blocks of rows read them.
  private static let cachedWeights = 4 << 20

  init(rows: Int, outputs: Int, inputs: Int) {
    self.rows = rows
    self.outputs = outputs
    guard rows > Self.streamedRows else {
      (blockRows, blockOutputs) = (max(1, rows), Self.streamedOutputs)
      return
    }
    var (height, width) = (max(1, rows), (max(1, outputs) + 31) / 32 * 32)
    func isSmall() -> Bool {
      Self.blocks(rows, height) * Self.blocks(outputs, width) >= Self.wanted
        || height * width * inputs <= Self.least
    }
    // Rows first: a thread that has all of a row finds it in its own cache in the next layer.
    let isCached = outputs * inputs <= Self.cachedWeights
    while !isSmall(), isCached, height > Self.leastRows {
      // Equal blocks, of whole tiles of the widest kernel.
      let count = 2 * Self.blocks(rows, height)
      height = (Self.blocks(rows, count) + 11) / 12 * 12
    }
    while !isSmall(), width > Self.leastOutputs { width = (width / 2 + 31) / 32 * 32 }
    blockRows = height
    blockOutputs = width
  }

  var count: Int { Self.blocks(rows, blockRows) * Self.blocks(outputs, blockOutputs) }

  /// The rows and outputs of a piece. Neighbouring pieces have the same rows.
  subscript(piece: Int) -> (rows: Range<Int>, outputs: Range<Int>) {
    let across = Self.blocks(outputs, blockOutputs)
    let (row, output) = (piece / across * blockRows, piece % across * blockOutputs)
    return (row..<min(rows, row + blockRows), output..<min(outputs, output + blockOutputs))
  }

  private static func blocks(_ extent: Int, _ block: Int) -> Int { (extent + block - 1) / block }
}
