import VLMFoundation
import VLMTensor

/// Where the rows of merged tiles come from, from sizes alone.
package struct TileMergePlan: Sendable, Equatable {
  /// Rows of the result.
  package let count: Int
  /// Rows and columns of the map that the grid's tiles make, without the newlines.
  package let map: MapExtent
  private let layout: TileLayout
  /// Of every tile.
  private let tile: MapExtent
  private let merge: TileMerge
  /// Part of the whole grid that is picture.
  private let rows: Range<Int>
  private let columns: Range<Int>

  /// - Parameter tile: rows and columns of tokens that each input became.
  /// - Throws: `ModelError` for a map so narrow that the maximum leaves nothing of it.
  package init(_ merge: TileMerge, _ layout: TileLayout, tile: MapExtent) throws(ModelError) {
    self.merge = merge
    self.layout = layout
    self.tile = tile
    var whole = MapExtent(height: layout.rows * tile.height, width: layout.columns * tile.width)
    if layout.isWhole { whole = tile }
    guard case .unpadded(let maximum) = merge, !layout.isWhole else {
      (rows, columns) = (0..<whole.height, 0..<whole.width)
      map = whole
      count = layout.count * tile.count + (merge.hasNewline ? 1 : 0)
      return
    }
    (rows, columns) = Self.unpadded(whole, layout.picture)
    var map = MapExtent(height: rows.count, width: columns.count)
    if let maximum {
      let ratio =
        (Double(map.count) / Double(maximum * tile.count)).squareRoot()
      if ratio > 1.1 {
        map = MapExtent(
          height: Self.quotient(map.height, ratio), width: Self.quotient(map.width, ratio))
        guard map.count > 0 else {
          throw ModelError(
            .image(
              found: "\(layout.picture.width)×\(layout.picture.height) pixels",
              expected: "proportions of which at most \(maximum) tiles leave something"))
        }
      }
    }
    self.map = map
    let overview = layout.overview == nil ? 0 : tile.count
    count = overview + map.height * (map.width + 1)
  }

  /// Python's `int(a // b)`: a quotient that rounds up to a whole number is not one.
  private static func quotient(_ a: Int, _ b: Double) -> Int {
    let rest = Double(a).truncatingRemainder(dividingBy: b)
    return Int(((Double(a) - rest) / b).rounded())
  }

  /// transformers' `unpad_image`: the part of a map of the padded picture that shows something. Where
  /// an odd number of rows was added, one stays.
  private static func unpadded(
    _ whole: MapExtent, _ picture: PictureExtent
  ) -> (rows: Range<Int>, columns: Range<Int>) {
    /// Python's `int(round(x, 7))`.
    func rounded(_ x: Double) -> Int { Int((x * 1e7).rounded(.toNearestOrEven) / 1e7) }
    func kept(_ size: Int, of extent: Int) -> Range<Int> {
      let padding = max(0, extent - size) / 2
      return padding..<extent - padding
    }
    let (height, width) = (Double(picture.height), Double(picture.width))
    if width / height > Double(whole.width) / Double(whole.height) {
      let size = rounded(height * (Double(whole.width) / width))
      return (kept(size, of: whole.height), 0..<whole.width)
    }
    let size = rounded(width * (Double(whole.height) / height))
    return (0..<whole.height, kept(size, of: whole.width))
  }

  /// Puts the rows together.
  ///
  /// - Parameters:
  ///   - tiles: `[tiles * rows of a tile, columns]`, in the order of the layout.
  ///   - newline: the learned row, where the kind of merge has one.
  ///   - output: `[count, columns]`.
  /// - Throws: `ModelError` when the system has no memory for what lies between.
  package func merge(
    _ tiles: MatrixView, newline: [Float], into output: MatrixView
  ) throws(ModelError) {
    guard merge.hasNewline, !layout.isWhole else {
      output[0..<tiles.rows].copy(tiles)
      if merge.hasNewline { output[tiles.rows..<count].assign(newline) }
      return
    }
    var next = 0
    if let overview = layout.overview {
      output[0..<tile.count].copy(tiles[overview * tile.count..<(overview + 1) * tile.count])
      next = tile.count
    }
    let isResized = map != MapExtent(height: rows.count, width: columns.count)
    var held: Activations?
    if isResized {
      held = try Activations(
        count: rows.count * columns.count * tiles.columns, for: "the tiles of a picture")
    }
    let source = held?.matrix(rows: rows.count * columns.count, columns: tiles.columns)
    let grid = layout.grid
    for (line, row) in rows.enumerated() {
      let first = source.map { $0[line * columns.count..<(line + 1) * columns.count] }
      let target =
        first ?? output[next + line * (map.width + 1)..<next + (line + 1) * (map.width + 1) - 1]
      copy(row, of: tiles, grid, into: target)
    }
    if let source {
      for line in 0..<map.height {
        let start = next + line * (map.width + 1)
        BilinearRows(from: rows.count, to: map.height).resize(
          line, of: source, width: columns.count, into: output[start..<start + map.width])
      }
    }
    for line in 1...max(1, map.height) where map.height > 0 {
      let end = next + line * (map.width + 1)
      output[end - 1..<end].assign(newline)
    }
    withExtendedLifetime(held) {}
  }

  /// The part of a row of the whole grid that is picture.
  private func copy(
    _ row: Int, of tiles: MatrixView, _ grid: [Int], into output: MatrixView
  ) {
    var column = columns.lowerBound
    while column < columns.upperBound {
      let index = grid[row / tile.height * layout.columns + column / tile.width]
      let end = min((column / tile.width + 1) * tile.width, columns.upperBound)
      let start =
        index * tile.count + row % tile.height * tile.width + column % tile.width
      output[column - columns.lowerBound..<end - columns.lowerBound].copy(
        tiles[start..<start + end - column])
      column = end
    }
  }
}

/// torch's bilinear `interpolate` to a size, without `align_corners` and antialiasing, in f32.
private struct BilinearRows {
  let inputs: Int
  let outputs: Int

  init(from inputs: Int, to outputs: Int) { (self.inputs, self.outputs) = (inputs, outputs) }

  /// The two inputs that an output lies between, and how much the second counts.
  func taps(_ output: Int) -> (first: Int, second: Int, share: Float) {
    let scale = Float(inputs) / Float(outputs)
    let place = max(0, scale * (Float(output) + 0.5) - 0.5)
    let first = min(Int(place), inputs - 1)
    return (first, min(first + 1, inputs - 1), place - Float(first))
  }

  /// One row of the result.
  ///
  /// - Parameters:
  ///   - source: a map, `[inputs * width, columns]`.
  ///   - output: `[width of the result, columns]`.
  func resize(_ row: Int, of source: MatrixView, width: Int, into output: MatrixView) {
    let (above, below, down) = taps(row)
    let across = BilinearRows(from: width, to: output.rows)
    for place in 0..<output.rows {
      let (left, right, share) = across.taps(place)
      for column in 0..<source.columns {
        func mixed(_ line: Int) -> Float {
          (1 - share) * source[line * width + left, column]
            + share * source[line * width + right, column]
        }
        output[place, column] = (1 - down) * mixed(above) + down * mixed(below)
      }
    }
  }
}
