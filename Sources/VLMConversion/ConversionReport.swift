import VLMFoundation
import VLMTensor

/// What a conversion cost, tensor by tensor.
package struct ConversionReport: Sendable {
  package static let toolVersion = productVersion

  package struct Entry: Sendable {
    package let name: String
    package let scheme: Scheme
    package let shape: [Int]
    package let byteCount: Int
    package let error: QuantizationError
    package let reason: Note?
  }

  /// How matrices are stored, in a word.
  package let label: String
  /// What the conversion was calibrated on.
  package let calibration: JSONValue?
  /// Kinds of matrices whose inputs were rescaled.
  package let rescaled: [String]
  /// What a budget was spent on; nil without one.
  package var spending: Spending?
  package private(set) var entries: [Entry] = []
  /// Bytes of the finished file.
  package var fileByteCount = 0

  init(
    label: String, calibration: JSONValue? = nil, rescaled: [String] = [],
    spending: Spending? = nil
  ) {
    self.label = label
    self.calibration = calibration
    self.rescaled = rescaled
    self.spending = spending
  }

  mutating func add(_ item: ConversionPlan.Item, _ error: QuantizationError) {
    entries.append(
      Entry(
        name: item.spec.path, scheme: item.format.scheme, shape: item.spec.shape,
        byteCount: item.byteCount, error: error, reason: item.reason))
  }

  package var parameterCount: Int { entries.reduce(0) { $0 + $1.error.elementCount } }
  package var tensorByteCount: Int { entries.reduce(0) { $0 + $1.byteCount } }

  /// Stored bits per parameter, everything counted that a tensor needs.
  package var bitsPerWeight: Double {
    parameterCount == 0 ? 0 : Double(tensorByteCount * 8) / Double(parameterCount)
  }

  /// Tensors that lost something, the one with the largest relative RMS error first.
  package var worst: [Entry] {
    entries.filter { $0.error.relativeRootMeanSquareError > 0 }
      .sorted {
        ($1.error.relativeRootMeanSquareError, $0.name)
          < ($0.error.relativeRootMeanSquareError, $1.name)
      }
  }

  /// Tensors, parameters and bytes of each scheme.
  package var schemes: [(scheme: Scheme, tensors: Int, parameters: Int, bytes: Int)] {
    Scheme.allCases.compactMap { scheme in
      let matching = entries.filter { $0.scheme == scheme }
      guard !matching.isEmpty else { return nil }
      return (
        scheme, matching.count, matching.reduce(0) { $0 + $1.error.elementCount },
        matching.reduce(0) { $0 + $1.byteCount }
      )
    }
  }

  /// The container's `report` section, which has a library's words.
  package func json(in words: Wording = .library) -> JSONValue {
    var report = JSONObject()
    report.set("scheme", .string(label))
    report.set("bits_per_weight", .double((bitsPerWeight * 1000).rounded() / 1000))
    if let calibration { report.set("calibration", calibration) }
    if !rescaled.isEmpty { report.set("rescaled", .array(rescaled.map { .string($0) })) }
    if let spending { report.set("budget", spending.json) }
    report.set(
      "tensors",
      .array(
        entries.filter { !$0.scheme.isExact }.map { entry in
          var object = JSONObject()
          object.set("name", .string(entry.name))
          object.set("scheme", .string(entry.scheme.name))
          object.set("relative_rmse", Self.rounded(entry.error.relativeRootMeanSquareError))
          object.set("max_abs_error", Self.rounded(entry.error.maxAbsError))
          object.set("cosine", Self.rounded(entry.error.cosine))
          if let reason = entry.reason {
            object.set("reason", .string(reason.description(in: words)))
          }
          return .object(object)
        }))
    return .object(report)
  }

  /// Seven digits: the sums behind are exact to more, but no reader needs them.
  static func rounded(_ value: Double) -> JSONValue {
    guard value != 0, value.isFinite else { return .double(value) }
    var scale = 1.0
    var size = abs(value)
    while size < 1e6 {
      size *= 10
      scale *= 10
    }
    return .double((value * scale).rounded() / scale)
  }
}
