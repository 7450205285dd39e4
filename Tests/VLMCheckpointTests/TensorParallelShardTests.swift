import Foundation
import Testing
import VLMCheckpoint
import VLMTestSupport

/// Models in Meta's layout, in which each file has a slice of every matrix.
struct TensorParallelShardTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static func values(_ shape: [Int], _ start: Int) -> [Float] {
    (0..<shape.reduce(1, *)).map { Float(start + $0) }
  }

  /// A file whose matrices hold numbers from 100 times its own on.
  private func write(
    _ number: Int, table: [Int] = [4, 2], without: String? = nil, output: [Int] = [2, 4]
  ) throws {
    let shapes: [(String, [Int])] = [
      ("tok_embeddings.weight", table), ("norm.weight", [4]), ("output.weight", output),
      ("layers.0.attention.wq.weight", [2, 4]), ("layers.0.attention.wo.weight", [4, 2]),
      ("layers.0.feed_forward.w1.weight", [3, 4]), ("layers.0.feed_forward.w2.weight", [4, 3]),
    ]
    try SafetensorsWriter.write(
      path: folder.path("consolidated.0\(number).safetensors"), overwrite: true,
      tensors: shapes.filter { $0.0 != without }.map {
        .init(name: $0.0, shape: $0.1, floats: Self.values($0.1, 100 * number))
      })
  }

  private func read(_ name: String = "") throws -> TensorCatalog {
    try Checkpoint.read(
      path: name.isEmpty ? folder.url.path : folder.path(name))
  }

  @Test("matrices are put together by their outputs or inputs, and read in any pieces")
  func merged() throws {
    for number in 0..<3 { try write(number) }
    // Naming any of the files selects all of them.
    for name in ["", "consolidated.01.safetensors"] {
      let catalog = try read(name)
      #expect(catalog.tensors.count == 7 && catalog.sources.count == 3)
      let queries = try #require(catalog["layers.0.attention.wq.weight"])
      #expect(queries.shape == [6, 4])
      let rows = (0..<3).flatMap { Self.values([2, 4], 100 * $0) }
      #expect(try queries.floats() == rows)
      let down = try #require(catalog["layers.0.feed_forward.w2.weight"])
      #expect(down.shape == [4, 9])
      var columns: [Float] = []
      for row in 0..<4 {
        for part in 0..<3 { columns += Self.values([3], 100 * part + 3 * row) }
      }
      #expect(try down.floats() == columns)
      #expect(try catalog["norm.weight"]?.floats() == [0, 1, 2, 3])
      // By columns where the table's are fewer than the model's width.
      #expect(catalog["tok_embeddings.weight"]?.shape == [4, 6])
      for (tensor, all) in [(queries, rows), (down, columns)] {
        for start in 0..<all.count {
          for end in start...all.count {
            var part = [Float](repeating: -1, count: end - start)
            try part.withUnsafeMutableBufferPointer { try tensor.readFloats(start..<end, into: $0) }
            #expect(part == Array(all[start..<end]))
          }
        }
        #expect(tensor.withBytes { $0.count } == all.count * 4)
      }
    }
  }

  @Test("a table with all columns is put together by its rows")
  func rows() throws {
    for number in 0..<2 { try write(number, table: [5, 4]) }
    let table = try #require(try read()["tok_embeddings.weight"])
    #expect(table.shape == [10, 4])
    #expect(try table.floats() == Self.values([5, 4], 0) + Self.values([5, 4], 100))
  }

  @Test("the bytes that a range touches are those of the parts that have it")
  func ranges() throws {
    for number in 0..<2 { try write(number) }
    let catalog = try read()
    let queries = try #require(catalog["layers.0.attention.wq.weight"])
    #expect(queries.fileRanges(ofElements: 0..<3).map(\.range.count) == [12])
    #expect(queries.fileRanges(ofElements: 6..<12).map(\.range.count) == [8, 16])
    let down = try #require(catalog["layers.0.feed_forward.w2.weight"])
    #expect(down.fileRanges(ofElements: 0..<2).map(\.range.count) == [8])
    #expect(down.fileRanges(ofElements: 5..<13).map(\.range.count) == [36, 36])
    #expect(down.fileRanges(ofElements: 3..<3).isEmpty)
  }

  @Test("parts that are missing, or do not fit, are named")
  func defects() throws {
    try write(0)
    try write(2)
    func problem() -> CheckpointError.Problem? {
      thrownError(CheckpointError.self) { try read() }?.problem
    }
    #expect(problem() == .missingShards(["consolidated.01.safetensors"]))
    try write(1, without: "output.weight")
    #expect(problem() == .notInPart("consolidated.01.safetensors"))
    try write(1, output: [2, 5])
    #expect(problem() == .parallelPart(found: [2, 5], expected: "F32 and 4 along axis 1"))
  }

  @Test("what transformers reads is read instead where it lies beside them")
  func beside() throws {
    for number in 0..<2 { try write(number) }
    try SafetensorsWriter.write(
      path: folder.path("weights.safetensors"), overwrite: true,
      tensors: [.init(name: "w", shape: [1], floats: [1])])
    #expect(try read().tensors.map(\.name) == ["w"])
  }
}
