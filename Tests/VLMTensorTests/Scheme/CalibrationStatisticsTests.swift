import Testing

@testable import VLMTensor

@Suite("calibration statistics")
struct CalibrationStatisticsTests {
  private func problem(
    inputs: Int, importance: [Float]? = nil, hessian: [Float]? = nil
  ) -> TensorEncodingError.Problem? {
    do throws(TensorEncodingError) {
      _ = try CalibrationStatistics(inputs: inputs, importance: importance, hessian: hessian)
      return nil
    } catch { return error.problem }
  }

  @Test("counts must be those of the inputs")
  func counts() {
    #expect(problem(inputs: 2, importance: [1]) == .importanceCount(found: 1, expected: 2))
    #expect(problem(inputs: 2, hessian: [1, 0, 0]) == .hessianCount(found: 3, expected: 4))
    #expect(problem(inputs: 0) == .statisticsInputs(found: 0, expected: "1 to 65536"))
    #expect(problem(inputs: 65_537) == .statisticsInputs(found: 65_537, expected: "1 to 65536"))
    #expect(problem(inputs: 2, importance: [1, 0], hessian: [2, 1, 1, 2]) == nil)
  }

  @Test("a Hessian is finite, symmetric and positive on its diagonal, or the place is named")
  func hessians() {
    let wrong: [([Float], TensorEncodingError.HessianFault, row: Int, column: Int)] = [
      ([1, 0, 0, .nan], .notFinite, 1, 1), ([1, .infinity, 0, 1], .notFinite, 1, 0),
      ([1, 0.5, 0.25, 1], .notSymmetric, 1, 0), ([0, 0, 0, 1], .diagonalNotPositive, 0, 0),
      ([1, 0, 0, -1], .diagonalNotPositive, 1, 1), ([1, 2, 2, 1], .notPositiveDefinite, 0, 0),
    ]
    for (hessian, fault, row, column) in wrong {
      #expect(
        problem(inputs: 2, hessian: hessian) == .hessian(fault, row: row, column: column))
    }
    #expect(
      TensorEncodingError(problem: .hessian(.notSymmetric, row: 3, column: 1)).description
        == "the Hessian: row 3, column 1 is not its mirror image")
  }

  @Test("statistics of other inputs than a matrix has are refused")
  func inputs() throws {
    let statistics = try CalibrationStatistics(inputs: 3)
    let format = TensorFormat(scheme: .q4, layout: .panels)
    #expect(
      throws: TensorEncodingError(problem: .statisticsInputs(found: 3, expected: "2"))
    ) {
      _ = try TensorEncoder.encode(
        values: [1, 2], shape: [1, 2], format: format, statistics: statistics)
    }
  }

  @Test(
    "what a scheme does not use changes nothing; q3 to q6 use the importance, and q8 too the Hessian",
    arguments: [
      Scheme.f16, .bf16, .q8, .q4, .q3, .q5, .q6,
    ])
  func used(scheme: Scheme) throws {
    let (rows, inputs) = (16, 64)
    let values = Distribution.gaussian.values(rows * inputs, seed: 5)
    let format = TensorFormat(scheme: scheme, layout: .panels)
    func bytes(_ statistics: CalibrationStatistics?) throws -> [UInt8] {
      try TensorEncoder.encode(
        values: values, shape: [rows, inputs], format: format, statistics: statistics
      ).bytes
    }
    let plain = try bytes(nil)
    let importance = (0..<inputs).map { Float($0 % 4 == 0 ? 100 : 1) }
    var hessian = [Float](repeating: 0.5, count: inputs * inputs)
    for input in 0..<inputs { hessian[input * inputs + input] = Float(input + 1) }
    let panels = try #require(scheme.panels)
    let weighted = try bytes(CalibrationStatistics(inputs: inputs, importance: importance))
    #expect((weighted != plain) == panels.usesImportance)
    let second = try bytes(CalibrationStatistics(inputs: inputs, hessian: hessian))
    #expect((second != plain) == panels.usesHessian)
    #expect(try bytes(CalibrationStatistics(inputs: inputs)) == plain)
    #expect(panels.usesImportance == (scheme.codeBits < 8))
    #expect(panels.usesHessian == (scheme.codeBits <= 8))
  }
}
