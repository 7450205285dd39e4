import CVLMKernels
import Testing

@testable import VLMTensor

@Suite("Extreme values and determinism")
struct ExtremeValueTests {
  static let panelSchemes = [Scheme.f16, .bf16, .q8, .q4, .q3, .q5, .q6]
  static let codedSchemes = [Scheme.q8, .q4, .q3, .q5, .q6]
  /// Largest relative RMSE of values that fill their range.
  static let bounds: [Scheme: Double] = [.q8: 0.01, .q6: 0.03, .q5: 0.05, .q4: 0.08, .q3: 0.16]

  private func isSound(_ bytes: [UInt8], scheme: Scheme, inputs: Int, rowCount: Int) -> Bool {
    bytes.withUnsafeBytes {
      PanelFault.first(in: $0.baseAddress!, scheme: scheme, inputs: inputs, rowCount: rowCount)
    } == nil
  }

  @Test("every size makes a panel that breaks no rule", arguments: panelSchemes)
  func soundAtEverySize(scheme: Scheme) throws {
    for inputs in [1, 2, 7, 8, 31, 32, 33, 63, 64, 65, 95, 96, 352] {
      for rowCount in [1, 2, 15, 16] {
        let rows = Distribution.studentT5.values(inputs * rowCount, seed: UInt64(inputs))
        let (bytes, _) = try #require(
          encodePanel(rows, rowCount: rowCount, inputs: inputs, scheme: scheme))
        #expect(
          isSound(bytes, scheme: scheme, inputs: inputs, rowCount: rowCount),
          "\(rowCount) x \(inputs)")
      }
    }
  }

  @Test("zeros are stored as zero bytes alone", arguments: panelSchemes)
  func zeros(scheme: Scheme) throws {
    let rows = [Float](repeating: 0, count: 3 * 40)
    let (bytes, error) = try #require(encodePanel(rows, rowCount: 3, inputs: 40, scheme: scheme))
    #expect(bytes.allSatisfy { $0 == 0 })
    #expect(error.cosine == 1)
    #expect(error.relativeRootMeanSquareError == 0)
  }

  @Test("a constant row comes back within one part in a million", arguments: codedSchemes)
  func constantRows(scheme: Scheme) throws {
    for value in [Float(0.1), -3.7, 1e-30, 1e30] {
      let rows = [Float](repeating: value, count: 100)
      let (bytes, _) = try #require(encodePanel(rows, rowCount: 1, inputs: 100, scheme: scheme))
      for decoded in decodePanel(bytes, rowCount: 1, inputs: 100, scheme: scheme) {
        #expect(abs(decoded - value) <= abs(value) * 1e-6)
      }
    }
  }

  @Test(
    "values near the largest float decode to finite ones close by", arguments: codedSchemes)
  func hugeValues(scheme: Scheme) throws {
    let largest = Float.greatestFiniteMagnitude
    let rows = (0..<64).map { index -> Float in
      [largest, -largest, largest / 3, 0.9 * largest, 1][index % 5]
    }
    let (bytes, error) = try #require(encodePanel(rows, rowCount: 1, inputs: 64, scheme: scheme))
    let decoded = decodePanel(bytes, rowCount: 1, inputs: 64, scheme: scheme)
    #expect(decoded.allSatisfy { $0.isFinite })
    #expect(error.overflowCount == 0)
    #expect(error.relativeRootMeanSquareError < Self.bounds[scheme]!)
    #expect(isSound(bytes, scheme: scheme, inputs: 64, rowCount: 1))
  }

  @Test("denormal rows neither trap nor make a bad panel", arguments: codedSchemes)
  func denormals(scheme: Scheme) throws {
    for magnitude in [Float.leastNonzeroMagnitude, 0x1p-143, 0x1p-140, 0x1p-130, 0x1p-126] {
      let rows = Distribution.uniform.values(64, seed: 2).map { $0 * magnitude }
      let (bytes, error) = try #require(encodePanel(rows, rowCount: 1, inputs: 64, scheme: scheme))
      #expect(isSound(bytes, scheme: scheme, inputs: 64, rowCount: 1), "\(magnitude)")
      #expect(error.maxAbsError <= Double(magnitude))
      let bound = max(0.1, Self.bounds[scheme]!)
      if magnitude >= 0x1p-130 { #expect(error.relativeRootMeanSquareError < bound) }
    }
  }

  @Test("a single outlier costs its own group the steps, and q8 the whole row")
  func outlier() throws {
    var rows = Distribution.gaussian.values(1024, seed: 9)
    rows[100] = 60
    let (q4, q4Error) = try #require(encodePanel(rows, rowCount: 1, inputs: 1024, scheme: .q4))
    let decoded = decodePanel(q4, rowCount: 1, inputs: 1024, scheme: .q4)
    #expect(abs(decoded[100] - 60) < 4)
    #expect(q4Error.relativeRootMeanSquareError < 0.11)
    let (_, q8Error) = try #require(encodePanel(rows, rowCount: 1, inputs: 1024, scheme: .q8))
    #expect(q8Error.maxAbsError <= 60.0 / 254 * 1.0001)
  }

  @Test("NaN and infinity count, are encoded as 0, and leave their row alone")
  func notFinite() throws {
    var rows = Distribution.gaussian.values(2 * 64, seed: 4)
    rows[3] = 0
    rows[70] = 0
    rows[71] = 0
    var spoilt = rows
    spoilt[3] = .nan
    spoilt[70] = .infinity
    spoilt[71] = -.infinity
    for scheme in Self.codedSchemes {
      let clean = try #require(encodePanel(rows, rowCount: 2, inputs: 64, scheme: scheme))
      let bad = try #require(encodePanel(spoilt, rowCount: 2, inputs: 64, scheme: scheme))
      #expect(bad.bytes == clean.bytes)
      #expect(bad.error.notFiniteCount == 3)
      #expect(bad.error.sumSquaredError == clean.error.sumSquaredError)
      #expect(bad.error.cosine.isFinite)
    }
    let half = try #require(encodePanel(spoilt, rowCount: 2, inputs: 64, scheme: .bf16))
    #expect(half.error.notFiniteCount == 3)
    let decoded = decodePanel(half.bytes, rowCount: 2, inputs: 64, scheme: .bf16)
    #expect(decoded[3].isNaN && decoded[70] == .infinity && decoded[71] == -.infinity)
  }

  @Test("all instruction sets and repeated runs write the same bits", arguments: panelSchemes)
  func determinism(scheme: Scheme) throws {
    var compared = 0
    for distribution in Distribution.allCases {
      for (rowCount, inputs) in [(16, 352), (5, 33), (1, 1), (16, 95)] {
        let rows = distribution.values(rowCount * inputs, seed: 21)
        let importance = Distribution.uniform.values(inputs, seed: 22).map { $0 * $0 }
        func encode(_ isa: vlm_isa) -> (bytes: [UInt8], error: QuantizationError)? {
          encodePanel(
            rows, rowCount: rowCount, inputs: inputs, scheme: scheme, importance: importance,
            isa: isa)
        }
        let expected = try #require(encode(VLM_ISA_SCALAR))
        for isa in (0..<VLM_ISA_COUNT.rawValue).map({ vlm_isa(rawValue: $0) }) {
          guard let (bytes, error) = encode(isa) else { continue }
          #expect(bytes == expected.bytes)
          #expect(error == expected.error)
          compared += 1
        }
      }
    }
    #expect(compared >= 16)
  }

  @Test("parts of a tensor merged in order give the statistics of the whole")
  func merging() throws {
    let rows = Distribution.gaussian.values(48 * 64, seed: 8)
    let format = TensorFormat(scheme: .q8, layout: .panels)
    let whole = try TensorEncoder.encode(values: rows, shape: [48, 64], format: format).error
    var merged = QuantizationError()
    for first in stride(from: 0, to: rows.count, by: 16 * 64) {
      let part = Array(rows[first..<first + 16 * 64])
      merged.merge(try #require(encodePanel(part, rowCount: 16, inputs: 64, scheme: .q8)).error)
    }
    #expect(merged == whole)
  }
}
