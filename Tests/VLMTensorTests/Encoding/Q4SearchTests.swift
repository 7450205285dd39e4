import CVLMKernels
import Testing

@testable import VLMTensor

@Suite("q4 search")
struct Q4SearchTests {
  /// √(Σ(w − v)² / Σw²) at most, for 16 rows of 1,024; min/max rounding has 0.082 and more.
  static let maxRelativeRMSE: [Distribution: Double] = [
    .gaussian: 0.0720, .laplace: 0.0865, .studentT5: 0.0865, .uniform: 0.0640,
  ]

  private func encode(
    _ rows: [Float], rowCount: Int, inputs: Int, scheme: Scheme = .q4, searched: Bool
  ) -> (bytes: [UInt8], error: QuantizationError) {
    var encoder = vlm_encoder_best()!.pointee
    if !searched { encoder.q4 = encoder.q4_min_max }
    var bytes = [UInt8](repeating: 0, count: vlm_qn_panel_bytes(scheme.codeBits, inputs))
    let error = bytes.withUnsafeMutableBytes {
      PanelEncoder.encode(
        rows: rows, rowCount: rowCount, rowStride: inputs, inputs: inputs, scheme: scheme,
        into: $0.baseAddress!, with: &encoder)
    }
    return (bytes, error)
  }

  @Test(
    "the search stays within its bound and beats min/max rounding by a tenth",
    arguments: Distribution.allCases)
  func beatsMinMax(distribution: Distribution) {
    let rows = distribution.values(16 * 1024, seed: 7)
    let found = encode(rows, rowCount: 16, inputs: 1024, searched: true).error
    let plain = encode(rows, rowCount: 16, inputs: 1024, searched: false).error
    let (ours, theirs) = (
      found.relativeRootMeanSquareError, plain.relativeRootMeanSquareError
    )
    #expect(ours < Self.maxRelativeRMSE[distribution]!)
    #expect(ours < 0.9 * theirs, "\(ours) against \(theirs)")
  }

  /// The least Σ(x − b)² over all steps and offsets, x in units of the scale.
  private func leastError(_ x: [Double], highest: Int) -> Double {
    var least = Double.infinity
    for step in 0...(254 / highest) {
      for offset in -127...(127 - highest * step) {
        var error = 0.0
        for value in x where error < least {
          let position = step == 0 ? 0 : (value - Double(offset)) / Double(step)
          let code = max(0, min(Double(highest), position.rounded()))
          let left = value - Double(step) * code - Double(offset)
          error += left * left
        }
        least = min(least, error)
      }
    }
    return least
  }

  @Test(
    "for the scale chosen, groups come within 1 % of an exhaustive search over steps and offsets",
    arguments: [Distribution.gaussian, .laplace, .studentT5], [Scheme.q3, .q4, .q5, .q6])
  func nearExhaustive(distribution: Distribution, scheme: Scheme) {
    let inputs = 96
    let rows = distribution.values(16 * inputs, seed: 11)
    let (bytes, error) = encode(
      rows, rowCount: 16, inputs: inputs, scheme: scheme, searched: true)
    var exhaustive = 0.0
    bytes.withUnsafeBytes { buffer in
      for output in 0..<16 {
        let tail = vlm_qn_tail_offset(scheme.codeBits, inputs)
        let scale = buffer.loadUnaligned(fromByteOffset: tail + 4 * output, as: Float.self)
        for group in stride(from: output * inputs, to: (output + 1) * inputs, by: 32) {
          let x = rows[group..<group + 32].map { Double($0) / Double(scale) }
          let least = leastError(x, highest: (1 << scheme.codeBits) - 1)
          exhaustive += least * Double(scale) * Double(scale)
        }
      }
    }
    // The squared error: 2 % of it is 1 % of the RMSE.
    #expect(error.sumSquaredError >= exhaustive * (1 - 1e-6))
    #expect(error.sumSquaredError < exhaustive * 1.02, "\(error.sumSquaredError / exhaustive)")
  }

  @Test("importance moves the error to where it matters less")
  func importance() throws {
    let inputs = 256
    let rows = Distribution.gaussian.values(16 * inputs, seed: 3)
    // Every fourth input counts a hundred times as much.
    let importance = (0..<inputs).map { Float($0 % 4 == 0 ? 100 : 1) }
    func errors(_ weights: [Float]?) throws -> (weighted: Double, plain: Double) {
      let (bytes, error) = try #require(
        encodePanel(rows, rowCount: 16, inputs: inputs, scheme: .q4, importance: weights))
      let decoded = decodePanel(bytes, rowCount: 16, inputs: inputs, scheme: .q4)
      let weighted = rows.indices.reduce(0.0) { sum, index in
        let lost = Double(rows[index]) - Double(decoded[index])
        return sum + lost * lost * Double(importance[index % inputs])
      }
      return (weighted, error.sumSquaredError)
    }
    let (with, without) = (try errors(importance), try errors(nil))
    #expect(with.weighted < 0.8 * without.weighted)
    #expect(with.plain > without.plain)
  }

  @Test("importance that is all zeros, negative or NaN counts as none at all")
  func uselessImportance() throws {
    let rows = Distribution.gaussian.values(16 * 64, seed: 5)
    let plain = try #require(encodePanel(rows, rowCount: 16, inputs: 64, scheme: .q4)).bytes
    for value in [Float(0), -1, .nan, 2.5, .greatestFiniteMagnitude] {
      let weights = [Float](repeating: value, count: 64)
      let (bytes, _) = try #require(
        encodePanel(rows, rowCount: 16, inputs: 64, scheme: .q4, importance: weights))
      #expect(bytes == plain, "\(value)")
    }
  }
}
