import CVLMKernels
import Foundation
import Testing

@Suite("row kernels of language models")
struct LanguageRowTests {
  /// Stated in lanes/rms_norm.inc.
  static let rmsNormBound = 1e-6
  static let lengths = KernelTableRowTests.lengths + [576, 2053, 4096]

  @Test("rms norm is the formula in Double", arguments: KernelTables.all)
  func rmsNorm(name: String) throws {
    var random = Generator(seed: 21)
    let table = try KernelTables.named(name)
    for channels in Self.lengths {
      for size: Float in [1, 1e-4, 3000] {
        let x = random.floats(channels, -size...size)
        let weight = random.floats(channels, -2...2)
        var y = x
        table.rms_norm_f32(1, channels, x, channels, weight, 1e-5, &y, channels)
        let squares = x.reduce(0.0) { $0 + Double($1) * Double($1) }
        let root = (squares / Double(channels) + Double(Float(1e-5))).squareRoot()
        for c in 0..<channels {
          let exact = Double(x[c]) / root * Double(weight[c])
          #expect(abs(Double(y[c]) - exact) <= Self.rmsNormBound * abs(exact))
        }
      }
    }
  }

  @Test("a soft cap is the formula in Double, and leaves NaN", arguments: KernelTables.all)
  func softCap(name: String) throws {
    var random = Generator(seed: 26)
    let table = try KernelTables.named(name)
    for count in Self.lengths {
      for (cap, size) in [(Float(30), Float(100)), (50, 1), (2, 1e-3), (3, 1e6)] {
        let x = random.floats(count, -size...size)
        var y = x
        table.soft_cap_f32(count, cap, x, &y)
        for i in 0..<count {
          let exact = Double(cap) * tanh(Double(x[i]) / Double(cap))
          let bound = 8e-7 * min(abs(Double(x[i])), Double(cap))
          #expect(abs(Double(y[i]) - exact) <= bound, "\(x[i]) of \(cap)")
        }
      }
    }
    var special: [Float] = [.nan, .infinity, -.infinity, 0]
    let values = special
    table.soft_cap_f32(4, 5, values, &special)
    #expect(special[0].isNaN)
    #expect(Array(special[1...]) == [5, -5, 0])
  }

  @Test("rms norm works in place, row by row, and without a weight", arguments: KernelTables.all)
  func rmsNormRows(name: String) throws {
    var random = Generator(seed: 22)
    let table = try KernelTables.named(name)
    let (rows, channels, stride) = (3, 37, 41)
    let x = Block(random.floats(rows * stride, -1...1), 0)
    let before = x.values
    table.rms_norm_f32(rows, channels, x.base, stride, nil, 0, x.base, stride)
    for r in 0..<rows {
      let row = before[r * stride..<r * stride + channels].map(Double.init)
      let root = (row.reduce(0) { $0 + $1 * $1 } / Double(channels)).squareRoot()
      for c in 0..<channels {
        #expect(abs(Double(x[r * stride + c]) - row[c] / root) <= 1e-6 * abs(row[c] / root))
      }
      let gap = r * stride + channels..<(r + 1) * stride
      #expect(Array(x.values[gap]) == Array(before[gap]))
    }
  }

  @Test(
    "simple norm divides by the unbiased deviation and leaves the mean", arguments: KernelTables.all
  )
  func simpleNorm(name: String) throws {
    var random = Generator(seed: 25)
    let table = try KernelTables.named(name)
    for channels in Self.lengths where channels > 1 {
      for offset: Float in [0, -300] {
        let x = random.floats(channels, offset - 1...offset + 1)
        let weight = random.floats(channels, -2...2)
        var y = x
        table.simple_norm_f32(1, channels, x, channels, weight, 1e-6, &y, channels)
        let mean = x.reduce(0.0) { $0 + Double($1) } / Double(channels)
        let squares = x.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
        let deviation = (squares / Double(channels - 1) + Double(Float(1e-6))).squareRoot()
        for c in 0..<channels {
          let exact = Double(x[c]) / deviation * Double(weight[c])
          // Stated in lanes/layer_norm.inc for means of at most 1000 deviations.
          let bound = deviation > 0.3 ? 2e-6 : 1e-3
          #expect(abs(Double(y[c]) - exact) <= bound * abs(exact))
        }
      }
    }
  }

  @Test("simple norm works in place, row by row, and without a weight", arguments: KernelTables.all)
  func simpleNormRows(name: String) throws {
    var random = Generator(seed: 26)
    let table = try KernelTables.named(name)
    let (rows, channels, stride) = (3, 37, 41)
    let x = Block(random.floats(rows * stride, -1...1), 0)
    let before = x.values
    table.simple_norm_f32(rows, channels, x.base, stride, nil, 0, x.base, stride)
    for r in 0..<rows {
      let row = before[r * stride..<r * stride + channels].map(Double.init)
      let mean = row.reduce(0, +) / Double(channels)
      let squares = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      let deviation = (squares / Double(channels - 1)).squareRoot()
      for c in 0..<channels {
        let exact = row[c] / deviation
        #expect(abs(Double(x[r * stride + c]) - exact) <= 2e-6 * abs(exact))
      }
      let gap = r * stride + channels..<(r + 1) * stride
      #expect(Array(x.values[gap]) == Array(before[gap]))
    }
  }

  @Test(
    "rotation has the same bits everywhere and is the formula", arguments: [2, 8, 16, 64, 80, 128])
  func rotateHalf(dimension: Int) throws {
    var random = Generator(seed: 23)
    let (rows, heads, half) = (3, 3, dimension / 2)
    let x = random.floats(rows * heads * dimension, -4...4)
    let angles = random.floats(rows * half, -3...3)
    let (cosines, sines) = (angles.map { cos($0) }, angles.map { sin($0) })
    var expected = x
    for r in 0..<rows {
      for h in 0..<heads {
        for i in 0..<half {
          let at = (r * heads + h) * dimension + i
          let (c, s) = (cosines[r * half + i], sines[r * half + i])
          let (a, b) = (x[at], x[at + half])
          let (first, second): (Float, Float) = (a * c, b * s)
          let (third, fourth): (Float, Float) = (b * c, a * s)
          expected[at] = first - second
          expected[at + half] = third + fourth
        }
      }
    }
    for name in KernelTables.all {
      var y = x
      try KernelTables.named(name).rotate_half_f32(
        rows, heads, dimension, &y, heads * dimension, cosines, sines, half)
      #expect(y == expected, "\(name)")
    }
  }

  @Test("a gate is its activation times the other input", arguments: KernelTables.all)
  func gate(name: String) throws {
    var random = Generator(seed: 24)
    let table = try KernelTables.named(name)
    let scalar = try KernelTables.scalar()
    for columns in Self.lengths {
      let rows = 2
      let gate = random.floats(rows * columns, -9...9)
      let up = random.floats(rows * columns, -2...2)
      for activation in [VLM_ACTIVATION_SILU, VLM_ACTIVATION_GELU, VLM_ACTIVATION_RELU] {
        var plain = gate
        scalar.activation_f32(gate.count, activation, gate, &plain)
        var y = gate
        table.gate_f32(rows, columns, activation, gate, columns, up, columns, &y, columns)
        for i in gate.indices {
          let bound = 6e-7 * max(1, abs(gate[i])) * abs(up[i])
          #expect(abs(y[i] - plain[i] * up[i]) <= bound)
        }
      }
    }
  }
}
