import VLMFoundation
import VLMTensor

/// Sizes of what a pass of a convolutional tower works in. The plan of each tower finds them, from
/// shapes alone.
struct ConvolutionSizes {
  /// Elements of each of the two maps between blocks.
  var mapCount = 1

  // What one thread needs for one tile.

  /// Elements of a block's branch.
  var branchCount = 0
  /// Elements of a hidden layer, or of gathered windows.
  var hiddenCount = 0
  /// Elements of the lines that a convolution with groups works in.
  var linesCount = 0
  /// Rows and columns that enter a product.
  var tileRows = 1
  var maximumInputs = 1

  // What all threads share where there are too few rows to share out: such layers run whole.

  /// Rows and columns that enter a product.
  var wideRows = 0
  var wideInputs = 0
  var wideBranchCount = 0
  var wideHiddenCount = 0

  /// Rows that a pointwise convolution of a large map takes at a time.
  static let pointRows = 128
  /// Lines that a convolution makes at a time: with fewer, most of what it reads are the lines around
  /// them; with more, what it makes leaves the cache.
  static let lines = 8
  /// The largest side of a picture: memory refuses those before; this keeps arithmetic from
  /// overflowing.
  private static let maximumSide = 1 << 16

  /// Rows of a tile whose widest matrix has `columns` columns: about 1 MiB, which stays in cache,
  /// yet enough rows to use each weight many times.
  static func tileRows(columns: Int) -> Int {
    max(64, min(256, (1 << 18) / max(1, columns)))
  }

  /// Refuses a picture without pixels, or with too many to count with.
  static func checkPicture(_ input: FeatureShape) throws(ModelError) {
    precondition(input.batch == 1, "one picture at a time")
    let side = 1...maximumSide
    guard side.contains(input.height), side.contains(input.width) else {
      throw ModelError(
        .image(
          found: "\(input.width)×\(input.height) pixels", expected: "sides of 1 to \(maximumSide)"))
    }
  }

  /// Adds a product of so many rows that all threads share.
  mutating func addWide(rows: Int, inputs: Int) {
    wideRows.grow(to: rows)
    wideInputs.grow(to: inputs)
  }

  /// Adds a block that runs layer by layer, whose hidden layer is wider than its map.
  mutating func addWide(rows: Int, channels: Int, hidden: Int) {
    addWide(rows: rows, inputs: max(channels, hidden))
    wideBranchCount.grow(to: rows * channels)
    wideHiddenCount.grow(to: rows * hidden)
  }

  /// Whether what was planned has room for another pass whose layers need not run whole.
  func hasRoom(for other: ConvolutionSizes) -> Bool {
    other.mapCount <= mapCount && other.branchCount <= branchCount
      && other.hiddenCount <= hiddenCount && other.linesCount <= linesCount
      && other.tileRows <= tileRows && other.maximumInputs <= maximumInputs
  }

  func byteCount(threads: Int) -> Int {
    let perThread =
      (branchCount + hiddenCount + linesCount) * 4 + tileRows * (maximumInputs + 72)
    let wide = (wideBranchCount + wideHiddenCount) * 4 + wideRows * (wideInputs + 72)
    return 2 * mapCount * 4 + threads * perThread + wide
  }
}

extension Int {
  /// Takes the larger of both.
  mutating func grow(to other: Int) { self = Swift.max(self, other) }
}
