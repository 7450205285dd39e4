import VLMModels
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// How inputs of matrices are made more alike before the matrices are rounded: each element is divided
/// by a power of its root mean square, by dividing what makes it, and the columns of the matrices are
/// multiplied by the same (Xiao et al., 2022, "SmoothQuant"; Lin et al., 2023, "AWQ"). It costs nothing
/// at run time, and the model computes the same until it is rounded.
package struct Rescaling: Sendable, Equatable {
  /// What the values of a tensor are multiplied by.
  struct Factors: Sendable, Equatable {
    /// For each index of axis 0; nil: 1.
    var rows: [Float]?
    /// For each place within a row; nil: 1.
    var columns: [Float]?
  }

  /// Of tensors by name; others stay as they are.
  private(set) var factors: [String: Factors] = [:]
  /// What each element of an input is divided by, for each matrix that multiplies it.
  private(set) var divisors: [String: [Float]] = [:]

  package init() {}

  /// The matrices whose inputs are divided, by kind.
  package var kinds: [String] { Set(divisors.keys.map { Spending.kind(of: $0) }).sorted() }

  /// The exponent of the root mean square: what is taken from the errors of activations is added to
  /// those of weights. Measured on the divergence; docs/quantization.md.
  private static let power = 0.3
  /// Divisors are at most this, and at least its inverse: what is hardly ever other than 0 says little.
  private static let largest = 16.0

  /// For the matrices of a conversion that will have codes.
  ///
  /// - Parameter statistics: where the root mean squares are found.
  init(_ conversion: Conversion, _ statistics: StatisticsFile) throws {
    for input in try Self.inputs(of: conversion) {
      guard let first = input.matrices.first, let group = statistics.group(of: first) else {
        continue
      }
      let (rows, _, squares) = statistics.moments(of: group)
      guard let divisors = Self.divisors(squares.map { $0 / rows }) else { continue }
      for matrix in input.matrices {
        factors[matrix, default: Factors()].columns = divisors
        self.divisors[matrix] = divisors
      }
      for maker in input.makers {
        factors[maker, default: Factors()].rows = divisors.map { 1 / $0 }
      }
    }
  }

  /// The same matrices before there are statistics, to say what will be named: it divides nothing.
  init(announcedFor conversion: Conversion) throws {
    for input in try Self.inputs(of: conversion) {
      for matrix in input.matrices { divisors[matrix] = [] }
    }
  }

  /// Inputs whose matrices get codes, and whose makers can take what they are divided by.
  private static func inputs(of conversion: Conversion) throws -> [ScalableInput] {
    var schemes: [String: Scheme] = [:]
    for item in conversion.plan.items { schemes[item.spec.path] = item.format.scheme }
    return try conversion.source.description.scalableInputs.filter { input in
      guard input.matrices.allSatisfy({ (schemes[$0]?.codeBits ?? 32) <= 8 }),
        input.makers.allSatisfy({ schemes[$0] != nil })
      else { return false }
      return try (input.matrices + input.makers).allSatisfy {
        try !conversion.source.hasCodes($0)
      }
    }
  }

  /// Divisors whose geometric mean is about 1; nil where all are 1.
  ///
  /// - Parameter squares: the mean square of each element.
  static func divisors(_ squares: [Double]) -> [Float]? {
    let logarithms = squares.map { $0 > 0 ? log($0) / 2 : nil }
    let known = logarithms.compactMap { $0 }
    guard let first = known.first, known.contains(where: { $0 != first }) else { return nil }
    let mean = known.reduce(0, +) / Double(known.count)
    return logarithms.map { logarithm in
      let divisor = exp(power * ((logarithm ?? mean) - mean))
      return Float(min(max(divisor, 1 / largest), largest))
    }
  }
}

extension Conversion {
  /// The same conversion with the inputs of its matrices rescaled, and the statistics of what they are
  /// then; both as they are where nothing is known.
  package func rescaled(
    by statistics: StatisticsFile?
  ) throws -> (conversion: Conversion, statistics: StatisticsFile?) {
    guard let statistics else { return (self, nil) }
    var conversion = self
    conversion.rescaling = try Rescaling(self, statistics)
    return (conversion, statistics.divided(by: conversion.rescaling))
  }

  /// The checkpoint's tensor for our name `path`, rescaled.
  func tensor(_ path: String) throws(ConversionError) -> SourceTensor {
    try source.tensor(path).scaled(by: rescaling.factors[path])
  }
}

extension SourceModel {
  /// Whether the source is a container that has a tensor in codes, which are kept if they can be.
  fileprivate func hasCodes(_ path: String) throws -> Bool {
    (try tensor(path).container?.format.scheme.codeBits ?? 32) <= 8
  }
}
