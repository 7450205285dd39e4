import CVLMKernels
import VLMFoundation

@testable import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

extension SplitMix64 {
  /// Uniform in (0, 1).
  mutating func uniform() -> Double { (Double(next() >> 12) + 0.5) * 0x1p-52 }

  /// Normal with mean 0 and variance 1, by Box and Muller.
  mutating func gaussian() -> Double {
    (-2 * log(uniform())).squareRoot() * cos(2 * Double.pi * uniform())
  }
}

enum Distribution: String, CaseIterable, Sendable {
  case gaussian, laplace, studentT5 = "t with 5 degrees of freedom", uniform

  func values(_ count: Int, seed: UInt64) -> [Float] {
    var generator = SplitMix64(seed: seed)
    return (0..<count).map { _ in
      switch self {
      case .gaussian: return Float(generator.gaussian())
      case .laplace:
        let sign: Double = generator.next() & 1 == 0 ? -1 : 1
        return Float(sign * log(generator.uniform()))
      case .studentT5:
        let chi = (0..<5).reduce(0.0) { sum, _ in
          let value = generator.gaussian()
          return sum + value * value
        }
        return Float(generator.gaussian() / (chi / 5).squareRoot())
      case .uniform: return Float(2 * generator.uniform() - 1)
      }
    }
  }
}

/// Encodes one panel with the functions of one instruction set; nil where it cannot run.
func encodePanel(
  _ rows: [Float], rowCount: Int, inputs: Int, scheme: Scheme, importance: [Float]? = nil,
  isa: vlm_isa? = nil
) -> (bytes: [UInt8], error: QuantizationError)? {
  guard let encoder = isa.map(vlm_encoder_for) ?? vlm_encoder_best(),
    let byteCount = TensorFormat(scheme: scheme, layout: .panels).panelByteCount(inputs: inputs)
  else { return nil }
  // Not zeros, so that a byte left unwritten shows.
  var bytes = [UInt8](repeating: 0xA5, count: byteCount)
  let error = bytes.withUnsafeMutableBytes { buffer in
    let statistics = importance.flatMap {
      try? CalibrationStatistics(inputs: inputs, importance: $0)
    }
    return PanelEncoder.encode(
      rows: rows, rowCount: rowCount, rowStride: inputs, inputs: inputs, scheme: scheme,
      statistics: statistics, into: buffer.baseAddress!, with: encoder)
  }
  return (bytes, error)
}

func decodePanel(_ bytes: [UInt8], rowCount: Int, inputs: Int, scheme: Scheme) -> [Float] {
  var rows = [Float](repeating: .nan, count: rowCount * inputs)
  bytes.withUnsafeBytes { buffer in
    PanelEncoder.decode(
      panel: buffer.baseAddress!, scheme: scheme, inputs: inputs, rowCount: rowCount, into: &rows,
      rowStride: inputs)
  }
  return rows
}
