import Testing

@testable import VLMTensor

struct ProductPiecesTests {
  struct Shape: Sendable {
    let rows: Int
    let outputs: Int
    let inputs: Int

    init(_ rows: Int, _ outputs: Int, _ inputs: Int) {
      (self.rows, self.outputs, self.inputs) = (rows, outputs, inputs)
    }
  }

  private static let shapes = [
    Shape(1, 1000, 768), Shape(49, 768, 3072), Shape(49, 3072, 768), Shape(196, 384, 1536),
    Shape(196, 1536, 384),
    Shape(3136, 96, 384), Shape(3136, 384, 96), Shape(784, 40, 160), Shape(7, 5, 3),
    Shape(130, 33, 70_000),
  ]

  @Test("the pieces of a product cover every output of every row once", arguments: shapes)
  func cover(_ shape: Shape) {
    let pieces = ProductPieces(rows: shape.rows, outputs: shape.outputs, inputs: shape.inputs)
    var seen = [Int](repeating: 0, count: shape.rows * shape.outputs)
    for piece in 0..<pieces.count {
      let (rows, outputs) = pieces[piece]
      #expect(outputs.lowerBound % 16 == 0, "a piece begins with a panel")
      for row in rows { for output in outputs { seen[row * shape.outputs + output] += 1 } }
    }
    #expect(seen.allSatisfy { $0 == 1 })
  }

  @Test("a product of few outputs and many rows has pieces for several threads")
  func few() {
    #expect(ProductPieces(rows: 3136, outputs: 96, inputs: 384).count >= 8)
    #expect(ProductPieces(rows: 3136, outputs: 40, inputs: 160).count >= 4)
    #expect(ProductPieces(rows: 196, outputs: 384, inputs: 1536).count >= 8)
  }

  @Test("a small product is not cut, and none has empty pieces")
  func small() {
    #expect(ProductPieces(rows: 5, outputs: 128, inputs: 64).count == 1)
    #expect(ProductPieces(rows: 0, outputs: 128, inputs: 64).count == 0)
    #expect(ProductPieces(rows: 4, outputs: 0, inputs: 64).count == 0)
  }
}
