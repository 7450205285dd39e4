import CVLMKernels
import Testing

/// Rows, outputs and inputs of a product.
struct GemmShape: Sendable, CustomTestStringConvertible {
  let rows: Int
  let outputs: Int
  let inputs: Int
  var testDescription: String { "\(rows)x\(outputs)x\(inputs)" }

  static let awkward: [GemmShape] = [
    (0, 16, 32), (1, 1, 1), (1, 16, 0), (1, 65, 96), (2, 17, 31), (3, 33, 33), (4, 64, 64),
    (5, 15, 127), (12, 32, 15), (13, 47, 65), (17, 16, 257), (31, 63, 3), (33, 96, 63),
    (64, 31, 96),
  ].map { GemmShape(rows: $0.0, outputs: $0.1, inputs: $0.2) }
}

@Suite("matrix products")
struct KernelTableGemmTests {
  typealias Gemm = @convention(c) (UnsafePointer<vlm_gemm>?) -> Void
  static let untouched: Float = 12345

  /// Quantized activations of a product, strides larger than the rows, x unaligned.
  struct Activations {
    let rows: Int
    let stride: Int
    let memory: Block<UInt8>
    let quant: Block<vlm_row_quant>

    init(_ shape: GemmShape, value: Int? = nil, using random: inout Generator) {
      rows = shape.rows
      stride = (shape.inputs + 63) / 64 * 64 + 64
      memory = Block(shape.rows * stride + 1, 0)
      quant = Block(shape.rows, vlm_row_quant(scale: 0, minimum: 0))
      for r in 0..<shape.rows {
        quant[r] = vlm_row_quant(
          scale: .random(in: 0.001...0.02, using: &random),
          minimum: .random(in: -2...1, using: &random))
        for k in 0..<shape.inputs {
          memory[1 + r * stride + k] = UInt8(value ?? .random(in: 0...255, using: &random))
        }
      }
    }

    func u(_ r: Int, _ k: Int) -> Double { Double(memory[1 + r * stride + k]) }
  }

  /// y of a product; elements outside the panels keep `untouched`.
  func product(
    _ table: vlm_kernels, _ function: Gemm, _ x: Activations, _ w: PackedMatrix,
    panels: Range<Int>? = nil
  ) -> [Float] {
    let y = Block<Float>(x.rows * (w.outputs + 1), Self.untouched)
    let scratch = Block<UInt8>(table.gemm_scratch_bytes(w.inputs), 0)
    var g = vlm_gemm()
    (g.rows, g.inputs, g.outputs) = (x.rows, w.inputs, w.outputs)
    (g.x, g.x_stride) = (UnsafeRawPointer(x.memory.base + 1), x.stride)
    g.x_quant = UnsafePointer(x.quant.base)
    g.weights = UnsafeRawPointer(w.panels.base)
    g.panel_begin = panels?.lowerBound ?? 0
    g.panel_end = panels?.upperBound ?? vlm_panel_count(w.outputs)
    (g.y, g.y_stride) = (y.base, w.outputs + 1)
    g.scratch = UnsafeMutableRawPointer(scratch.base)
    function(&g)
    return y.values
  }

  func quantizedMatrices(_ shape: GemmShape, using random: inout Generator) -> [PackedMatrix] {
    let scales = random.floats(shape.outputs, 0.001...0.02)
    let codes = random.integers(shape.outputs * shape.inputs, -127...127)
    let q8 = Packing.q8(
      outputs: shape.outputs, inputs: shape.inputs, codes: codes, scales: scales)
    return [q8]
      + (3...6).map {
        Packing.grouped(
          bits: $0, outputs: shape.outputs, inputs: shape.inputs, scales: scales, using: &random)
      }
  }

  /// The products of `quantizedMatrices`, in that order.
  func quantizedProducts(_ table: vlm_kernels) -> [Gemm] {
    [
      table.gemm_u8_q8, table.gemm_u8_q3, table.gemm_u8_q4, table.gemm_u8_q5, table.gemm_u8_q6,
    ]
  }

  /// Rounding of the integer sum, the row's minimum and the output's scale: a few 2^-24 of each.
  static let scalarRelativeError = 4e-7

  @Test("the scalar integer products are the formula in Double", arguments: GemmShape.awkward)
  func scalarQuantized(shape: GemmShape) throws {
    var random = Generator(seed: 1)
    let table = try KernelTables.scalar()
    let x = Activations(shape, using: &random)
    let matrices = quantizedMatrices(shape, using: &random)
    for (w, function) in zip(matrices, quantizedProducts(table)) {
      let y = product(table, function, x, w)
      for r in 0..<shape.rows {
        let scale = Double(x.quant[r].scale)
        let minimum = Double(x.quant[r].minimum)
        for n in 0..<shape.outputs {
          var exact = 0.0
          var size = 0.0
          for k in 0..<shape.inputs {
            let weight = w.values[n * shape.inputs + k] * Double(w.scales[n])
            exact += (scale * x.u(r, k) + minimum) * weight
            size += (scale * x.u(r, k) + abs(minimum)) * abs(weight)
          }
          let error = abs(Double(y[r * (shape.outputs + 1) + n]) - exact)
          #expect(error <= Self.scalarRelativeError * size)
        }
        #expect(y[r * (shape.outputs + 1) + shape.outputs] == Self.untouched)
      }
    }
  }

