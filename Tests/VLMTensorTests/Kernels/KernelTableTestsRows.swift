import CVLMKernels
import Foundation
import Testing

@Suite("row kernels")
struct KernelTableRowTests {
  static let lengths = [1, 3, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 96, 127, 257]

  func quantize(
    _ table: vlm_kernels, _ row: [Float], stride: Int
  ) -> (codes: [UInt8], quant: vlm_row_quant) {
    var codes = [UInt8](repeating: 99, count: stride)
    var quant = vlm_row_quant(scale: -1, minimum: -1)
    table.quantize_rows_u8(1, row.count, row, row.count, &codes, stride, &quant)
    return (codes, quant)
  }

  @Test("quantized rows have the same bits everywhere and are the formula", arguments: lengths)
  func quantizedBits(columns: Int) throws {
    var random = Generator(seed: 6)
    let stride = (columns + 63) / 64 * 64
    let rows = [
      random.floats(columns, -1...1), random.floats(columns, 100...100.001),
      random.floats(columns, -3e38...0), random.floats(columns, -1e-35...1e-35),
      (0..<columns).map { $0 == columns / 2 ? 5 : 0 },
    ]
    for row in rows {
      let (minimum, maximum) = (row.min()!, row.max()!)
      let inverse = 255 / (maximum - minimum)
      let expected = row.map { value -> UInt8 in
        guard maximum > minimum else { return 0 }
        return UInt8(min(255, max(0, ((value - minimum) * inverse).rounded(.toNearestOrEven))))
      }
      for name in KernelTables.all {
        let (codes, quant) = quantize(try KernelTables.named(name), row, stride: stride)
        #expect(codes == expected + Array(repeating: 0, count: stride - columns), "\(name)")
        #expect(quant.minimum == minimum && quant.scale == (maximum - minimum) / 255, "\(name)")
      }
    }
  }

  @Test("constant, empty and denormal rows have scale 0 and codes 0", arguments: KernelTables.all)
  func degenerateRows(name: String) throws {
    let table = try KernelTables.named(name)
    for row in [
      [], [Float](repeating: 7, count: 40),
      (0..<40).map { Float($0 % 2) * 100 * .leastNonzeroMagnitude },
    ] {
      let (codes, quant) = quantize(table, row, stride: 64)
      #expect(codes == [UInt8](repeating: 0, count: 64))
      #expect(quant.scale == 0 && quant.minimum == row.min() ?? 0)
    }
  }

  @Test("rows with NaN or too wide a range are survived", arguments: KernelTables.all)
  func wildRows(name: String) throws {
    let table = try KernelTables.named(name)
    var row = [Float](repeating: 1, count: 70)
    row[3] = .nan
    row[64] = 2
    #expect(quantize(table, row, stride: 128).codes[70...].allSatisfy { $0 == 0 })
    row[3] = .infinity
    #expect(!quantize(table, row, stride: 128).quant.minimum.isFinite)
    row[3] = -3.4e38
    row[4] = 3.4e38
    #expect(!quantize(table, row, stride: 128).quant.minimum.isFinite)
  }

  /// Stated in lanes/layer_norm.inc.
  static let layerNormBound = 2e-6

  @Test("layer norm is the formula in Double", arguments: KernelTables.all)
  func layerNorm(name: String) throws {
    var random = Generator(seed: 7)
    let table = try KernelTables.named(name)
    for channels in Self.lengths {
      for offset: Float in [0, 50] {
        let x = random.floats(channels, offset - 1...offset + 1)
        let weight = random.floats(channels, -2...2)
        let bias = random.floats(channels, -1...1)
        var y = x
        table.layer_norm_f32(1, channels, x, channels, weight, bias, 1e-6, &y, channels)
        let wide = x.map(Double.init)
        let mean = wide.reduce(0, +) / Double(channels)
        let variance = wide.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(channels)
        let deviation = (variance + 1e-6).squareRoot()
        let largest = wide.map(abs).max()!
        for c in 0..<channels {
          let plain = (wide[c] - mean) / deviation
          let exact = plain * Double(weight[c]) + Double(bias[c])
          let size =
            (largest / deviation + abs(plain)) * abs(Double(weight[c])) + abs(Double(bias[c]))
          #expect(abs(Double(y[c]) - exact) <= Self.layerNormBound * size)
        }
      }
    }
  }

  /// Stated in lanes/activate.inc; in units of max(1, |x|).
  static let activationBound = 5e-7

