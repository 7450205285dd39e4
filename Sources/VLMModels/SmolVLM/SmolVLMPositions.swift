import VLMTensor

/// Which row of the position table each patch of a tile has, and in which order the patches are run.
///
/// transformers' `Idefics3VisionEmbeddings` divides the part of a tile that shows something into as many
/// steps as it has patches, and looks up into which of the table's rows each falls. So a smaller grid
/// spreads over the whole table. Patches that show nothing have row 0; no patch looks at them, so they
/// come last.
struct SmolVLMPositions: Equatable {
  /// By the place in the tile, row by row.
  let rows: [Int]
  /// The patches in the order in which they are run, by their places in the tile.
  let order: [Int]
  /// How many of them show something.
  let validCount: Int

  /// Whether the order is that of the tile.
  var isWhole: Bool { validCount == order.count }

  /// - Parameters:
  ///   - patches: of the tile.
  ///   - valid: how many of them show something, from the top left; at least one each way.
  ///   - tableSide: rows and columns of the table.
  init(patches: MapExtent, valid: MapExtent, tableSide: Int) {
    precondition(
      (1...patches.height).contains(valid.height) && (1...patches.width).contains(valid.width),
      "a part of the tile")
    let down = Self.buckets(valid.height, tableSide)
    let across = Self.buckets(valid.width, tableSide)
    var rows = [Int](repeating: 0, count: patches.count)
    var (first, last): ([Int], [Int]) = ([], [])
    for place in 0..<patches.count {
      let (row, column) = (place / patches.width, place % patches.width)
      if row < valid.height, column < valid.width {
        rows[place] = down[row] * tableSide + across[column]
        first.append(place)
      } else {
        last.append(place)
      }
    }
    self.rows = rows
    order = first + last
    validCount = first.count
  }

  /// For each of `count` steps, how many bounds of `side` buckets it has reached.
  ///
  /// In f32, as PyTorch has it: where a step and a bound are meant to be the same number, rounding
  /// decides.
  static func buckets(_ count: Int, _ side: Int) -> [Int] {
    let bounds = bounds(side)
    let step = 1 / Float(count)
    return (0..<count).map { index in
      let place = min(Float(index) * step, Float(1 - 1e-6))
      return bounds.firstIndex { $0 > place } ?? bounds.count
    }
  }

  /// `torch.arange(1 / side, 1.0, 1 / side)`. On AVX2 it goes by blocks of 8, two at a time, each of
  /// which starts from a rounded number; what is left is computed one by one.
  private static func bounds(_ side: Int) -> [Float] {
    let step = 1 / Double(side)
    let count = Int(((1 - step) / step).rounded(.up))
    let inBlocks = count / 16 * 16
    return (0..<count).map { index in
      guard index < inBlocks else { return Float(step + step * Double(index)) }
      let base = Float(step + step * Double(index / 8 * 8))
      return Float(Double(base) + step * Double(index % 8))
    }
  }
}