  @Test(
    "integer products have the same bits as the scalar ones, on all panels and on some",
    arguments: KernelTables.vectorised, GemmShape.awkward)
  func quantizedBits(name: String, shape: GemmShape) throws {
    var random = Generator(seed: 2)
    let (table, scalar) = (try KernelTables.named(name), try KernelTables.scalar())
    let x = Activations(shape, using: &random)
    let matrices = quantizedMatrices(shape, using: &random)
    let pairs = zip(quantizedProducts(table), quantizedProducts(scalar))
    for (w, (function, reference)) in zip(matrices, pairs) {
      let count = vlm_panel_count(shape.outputs)
      for panels in [0..<count, count / 2..<count, 0..<count / 2] {
        let y = product(table, function, x, w, panels: panels)
        let expected = product(scalar, reference, x, w, panels: panels)
        #expect(y.map(\.bitPattern) == expected.map(\.bitPattern))
      }
    }
  }

  @Test("the largest sums that the layout allows are exact", arguments: KernelTables.all)
  func extremes(name: String) throws {
    var random = Generator(seed: 3)
    let table = try KernelTables.named(name)
    for code in [-127, 127] {
      let shape = GemmShape(rows: 5, outputs: 3, inputs: 65536)
      let x = Activations(shape, value: 255, using: &random)
      for r in 0..<5 { x.quant[r] = vlm_row_quant(scale: 1, minimum: 0) }
      let w = Packing.q8(
        outputs: 3, inputs: 65536, codes: Array(repeating: code, count: 3 * 65536),
        scales: [1, 0.5, 2])
      let y = product(table, table.gemm_u8_q8, x, w)
      let sum = Float(255 * code * 65536)
      for r in 0..<5 { #expect(Array(y[r * 4..<r * 4 + 3]) == [sum, sum / 2, sum * 2]) }
    }
  }

  @Test("one-hot activations pick out single weights", arguments: KernelTables.all)
  func oneHot(name: String) throws {
    var random = Generator(seed: 4)
    let table = try KernelTables.named(name)
    let shape = GemmShape(rows: 70, outputs: 19, inputs: 70)
    let x = Activations(shape, value: 0, using: &random)
    for r in 0..<shape.rows {
      x.memory[1 + r * x.stride + r] = 1
      x.quant[r] = vlm_row_quant(scale: 1, minimum: 0)
    }
    let ones = [Float](repeating: 1, count: shape.outputs)
    let codes = random.integers(shape.outputs * shape.inputs, -127...127)
    let q8 = Packing.q8(outputs: 19, inputs: 70, codes: codes, scales: ones)
    let grouped = (3...6).map {
      Packing.grouped(bits: $0, outputs: 19, inputs: 70, scales: ones, using: &random)
    }
    for (w, function) in zip([q8] + grouped, quantizedProducts(table)) {
      let y = product(table, function, x, w)
      for r in 0..<shape.rows {
        for n in 0..<shape.outputs { #expect(Double(y[r * 20 + n]) == w.values[n * 70 + r]) }
      }
    }
  }

  @Test("half-precision products stay within their bound", arguments: KernelTables.all)
  func half(name: String) throws {
    var random = Generator(seed: 5)
    let table = try KernelTables.named(name)
    for shape in GemmShape.awkward {
      let count = shape.outputs * shape.inputs
      let bits = random.integers(count, 0...0x7bff).map { $0 % 0x4400 | $0 << 15 & 0x8000 }
      let f16 = Packing.f16(outputs: shape.outputs, inputs: shape.inputs, bits: bits)
      let bf16 = Packing.bf16(
        outputs: shape.outputs, inputs: shape.inputs, values: random.floats(count, -2...2))
      let x = Block(random.floats(shape.rows * shape.inputs, -3...3), 0)
      for (w, function, isBF16) in [
        (f16, table.gemm_f32_f16!, false), (bf16, table.gemm_f32_bf16!, true),
      ] {
        let y = Block<Float>(shape.rows * shape.outputs, Self.untouched)
        let scratch = Block<UInt8>(table.gemm_scratch_bytes(shape.inputs), 0)
        var g = vlm_gemm()
        (g.rows, g.inputs, g.outputs) = (shape.rows, shape.inputs, shape.outputs)
        (g.x, g.x_stride) = (UnsafeRawPointer(x.base), shape.inputs)
        g.weights = UnsafeRawPointer(w.panels.base)
        g.panel_end = vlm_panel_count(shape.outputs)
        (g.y, g.y_stride) = (y.base, shape.outputs)
        g.scratch = UnsafeMutableRawPointer(scratch.base)
        function(&g)
        // Tiles of bf16 take activations rounded to 8 bits; all others only round their sums.
        let roundsX = isBF16 && name == "amx"
        let unit = (roundsX ? 0x1p-8 : 0) + Double(shape.inputs + 2) * (roundsX ? 0x1p-23 : 0x1p-24)
        for r in 0..<shape.rows {
          for n in 0..<shape.outputs {
            var (exact, size) = (0.0, 0.0)
            for k in 0..<shape.inputs {
              let term = Double(x[r * shape.inputs + k]) * w.values[n * shape.inputs + k]
              exact += term
              size += abs(term)
            }
            #expect(abs(Double(y[r * shape.outputs + n]) - exact) <= unit * size)
          }
        }
      }
    }
  }
}
