import CVLMKernels
import Testing

@testable import VLMTensor

@Suite("TensorEncoder")
struct TensorEncoderTests {
  static let outputs = [1, 15, 16, 17, 33]
  static let inputs = [1, 31, 32, 33, 64, 95, 352]

  /// Largest relative RMSE on Gaussian weights, with rows long enough for the figure to mean much.
  static let maxRelativeRMSE: [Scheme: Double] = [
    .f16: 0.00025, .bf16: 0.0020, .q8: 0.0095, .q6: 0.025, .q5: 0.043, .q4: 0.082, .q3: 0.165,
  ]

  @Test(
    "decoding gives what the statistics say was stored",
    arguments: [Scheme.f16, .bf16, .q8, .q4, .q3, .q5, .q6], outputs)
  func statisticsMatchDecodedValues(scheme: Scheme, outputs: Int) throws {
    for inputs in Self.inputs {
      let shape = [outputs, inputs]
      let format = TensorFormat(scheme: scheme, layout: .panels)
      let values = Distribution.gaussian.values(outputs * inputs, seed: UInt64(outputs + inputs))
      let (bytes, error) = try TensorEncoder.encode(values: values, shape: shape, format: format)
      #expect(bytes.count == format.byteCount(shape: shape))
      let decoded = try TensorEncoder.decode(bytes: bytes, shape: shape, format: format)
      let expected = QuantizationError(values: values, decoded: decoded)
      #expect(error.elementCount == values.count)
      #expect(error.maxAbsError == expected.maxAbsError)
      #expect(abs(error.sumSquaredError - expected.sumSquaredError) <= 1e-12 * Double(values.count))
      #expect(abs(error.cosine - expected.cosine) < 1e-12)
      if outputs * inputs >= 256 {
        #expect(error.relativeRootMeanSquareError < Self.maxRelativeRMSE[scheme]!, "\(shape)")
      }
    }
  }

  @Test(
    "values that a scheme can represent come back exactly",
    arguments: [Scheme.f32, .f16, .bf16, .q8, .q4, .q3, .q5, .q6])
  func exactRoundTrip(scheme: Scheme) throws {
    let format = TensorFormat(scheme: scheme, layout: scheme == .f32 ? .rowMajor : .panels)
    // Every row has ±127/128. In q3 to q6 every group is 2^-7 * (step * code + offset) or coarser,
    // with the largest power of two that all codes fit as step, and 127 as the largest value.
    let shape = [17, 64]
    let values = (0..<17 * 64).map { index -> Float in
      let (row, input) = (index / 64, index % 64)
      if scheme.codeBits < 8 {
        // Every group has the lowest and the highest code.
        let codes = 1 << scheme.codeBits
        let (step, place) = (256 / codes, (input * 7 + row) % min(codes, 32))
        let code = codes <= 32 ? place : place == 31 ? 63 : 2 * place
        return Float(step * code + 127 - step * (codes - 1)) / 128
      }
      return input == 0 ? 127 / 128 : Float((input * 11 + row * 3) % 255 - 127) / 128
    }
    let (bytes, error) = try TensorEncoder.encode(values: values, shape: shape, format: format)
    #expect(try TensorEncoder.decode(bytes: bytes, shape: shape, format: format) == values)
    #expect(error.maxAbsError == 0)
  }

  @Test("the sizes of Swift and C are the same for all small and some large inputs")
  func sizesAgree() {
    func bytes(_ scheme: Scheme, _ inputs: Int) -> Int? {
      TensorFormat(scheme: scheme, layout: .panels).panelByteCount(inputs: inputs)
    }
    for inputs in Array(1...700) + [1536, 4096, 11008, 65535, 65536] {
      #expect(bytes(.q8, inputs) == vlm_q8_panel_bytes(inputs))
      for scheme in [Scheme.q3, .q4, .q5, .q6] {
        #expect(bytes(scheme, inputs) == vlm_qn_panel_bytes(scheme.codeBits, inputs))
      }
      #expect(bytes(.f16, inputs) == vlm_half_panel_bytes(inputs))
      #expect(bytes(.bf16, inputs) == vlm_half_panel_bytes(inputs))
      for scheme in [Scheme.q8, .q4, .q3, .q5, .q6, .f16, .bf16] {
        #expect(bytes(scheme, inputs)! % 64 == 0)
        let format = TensorFormat(scheme: scheme, layout: .panels)
        #expect(format.byteCount(shape: [33, inputs]) == 3 * bytes(scheme, inputs)!)
      }
    }
    #expect(TensorFormat.maximumInputs == VLM_MAX_INPUTS)
  }

