import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMModels

/// How the rows of tiles become one sequence; the values are those of small maps by hand.
@Suite("Merging tiles")
struct TileMergeTests {
  private static let tile = MapExtent(height: 2, width: 2)

  /// What the merge makes of tiles whose rows are numbered through, one column each; newlines are -1.
  private func merged(
    _ merge: TileMerge, _ layout: TileLayout, tile: MapExtent = tile
  ) throws -> [Float] {
    let plan = try TileMergePlan(merge, layout, tile: tile)
    let rows = layout.count * tile.count
    let (source, target) = (Activations(count: rows), Activations(count: plan.count))
    let tiles = source.matrix(rows: rows, columns: 1)
    tiles.assign((0..<rows).map { Float($0) })
    let output = target.matrix(rows: plan.count, columns: 1)
    try plan.merge(tiles, newline: [-1], into: output)
    return withExtendedLifetime((source, target)) { output.array() }
  }

  private func layout(
    _ height: Int, _ width: Int, rows: Int, columns: Int, overview: Int? = 0
  ) -> TileLayout {
    TileLayout(
      picture: PictureExtent(height: height, width: width), rows: rows, columns: columns,
      overview: overview)
  }

  @Test("the overview comes first, then the rows of the grid across its tiles, each with a newline")
  func grid() throws {
    let found = try merged(
      .unpadded(maximumTiles: nil), layout(10, 20, rows: 1, columns: 2))
    #expect(found == [0, 1, 2, 3, 4, 5, 8, 9, -1, 6, 7, 10, 11, -1])
    // The overview may stand anywhere.
    let last = try merged(
      .unpadded(maximumTiles: nil), layout(10, 20, rows: 1, columns: 2, overview: 2))
    #expect(last == [8, 9, 10, 11, 0, 1, 4, 5, -1, 2, 3, 6, 7, -1])
  }

  @Test("rows of padding are left out, and of an odd gap one stays")
  func unpadded() throws {
    // 4 rows of tokens for 1.33 of picture: a gap of 3, one row off each end.
    let found = try merged(
      .unpadded(maximumTiles: nil), layout(10, 30, rows: 2, columns: 2))
    #expect(found.dropFirst(4) == [6, 7, 10, 11, -1, 12, 13, 16, 17, -1])
    let plan = try TileMergePlan(
      .unpadded(maximumTiles: nil), layout(30, 10, rows: 2, columns: 2), tile: Self.tile)
    #expect(plan.map == MapExtent(height: 4, width: 2) && plan.count == 4 + 4 * 3)
    // So flat that no row is left.
    let line = try TileMergePlan(
      .unpadded(maximumTiles: nil), layout(1, 1000, rows: 2, columns: 2), tile: Self.tile)
    #expect(line.map.height == 0 && line.count == 4)
  }

  @Test("a picture that is one input has one newline; without a merge tiles follow one another")
  func whole() throws {
    let one = TileLayout.whole(height: 7, width: 9)
    #expect(try merged(.unpadded(maximumTiles: 9), one) == [0, 1, 2, 3, -1])
    #expect(try merged(.inOrder, one) == [0, 1, 2, 3])
    #expect(
      try merged(.inOrder, layout(5, 5, rows: 1, columns: 1)) == [0, 1, 2, 3, 4, 5, 6, 7])
  }

  @Test("a map beyond the maximum is resized, up to a tenth more it is not")
  func maximum() throws {
    let square = layout(8, 8, rows: 3, columns: 3)
    let plan = try TileMergePlan(.unpadded(maximumTiles: 1), square, tile: Self.tile)
    #expect(plan.map == MapExtent(height: 2, width: 2))
    let values = try merged(.unpadded(maximumTiles: 1), square)
    // The centres of the four quarters; torch makes the same of it.
    #expect(values == [0, 1, 2, 3, 7, 14, -1, 29, 36, -1])
    let kept = try TileMergePlan(.unpadded(maximumTiles: 8), square, tile: Self.tile)
    #expect(kept.map == MapExtent(height: 6, width: 6))
    let thin = layout(1, 40, rows: 1, columns: 40)
    #expect(throws: ModelError.self) {
      try TileMergePlan(
        .unpadded(maximumTiles: 1), thin, tile: MapExtent(height: 1, width: 1))
    }
  }

  @Test("what is written of a merge is read, and nothing else")
  func json() throws {
    for merge: TileMerge in [
      .inOrder, .unpadded(maximumTiles: nil), .unpadded(maximumTiles: 9),
    ] {
      #expect(try TileMerge(json: merge.json) == merge)
    }
    #expect(try TileMerge(json: nil) == .inOrder)
    let wrong: [JSONValue] = [
      ["kind": "spatial"], [:], 3, ["kind": "unpadded", "maximum_tiles": 0],
      ["kind": "unpadded", "maximum_tiles": "9"], ["kind": "unpadded", "maximum_tiles": 9999],
    ]
    for value in wrong {
      #expect(throws: ModelError.self) { try TileMerge(json: value) }
    }
  }
}
