import Testing
import VLMModels

struct RowOrderTests {
  @Test("rows of a GGUF query projection are put back as transformers' rotate-half wants them")
  func interleaved() {
    // llama.cpp's converter views the rows of a head as [2, d/2] and swaps the axes.
    let (heads, dimension) = (3, 8)
    var stored: [Int] = []
    for head in 0..<heads {
      for pair in 0..<dimension / 2 {
        for side in 0..<2 { stored.append(head * dimension + side * dimension / 2 + pair) }
      }
    }
    let order = RowOrder.interleavedRotary(heads: heads)
    let count = heads * dimension
    #expect((0..<count).map { stored[order.source(of: $0, count: count)] } == Array(0..<count))
  }

  @Test("rows that are stored in order stay where they are")
  func stored() {
    #expect((0..<5).map { RowOrder.stored.source(of: $0, count: 5) } == [0, 1, 2, 3, 4])
  }
}
