import CVLMKernels
import Testing
import VLMTensor

@Suite("Products of f32 without OpenBLAS")
struct MultiplyTests {
  private static let shapes = [
    (1, 1, 1), (1, 7, 3), (3, 16, 4), (4, 48, 6), (5, 33, 13), (7, 100, 25), (49, 64, 12),
    (50, 257, 7), (2, 0, 3),
  ]

  @Test("sums keep to their bound, and whatever stands beside them", arguments: KernelTables.all)
  func sums(name: String) throws {
    let table = try KernelTables.named(name)
    var random = Generator(seed: 31)
    for (rows, inputs, outputs) in Self.shapes {
      let (xStride, yStride) = (inputs + 3, outputs + 2)
      let x = random.floats(rows * xStride, -2...2)
      let w = random.floats(outputs * inputs, -1...1)
      let before = random.floats(rows * yStride, -1...1)
      for adds in [false, true] {
        var y = before
        table.multiply_f32(rows, inputs, outputs, x, xStride, w, adds, &y, yStride)
        for r in 0..<rows {
          for n in 0..<yStride {
            let old = before[r * yStride + n]
            guard n < outputs else {
              #expect(y[r * yStride + n] == old, "\(rows)×\(inputs)×\(outputs) beside")
              continue
            }
            let products = (0..<inputs).map {
              Double(x[r * xStride + $0]) * Double(w[n * inputs + $0])
            }
            let exact = products.reduce(adds ? Double(old) : 0, +)
            let size = products.reduce(Double(abs(old))) { $0 + abs($1) }
            let bound = (Double(inputs) / 4 + 7) * 0x1p-24 * size
            let error = abs(Double(y[r * yStride + n]) - exact)
            #expect(error <= bound, "\(rows)×\(inputs)×\(outputs) [\(r)][\(n)] adds \(adds)")
          }
        }
      }
    }
  }

  @Test("a sum has the same bits however rows and outputs are cut", arguments: KernelTables.all)
  func cuts(name: String) throws {
    let table = try KernelTables.named(name)
    var random = Generator(seed: 32)
    let (rows, inputs, outputs) = (53, 77, 29)
    let x = random.floats(rows * inputs, -2...2)
    let w = random.floats(outputs * inputs, -1...1)
    var whole = [Float](repeating: 0, count: rows * outputs)
    table.multiply_f32(rows, inputs, outputs, x, inputs, w, false, &whole, outputs)
    for r in 0..<rows {
      for n in 0..<outputs {
        var one: Float = 0
        let (row, weights) = (Array(x[(r * inputs)...]), Array(w[(n * inputs)...]))
        table.multiply_f32(1, inputs, 1, row, inputs, weights, false, &one, 1)
        #expect(one == whole[r * outputs + n], "[\(r)][\(n)]")
      }
    }
  }
}
