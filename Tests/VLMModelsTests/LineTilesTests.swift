import Testing

@testable import VLMModels

struct LineTilesTests {
  @Test(
    "tiles cover every line once, and name the images they touch",
    arguments: [
      (FeatureShape(batch: 1, height: 24, width: 24, channels: 1), 100),
      (FeatureShape(batch: 5, height: 4, width: 4, channels: 1), 256),
      (FeatureShape(batch: 3, height: 7, width: 300, channels: 1), 256),
      (FeatureShape(batch: 2, height: 1, width: 1, channels: 1), 64),
      (FeatureShape(batch: 4, height: 5, width: 3, channels: 1), 1),
    ])
  func cover(_ shape: FeatureShape, _ target: Int) {
    let tiles = LineTiles(shape, targetRows: target)
    var rows: [Int] = []
    var lines: [[Int]] = .init(repeating: [], count: shape.batch)
    let imageRows = shape.height * shape.width
    for piece in 0..<tiles.count {
      let range = tiles.rows(piece)
      #expect(
        range.count <= LineTiles.maximumRows(width: shape.width, targetRows: target))
      rows += Array(range)
      var expectedOffset = 0
      tiles.forEachImage(in: piece) { image, imageLines, offset in
        #expect(offset == expectedOffset)
        #expect(image.count == imageRows)
        lines[image.lowerBound / imageRows] += Array(imageLines)
        expectedOffset += imageLines.count * shape.width
      }
      #expect(expectedOffset == range.count)
    }
    #expect(rows == Array(0..<shape.rows))
    #expect(lines.allSatisfy { $0 == Array(0..<shape.height) })
  }

  @Test(
    "tiles for a number of threads cover every line once, in shares for all of them",
    arguments: [1, 2, 3, 16], [1, 7, 14, 28, 56])
  func shares(_ threads: Int, _ height: Int) {
    let shape = FeatureShape(batch: 1, height: height, width: 5, channels: 1)
    let tiles = LineTiles(shape, threads: threads, maximumLines: 8)
    #expect((0..<tiles.count).flatMap { Array(tiles[$0]) } == Array(0..<height))
    #expect((0..<tiles.count).allSatisfy { !tiles[$0].isEmpty && tiles[$0].count <= 8 })
    #expect(tiles.count * 2 >= min(height, threads))
  }

  @Test("groups of tiles begin and end where tiles do", arguments: [1, 2, 16])
  func groups(_ threads: Int) {
    let shape = FeatureShape(batch: 2, height: 100, width: 50, channels: 1)
    let tiles = LineTiles(shape, targetRows: 100)
    let groups = LineTiles(grouping: tiles, maximumLines: 8, threads: threads)
    #expect(groups.rowsPerTile % tiles.rowsPerTile == 0)
    #expect(groups.rowsPerTile <= 8 * shape.width)
    #expect((0..<groups.count).flatMap { Array(groups.rows($0)) } == Array(0..<shape.rows))
  }
}