  @Test("a convolution is stored as a matrix over (y, x, input) and comes back")
  func channelsLast() throws {
    let shape = [3, 2, 2, 3]
    let values = (0..<36).map(Float.init)
    let format = TensorFormat(scheme: .f32, order: .channelsLast)
    let (bytes, _) = try TensorEncoder.encode(values: values, shape: shape, format: format)
    let stored = bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    // Output 0 is [input 0: 0...5], [input 1: 6...11]; storage alternates the two inputs.
    #expect(stored[..<12] == [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11])
    #expect(try TensorEncoder.decode(bytes: bytes, shape: shape, format: format) == values)
    let panels = TensorFormat(scheme: .bf16, layout: .panels, order: .channelsLast)
    let (packed, _) = try TensorEncoder.encode(values: values, shape: shape, format: panels)
    #expect(try TensorEncoder.decode(bytes: packed, shape: shape, format: panels) == values)
  }

  @Test("depthwise weights are stored taps first, channel by channel if need be")
  func tapsFirst() throws {
    let shape = [3, 1, 2, 2]
    let values = (0..<12).map(Float.init)
    let format = TensorFormat(scheme: .f16, order: .tapsFirst)
    let (bytes, _) = try TensorEncoder.encode(values: values, shape: shape, format: format)
    #expect(try TensorEncoder.decode(bytes: bytes, shape: shape, format: format) == values)
    var stored = [Float](repeating: -1, count: 12)
    for channel in 0..<3 {
      Array(values[channel * 4..<channel * 4 + 4]).withUnsafeBufferPointer {
        AxisOrder.tapsFirst.store(
          $0.baseAddress!, shape: shape, outputs: channel..<channel + 1, into: &stored)
      }
    }
    #expect(stored == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11])
  }

  @Test("formats that do not fit, and wrong counts, are refused with both numbers")
  func refusals() {
    let q8 = TensorFormat(scheme: .q8, layout: .panels)
    func problem(_ body: () throws(TensorEncodingError) -> Void) -> TensorEncodingError.Problem? {
      do { try body() } catch { return error.problem }
      return nil
    }
    let vast = [Int.max / 2, 65_536]
    #expect(
      problem { () throws(TensorEncodingError) in
        _ = try TensorEncoder.encode(values: [], shape: vast, format: q8)
      } == .formatDoesNotFit(format: q8, shape: vast))
    #expect(
      problem { () throws(TensorEncodingError) in
        _ = try TensorEncoder.encode(values: [1], shape: [1, 2], format: q8)
      } == .valueCount(found: 1, expected: 2))
    #expect(
      problem { () throws(TensorEncodingError) in
        _ = try TensorEncoder.decode(bytes: [0], shape: [1, 2], format: q8)
      } == .byteCount(found: 1, expected: 640))
    #expect(
      problem { () throws(TensorEncodingError) in
        let statistics = try CalibrationStatistics(inputs: 1, importance: [1])
        _ = try TensorEncoder.encode(
          values: [1, 2], shape: [1, 2], format: q8, statistics: statistics)
      } == .statisticsInputs(found: 1, expected: "2"))
    // 2^46 rows of q4 have fewer than 2^63 bytes and more than 2^63 values... or either overflows.
    let q4 = TensorFormat(scheme: .q4, layout: .panels)
    for outputs in [1 << 46, 1 << 47, 1 << 48] {
      #expect(
        problem { () throws(TensorEncodingError) in
          _ = try TensorEncoder.encode(values: [], shape: [outputs, 65_536], format: q4)
        } != nil)
    }
    #expect(
      TensorEncodingError(problem: .byteCount(found: 1, expected: 640)).description
        == "found 1 bytes, expected 640")
    #expect(TensorEncodingError(problem: .byteCount(found: 1, expected: 2)).exitStatus == .badData)
  }

  @Test("an empty tensor has no bytes, however vast its other extents")
  func emptyTensor() throws {
    let shape = [1 << 40, 0, 1 << 40]
    let format = TensorFormat(scheme: .f16)
    let (bytes, error) = try TensorEncoder.encode(values: [], shape: shape, format: format)
    #expect(bytes.isEmpty)
    #expect(error == QuantizationError())
    #expect(try TensorEncoder.decode(bytes: [], shape: shape, format: format).isEmpty)
  }
}
