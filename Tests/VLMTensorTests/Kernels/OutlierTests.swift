import CVLMKernels
import Testing

@testable import VLMTensor

@Suite("outliers of activations")
struct OutlierTests {
  static let perRow = 4
  typealias AddOutliers =
    @convention(c) (UnsafePointer<vlm_gemm>?, Int, UnsafePointer<vlm_outlier>?) -> Void

  func take(
    _ values: [Float], perRow: Int = perRow, by table: String = "scalar"
  ) throws -> (rest: [Float], outliers: [vlm_outlier]) {
    var rest = values
    var outliers = [vlm_outlier](repeating: vlm_outlier(column: 7, value: 7), count: perRow)
    try KernelTables.named(table).take_outliers(
      1, values.count, perRow, &rest, values.count, &outliers)
    return (rest, outliers)
  }

  @Test("the largest magnitudes are taken, and the next largest stands in their place")
  func largest() throws {
    var values = (0..<70).map { Float($0 % 7) / 7 }
    for (column, value) in [(3, Float(-9)), (17, 8), (40, -30), (69, 9), (20, -2)] {
      values[column] = value
    }
    let (rest, outliers) = try take(values)
    #expect(outliers.map(\.column) == [40, 3, 69, 17])
    #expect(outliers.map(\.value) == [-30, -9, 9, 8])
    for column in values.indices {
      #expect(rest[column] == ([40, 3, 69, 17].contains(column) ? -2 : values[column]))
    }
  }

  @Test("a row of no more values than are kept apart stays as it is", arguments: [1, 2, 3, 4])
  func short(count: Int) throws {
    let values = (0..<count).map { Float($0 + 1) }
    let (rest, outliers) = try take(values)
    #expect(rest == values && outliers.allSatisfy { $0.value == 0 && $0.column == 0 })
  }

  @Test("NaN stays in the row, so that its codes are not finite")
  func notANumber() throws {
    var values = (0..<33).map { Float($0) }
    values[5] = .nan
    let (rest, outliers) = try take(values)
    #expect(rest[5].isNaN)
    #expect(outliers.map(\.column) == [32, 31, 30, 29])
  }

  @Test("every instruction set takes the same ones", arguments: KernelTables.vectorised)
  func takenAlike(table: String) throws {
    var random = Generator(seed: 73)
    for columns in [1, 8, 9, 63, 64, 65, 130, 576, 1000] {
      // Even magnitudes, some far larger than the rest, many alike, NaN and infinities.
      let even = random.floats(columns, -1...1)
      let rows = [
        even, even.map { $0 * $0 * $0 * $0 * $0 * $0 * $0 }, even.map { ($0 * 3).rounded() },
        even.map { $0 > 0.8 ? .nan : $0 < -0.99 ? .infinity : $0 },
        even.map { $0 > -0.9 ? .nan : $0 }, even.map { $0 > 0.95 ? $0 : 0 },
      ]
      for row in rows {
        for perRow in 1...Int(VLM_MAX_OUTLIERS) {
          let expected = try take(row, perRow: perRow)
          let found = try take(row, perRow: perRow, by: table)
          #expect(found.rest.map(\.bitPattern) == expected.rest.map(\.bitPattern))
          #expect(found.outliers.map(\.column) == expected.outliers.map(\.column))
          #expect(
            found.outliers.map(\.value.bitPattern) == expected.outliers.map(\.value.bitPattern))
        }
      }
    }
  }

  @Test("codes and what they leave over make the value again")
  func settle() throws {
    var random = Generator(seed: 71)
    let columns = 100
    var values = random.floats(columns, -1...1)
    (values[7], values[64]) = (55, -90)
    var (rest, outliers) = try take(values)
    var codes = [UInt8](repeating: 0, count: 128)
    var quant = vlm_row_quant()
    try KernelTables.scalar().quantize_rows_u8(1, columns, &rest, columns, &codes, 128, &quant)
    #expect(quant.scale < 0.01)
    vlm_settle_outliers(1, columns, Self.perRow, codes, 128, &quant, &outliers)
    for outlier in outliers {
      let column = Int(outlier.column)
      let found = quant.scale * Float(codes[column]) + quant.minimum + outlier.value
      #expect(abs(found - values[column]) <= 1e-5 * abs(values[column]))
    }
  }

  @Test("every instruction set adds the reference's bits", arguments: KernelTables.all)
  func sets(name: String) throws {
    let (table, scalar) = (try KernelTables.named(name), try KernelTables.scalar())
    var random = Generator(seed: 72)
    for (outputs, inputs) in [(16, 32), (37, 33), (5, 100), (64, 7)] {
      let scales = random.floats(outputs, 0.001...0.1)
      let codes = random.integers(outputs * inputs, -127...127)
      let q8 = Packing.q8(outputs: outputs, inputs: inputs, codes: codes, scales: scales)
      let grouped = (3...6).map {
        Packing.grouped(
          bits: $0, outputs: outputs, inputs: inputs, scales: scales, using: &random)
      }
      let functions: [(vlm_kernels) -> AddOutliers?] = [
        { $0.add_outliers_q8 }, { $0.add_outliers_q3 }, { $0.add_outliers_q4 },
        { $0.add_outliers_q5 }, { $0.add_outliers_q6 },
      ]
      let (rows, perRow) = (3, outputs % 2 == 0 ? Int(VLM_MAX_OUTLIERS) : 3)
      let columns = random.integers(rows * perRow, 0...(inputs - 1))
      let values = random.floats(rows * perRow, -9...9)
      let outliers = zip(columns, values).map {
        vlm_outlier(column: UInt32($0), value: $1)
      }
      let before = random.floats(rows * outputs, -1...1)
      for (matrix, function) in zip([q8] + grouped, functions) {
        func sum(_ table: vlm_kernels) -> [Float] {
          var y = before
          y.withUnsafeMutableBufferPointer { y in
            var call = vlm_gemm()
            (call.rows, call.inputs, call.outputs) = (rows, inputs, outputs)
            call.weights = UnsafeRawPointer(matrix.panels.base)
            (call.panel_begin, call.panel_end) = (0, (outputs + 15) / 16)
            (call.y, call.y_stride) = (y.baseAddress, outputs)
            function(table)?(&call, perRow, outliers)
          }
          return y
        }
        let expected = sum(scalar)
        #expect(sum(table) == expected)
        for r in 0..<rows {
          for n in 0..<outputs {
            var wanted = Double(before[r * outputs + n])
            for j in r * perRow..<(r + 1) * perRow {
              let code = matrix.values[n * inputs + columns[j]]
              wanted += Double(scales[n]) * Double(code) * Double(values[j])
            }
            #expect(abs(Double(expected[r * outputs + n]) - wanted) <= 1e-4 * (abs(wanted) + 1))
          }
        }
      }
    }
  }
}
