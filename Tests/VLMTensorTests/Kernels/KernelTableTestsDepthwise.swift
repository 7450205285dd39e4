import CVLMKernels
import Testing

@Suite("depthwise convolution")
struct KernelTableDepthwiseTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let height, width, channels, kernel, dilation: Int
    var testDescription: String {
      "\(height)x\(width)x\(channels) by \(kernel) dilated \(dilation)"
    }
  }

  static let cases: [Case] = [
    (1, 1, 1, 7, 1), (4, 5, 3, 7, 1), (6, 7, 16, 7, 1), (5, 8, 17, 7, 1), (9, 21, 33, 7, 1),
    (8, 30, 16, 7, 1), (5, 6, 9, 3, 1), (7, 9, 16, 5, 1), (10, 11, 5, 9, 1), (9, 12, 20, 3, 3),
    (13, 14, 8, 7, 2), (3, 4, 4, 1, 1),
  ].map { Case(height: $0.0, width: $0.1, channels: $0.2, kernel: $0.3, dilation: $0.4) }

  /// Output row `row` by the definition, with the sum of the sizes of its terms.
  func exact(
    _ c: Case, _ x: [Float], _ weights: [Float], _ bias: [Float], row: Int
  ) -> [(value: Double, size: Double)] {
    let reach = c.dilation * (c.kernel - 1) / 2
    var outputs: [(Double, Double)] = []
    for column in 0..<c.width {
      for channel in 0..<c.channels {
        var (value, size) = (Double(bias[channel]), abs(Double(bias[channel])))
        for i in 0..<c.kernel {
          let h = row + i * c.dilation - reach
          guard (0..<c.height).contains(h) else { continue }
          for j in 0..<c.kernel {
            let w = column + j * c.dilation - reach
            guard (0..<c.width).contains(w) else { continue }
            let term =
              Double(x[(h * c.width + w) * c.channels + channel])
              * Double(weights[(i * c.kernel + j) * c.channels + channel])
            value += term
            size += abs(term)
          }
        }
        outputs.append((value, size))
      }
    }
    return outputs
  }

  @Test("every output is the definition in Double, rows from any to any", arguments: cases)
  func definition(c: Case) throws {
    var random = Generator(seed: 10)
    let x = random.floats(c.height * c.width * c.channels, -1...1)
    let weights = random.floats(c.kernel * c.kernel * c.channels, -1...1)
    let bias = random.floats(c.channels, -1...1)
    let (xs, ws, bs) = (Block(x, 0), Block(weights, 0), Block(bias, 0))
    let unit = Double(c.kernel * c.kernel + 1) * 0x1p-24
    for name in KernelTables.all {
      let table = try KernelTables.named(name)
      for rows in [0..<c.height, c.height / 2..<c.height, 0..<0] {
        let rowCount = c.width * c.channels
        let y = Block<Float>(rows.count * rowCount + 1, 12345)
        var d = vlm_depthwise(
          height: c.height, width: c.width, channels: c.channels, kernel: c.kernel,
          dilation: c.dilation, row_begin: rows.lowerBound, row_end: rows.upperBound, x: xs.base,
          weights: ws.base, bias: bs.base, y: y.base)
        table.depthwise_f32(&d)
        for row in rows {
          let expected = exact(c, x, weights, bias, row: row)
          let begin = (row - rows.lowerBound) * rowCount
          let worst = (0..<rowCount).map { i in
            abs(Double(y[begin + i]) - expected[i].value) - unit * expected[i].size
          }.max()!
          #expect(worst <= 0, "\(name) row \(row)")
        }
        #expect(y[rows.count * rowCount] == 12345)
      }
    }
  }
}