  @Test("activations are their formulas in Double", arguments: KernelTables.all)
  func activations(name: String) throws {
    let table = try KernelTables.named(name)
    let tiny = Float.leastNonzeroMagnitude
    let special: [Float] = [
      0, -0.0, tiny, -1000 * tiny, 3e38, -3e38, 1e10, -1e10, 88, -88, 200, -200,
    ]
    let x = special + (-6000...6001).map { Float($0) * 0.00173 }
    func sigmoid(_ v: Double) -> Double { 1 / (1 + exp(-v)) }
    let formulas: [(vlm_activation, (Double) -> Double)] = [
      (VLM_ACTIVATION_NONE, { $0 }),
      (VLM_ACTIVATION_GELU, { $0 / 2 * erfc(-$0 / 2.0.squareRoot()) }),
      (VLM_ACTIVATION_RELU, { max($0, 0) }),
      (
        VLM_ACTIVATION_GELU_TANH,
        { $0 / 2 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) }
      ),
      (VLM_ACTIVATION_QUICK_GELU, { $0 * sigmoid(1.702 * $0) }),
      (VLM_ACTIVATION_SILU, { $0 * sigmoid($0) }),
      (VLM_ACTIVATION_HARD_SWISH, { $0 * min(max($0 + 3, 0), 6) / 6 }),
    ]
    for (activation, formula) in formulas {
      var y = x
      table.activation_f32(x.count, activation, x, &y)
      let worst = zip(x, y).map { value, result in
        abs(Double(result) - formula(Double(value))) / max(1, abs(Double(value)))
      }.max()!
      #expect(worst <= Self.activationBound, "activation \(activation.rawValue)")
    }
  }

  @Test("NaN passes through every activation but relu", arguments: KernelTables.all)
  func activationOfNaN(name: String) throws {
    let table = try KernelTables.named(name)
    for value in VLM_ACTIVATION_NONE.rawValue...VLM_ACTIVATION_HARD_SWISH.rawValue
    where value != VLM_ACTIVATION_RELU.rawValue {
      let x = [Float](repeating: .nan, count: 17)
      var y = [Float](repeating: 0, count: 17)
      table.activation_f32(17, vlm_activation(rawValue: value), x, &y)
      #expect(y.allSatisfy { $0.isNaN })
    }
  }

  @Test(
    "the epilogue adds bias, scales by gamma and adds the residual in that order",
    arguments: KernelTables.all)
  func epilogue(name: String) throws {
    var random = Generator(seed: 8)
    let table = try KernelTables.named(name)
    for outputs in Self.lengths {
      let sums = random.floats(2 * outputs, -4...4)
      let (bias, gamma) = (random.floats(outputs, -1...1), random.floats(outputs, -2...2))
      let y = Block(sums, 0)
      let (b, g) = (Block(bias, 0), Block(gamma, 0))
      // The residual is y itself, as the contract allows.
      var parts = vlm_epilogue(
        bias: b.base, gamma: g.base, residual: y.base, residual_stride: outputs,
        activation: VLM_ACTIVATION_NONE)
      table.epilogue_f32(2, outputs, y.base, outputs, &parts)
      let expected: [Float] = (0..<2 * outputs).map { (i: Int) -> Float in
        let sum: Float = sums[i] + bias[i % outputs]
        return sums[i] + sum * gamma[i % outputs]
      }
      #expect(y.values == expected)
    }
  }

  @Test("squares are summed onto what is there; scale and shift are exact", arguments: lengths)
  func channels(count: Int) throws {
    var random = Generator(seed: 9)
    let rows = 130
    let x = random.floats(rows * count, -1...1)
    let (scale, shift) = (random.floats(count, -2...2), random.floats(count, -1...1))
    for name in KernelTables.all {
      let table = try KernelTables.named(name)
      var sums = [Float](repeating: 1000, count: count)
      table.sum_squares_f32(rows, count, x, count, &sums)
      for c in 0..<count {
        let squares = (0..<rows).map { Double(x[$0 * count + c]) * Double(x[$0 * count + c]) }
        let exact = 1000 + squares.reduce(0, +)
        #expect(abs(Double(sums[c]) - exact) <= (66 + Double(rows) / 64) * 0x1p-24 * exact)
      }
      var y = x
      table.scale_shift_f32(rows, count, x, count, scale, shift, &y, count)
      #expect(y == x.indices.map { x[$0] * scale[$0 % count] + shift[$0 % count] }, "\(name)")
    }
  }
}
