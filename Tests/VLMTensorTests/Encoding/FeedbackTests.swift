import CVLMKernels
import Testing

@testable import VLMTensor

@Suite("codes that make up for the errors of others")
struct FeedbackTests {
  private static let schemes: [Scheme] = [.q3, .q4, .q5, .q6, .q8]

  private func statistics(_ hessian: [Float], _ inputs: Int) throws -> CalibrationStatistics {
    try CalibrationStatistics(inputs: inputs, hessian: hessian)
  }

  private func encode(
    _ values: [Float], _ rows: Int, _ inputs: Int, _ scheme: Scheme,
    _ statistics: CalibrationStatistics?, _ kernels: KernelSet = .best
  ) throws -> [UInt8] {
    try TensorEncoder.encode(
      values: values, shape: [rows, inputs],
      format: TensorFormat(scheme: scheme, layout: .panels), statistics: statistics,
      kernels: kernels
    ).bytes
  }

  /// Σ over outputs of e H eᵀ.
  private func error(
    _ values: [Float], _ bytes: [UInt8], _ rows: Int, _ inputs: Int, _ scheme: Scheme,
    _ hessian: [Float]
  ) throws -> Double {
    let decoded = try TensorEncoder.decode(
      bytes: bytes, shape: [rows, inputs], format: TensorFormat(scheme: scheme, layout: .panels))
    var sum = 0.0
    for row in 0..<rows {
      let e = (0..<inputs).map {
        Double(values[row * inputs + $0]) - Double(decoded[row * inputs + $0])
      }
      for i in 0..<inputs {
        for j in 0..<inputs { sum += e[i] * e[j] * Double(hessian[i * inputs + j]) }
      }
    }
    return sum
  }

  @Test("the error of products is less than without statistics", arguments: schemes)
  func gain(scheme: Scheme) throws {
    for inputs in [33, 96, 150] {
      let rows = 20
      let values = Distribution.gaussian.values(rows * inputs, seed: 11)
      let hessian = HessianFactorTests.hessian(inputs: inputs)
      let plain = try error(
        values, try encode(values, rows, inputs, scheme, nil), rows, inputs, scheme, hessian)
      let bytes = try encode(values, rows, inputs, scheme, try statistics(hessian, inputs))
      let fed = try error(values, bytes, rows, inputs, scheme, hessian)
      #expect(fed < 0.8 * plain, "\(inputs) inputs: \(fed / plain)")
    }
  }

  @Test("every instruction set writes the same bytes", arguments: schemes)
  func instructions(scheme: Scheme) throws {
    for inputs in [1, 31, 32, 70, 96] {
      let rows = 19
      let values = Distribution.laplace.values(rows * inputs, seed: 5)
      let known = try statistics(HessianFactorTests.hessian(inputs: inputs), inputs)
      let expected = try encode(values, rows, inputs, scheme, known)
      for kernels in KernelSet.all {
        #expect(
          try encode(values, rows, inputs, scheme, known, kernels) == expected, "\(kernels.name)")
      }
    }
  }

  @Test("what is written breaks no rule, whatever the weights are", arguments: schemes)
  func extremes(scheme: Scheme) throws {
    let inputs = 70
    let known = try statistics(HessianFactorTests.hessian(inputs: inputs), inputs)
    var values = Distribution.gaussian.values(16 * inputs, seed: 9)
    for input in 0..<inputs {
      values[0 * inputs + input] = 0
      values[1 * inputs + input] = input == 3 ? .infinity : 1
      values[2 * inputs + input] = .greatestFiniteMagnitude
      values[3 * inputs + input] = .leastNonzeroMagnitude
      values[4 * inputs + input] = input == 0 ? 1e30 : 1e-30
      values[5 * inputs + input] = .nan
    }
    let bytes = try encode(values, 16, inputs, scheme, known)
    let fault = bytes.withUnsafeBytes { bytes in
      bytes.baseAddress.flatMap {
        PanelFault.first(in: $0, scheme: scheme, inputs: inputs, rowCount: 16)
      }
    }
    #expect(fault == nil)
    let decoded = try TensorEncoder.decode(
      bytes: bytes, shape: [16, inputs], format: TensorFormat(scheme: scheme, layout: .panels))
    #expect(decoded.allSatisfy { $0.isFinite })
    #expect(decoded[..<inputs].allSatisfy { $0 == 0 })
  }

  /// The rule as the paper has it, one output and one input at a time.
  @Test("q8's codes are those of the plain rule")
  func reference() throws {
    let (rows, inputs) = (5, 70)
    let values = Distribution.gaussian.values(rows * inputs, seed: 21)
    let known = try statistics(HessianFactorTests.hessian(inputs: inputs), inputs)
    let bytes = try encode(values, rows, inputs, .q8, known)
    let decoded = try TensorEncoder.decode(
      bytes: bytes, shape: [rows, inputs], format: TensorFormat(scheme: .q8, layout: .panels))
    let factor = try #require(known.factor)
    var different = 0
    for row in 0..<rows {
      let w = Array(values[row * inputs..<(row + 1) * inputs])
      let scale = (w.map(abs).max() ?? 0) / 127
      var errors = [Double](repeating: 0, count: inputs)
      for (place, input) in factor.order.enumerated() {
        var target = Double(w[Int(input)] / scale)
        for earlier in 0..<place {
          target += errors[earlier] * Double(factor.factor[earlier * inputs + place])
        }
        let code = min(127, max(-127, target.rounded(.toNearestOrEven)))
        errors[place] = Double(w[Int(input)] / scale) - code
        let found = Double(decoded[row * inputs + Int(input)] / scale).rounded()
        // Where f32 rounds a target to the other side of a half, all later ones differ too.
        if found != code {
          different += 1
          errors[place] = Double(w[Int(input)] / scale) - found
        }
      }
    }
    #expect(different <= 1)
  }
}
