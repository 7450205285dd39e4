import CVLMKernels

#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

/// What encoding did to a tensor: sums over its values w and the values v that a reader decodes.
///
/// Values that were not finite, and finite ones that became infinite, are counted and left out of
/// the sums. Merging is floating-point addition: merge parts in their order in the tensor to get
/// the same bits whatever the number of threads.
package struct QuantizationError: Sendable, Equatable {
  /// All values, those left out of the sums included.
  package private(set) var elementCount = 0
  /// Values that were NaN or infinite. `q3` to `q8` encode them as 0; the others keep them.
  package private(set) var notFiniteCount = 0
  /// Finite values that are infinite in the stored precision.
  package private(set) var overflowCount = 0
  /// Σ (w − v)²
  package private(set) var sumSquaredError = 0.0
  /// Σ w²
  package private(set) var sumSquaredValue = 0.0
  /// Σ v²
  package private(set) var sumSquaredDecoded = 0.0
  /// Σ w·v
  package private(set) var dotProduct = 0.0
  /// max |w − v|
  package private(set) var maxAbsError = 0.0

  package init() {}

  init(_ stats: vlm_encode_stats) {
    elementCount = Int(stats.count)
    notFiniteCount = Int(stats.not_finite)
    overflowCount = Int(stats.overflowed)
    sumSquaredError = stats.sum_squared_error
    sumSquaredValue = stats.sum_squared_value
    sumSquaredDecoded = stats.sum_squared_decoded
    dotProduct = stats.dot
    maxAbsError = stats.max_abs_error
  }

  /// The statistics of `values` against `decoded`, in order. The counts must be equal.
  package init(values: [Float], decoded: [Float]) {
    precondition(values.count == decoded.count, "one decoded value for each value")
    var stats = vlm_encode_stats()
    vlm_encode_compare(values.count, values, decoded, &stats)
    self.init(stats)
  }

  /// The statistics of `count` values and what is decoded for them, in order.
  package init(
    count: Int, values: UnsafePointer<Float>, decoded: UnsafePointer<Float>
  ) {
    var stats = vlm_encode_stats()
    vlm_encode_compare(count, values, decoded, &stats)
    self.init(stats)
  }

  /// All of it, bit for bit, as `init(bits:)` takes it.
  package var bits: [UInt64] {
    let counts = [elementCount, notFiniteCount, overflowCount].map { UInt64($0) }
    let sums = [
      sumSquaredError, sumSquaredValue, sumSquaredDecoded, dotProduct, maxAbsError,
    ]
    return counts + sums.map(\.bitPattern)
  }

  /// The inverse of `bits`; nil when these are no statistics.
  package init?(bits: [UInt64]) {
    guard bits.count == 8, bits[0] <= UInt64(Int.max), bits[1] <= bits[0], bits[2] <= bits[0],
      bits[3...].allSatisfy({ Double(bitPattern: $0).isFinite })
    else { return nil }
    elementCount = Int(bits[0])
    notFiniteCount = Int(bits[1])
    overflowCount = Int(bits[2])
    sumSquaredError = Double(bitPattern: bits[3])
    sumSquaredValue = Double(bitPattern: bits[4])
    sumSquaredDecoded = Double(bitPattern: bits[5])
    dotProduct = Double(bitPattern: bits[6])
    maxAbsError = Double(bitPattern: bits[7])
  }

  /// Adds what comes after this part of the tensor.
  package mutating func merge(_ next: QuantizationError) {
    elementCount += next.elementCount
    notFiniteCount += next.notFiniteCount
    overflowCount += next.overflowCount
    sumSquaredError += next.sumSquaredError
    sumSquaredValue += next.sumSquaredValue
    sumSquaredDecoded += next.sumSquaredDecoded
    dotProduct += next.dotProduct
    maxAbsError = max(maxAbsError, next.maxAbsError)
  }

  /// √(Σ(w − v)² / Σw²); 0 when nothing was lost, infinite when all values were 0 and v was not.
  package var relativeRootMeanSquareError: Double {
    sumSquaredError == 0 ? 0 : (sumSquaredError / sumSquaredValue).squareRoot()
  }

  /// Σw·v / √(Σw² · Σv²); 1 when both are all zeros, 0 when one of them is.
  package var cosine: Double {
    if sumSquaredValue == 0, sumSquaredDecoded == 0 { return 1 }
    if sumSquaredValue == 0 || sumSquaredDecoded == 0 { return 0 }
    // Roots first: the product of the sums could leave the range.
    return dotProduct / sumSquaredValue.squareRoot() / sumSquaredDecoded.squareRoot()
  }
}
