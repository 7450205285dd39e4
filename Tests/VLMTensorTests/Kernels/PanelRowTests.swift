import CVLMKernels
import Testing

@Suite("rows of panels")
struct PanelRowTests {
  typealias Lookup = (UnsafeRawPointer?, Int, Int, UnsafeMutablePointer<Float>?) -> Void

  func check(_ matrix: PackedMatrix, _ lookup: Lookup) {
    for n in 0..<matrix.outputs {
      var row = [Float](repeating: .nan, count: matrix.inputs)
      lookup(matrix.panels.base, matrix.inputs, n, &row)
      let expected = (0..<matrix.inputs).map { k -> Float in
        let value = matrix.values[n * matrix.inputs + k]
        return matrix.scales.isEmpty ? Float(value) : matrix.scales[n] * Float(value)
      }
      #expect(row == expected)
    }
  }

  @Test("a row is what the layout says, in every scheme", arguments: [1, 7, 32, 33, 80])
  func rows(inputs: Int) {
    var random = Generator(seed: 41)
    let outputs = 19
    let scales = random.floats(outputs, 0.001...0.1)
    let codes = random.integers(outputs * inputs, -127...127)
    check(
      Packing.q8(outputs: outputs, inputs: inputs, codes: codes, scales: scales), vlm_panel_row_q8)
    for bits in 3...6 {
      let matrix = Packing.grouped(
        bits: bits, outputs: outputs, inputs: inputs, scales: scales, using: &random)
      check(matrix) { vlm_panel_row_qn($0, bits, $1, $2, $3) }
    }
    let values = random.floats(outputs * inputs, -2...2)
    check(Packing.bf16(outputs: outputs, inputs: inputs, values: values), vlm_panel_row_bf16)
    // No exponent of all ones: neither infinity nor NaN.
    let bits = random.integers(outputs * inputs, 0...0xffff).map {
      $0 & 0x7c00 == 0x7c00 ? $0 & 0x83ff : $0
    }
    check(Packing.f16(outputs: outputs, inputs: inputs, bits: bits), vlm_panel_row_f16)
  }
}
