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
}
