import Synchronization
import VLMFoundation
import VLMTensor

/// What is known of the rows that the matrices of one group will be multiplied by, made once for
/// all of them.
private struct GroupKnowledge {
  let name: String
  let statistics: CalibrationStatistics
  let metric: ProductMetric
  /// How much larger the errors are on other rows than on those that the codes were chosen for.
  let optimism: Double
}

/// Measures how much of its products a matrix would lose in each scheme, by encoding some of its
/// rows as a conversion does.
package struct SchemeErrors {
  private let conversion: Conversion
  private let statistics: StatisticsFile?
  private var known: GroupKnowledge?

  /// Panels of a matrix that are encoded: enough that their mean says something, and evenly spaced,
  /// since neighbours may belong to one head.
  private static let (fewestPanels, mostPanels) = (2, 6)
  private static let panelsPerSample = 8

  /// - Parameter statistics: of the conversion's model; nil to weigh all inputs the same.
  package init(_ conversion: Conversion, _ statistics: StatisticsFile?) {
    self.conversion = conversion
    self.statistics = statistics
  }

  /// The schemes that a matrix may have in a mixture: those of 8 bits or fewer, and those of 16 on
  /// demand.
  package static func schemes(withHalves: Bool) -> [Scheme] {
    Scheme.allCases.filter { $0.panels != nil && ($0.codeBits <= 8 || withHalves) }
  }

  /// Σ e M eᵀ / Σ w M wᵀ over sampled rows w of a matrix and their errors e, M the metric of its
  /// inputs: for each of `schemes`.
  ///
  /// - Throws: what reading the checkpoint and factoring the statistics throws.
  package mutating func measure(
    _ item: ConversionPlan.Item, _ schemes: [Scheme]
  ) throws -> [Double] {
    let tensor = try conversion.tensor(item.spec.path)
    let formats = schemes.map { item.spec.role.format(scheme: $0) }
    guard let first = formats.first, let (outputs, inputs) = first.matrixShape(item.spec.shape),
      outputs > 0, inputs > 0
    else { return schemes.map { _ in 0 } }
    let knowledge = try knowledge(of: item.spec.path, inputs: inputs)
    let metric = knowledge?.metric ?? .weights
    let sample = Self.sample(outputs: outputs)
    let kernels = conversion.kernels
    let outcome = Outcome(count: sample.count * (schemes.count + 1))
    let shape = item.spec.shape
    conversion.pool.forEach(count: sample.count * schemes.count) { part, _ in
      let (place, index) = (part / schemes.count, part % schemes.count)
      do {
        let rows = try Self.rows(sample[place], of: tensor, first, shape: shape, inputs: inputs)
        let weights = rows.matrix(rows: sample[place].count, columns: inputs)
        let own = index == 0 ? metric.sum(of: weights, kernels: kernels) : 0
        // What a container has in this scheme is copied.
        let isKept = tensor.container.map { $0.format == formats[index] } ?? false
        if !isKept {
          Self.replaceByErrors(
            weights, schemes[index], knowledge?.statistics, kernels: kernels)
        }
        let error = isKept ? 0 : metric.sum(of: weights, kernels: kernels)
        outcome.sums.withLock { found in
          if index == 0 { found[place * (schemes.count + 1)] = own }
          found[place * (schemes.count + 1) + 1 + index] = error
        }
      } catch {
        outcome.failure.withLock { $0 = $0 ?? error }
      }
    }
    if let error = outcome.failure.withLock({ $0 }) { throw error }
    let sums = outcome.sums.withLock { found in
      (0...schemes.count).map { index in
        sample.indices.reduce(0.0) { $0 + found[$1 * (schemes.count + 1) + index] }
      }
    }
    let optimism = knowledge?.optimism ?? 1
    return sums.dropFirst().map { sums[0] > 0 ? optimism * $0 / sums[0] : 0 }
  }

  /// What several threads find out.
  private final class Outcome: Sendable {
    let sums: Mutex<[Double]>
    let failure = Mutex<(any Error)?>(nil)

    init(count: Int) { sums = Mutex([Double](repeating: 0, count: count)) }
  }

  private mutating func knowledge(of tensor: String, inputs: Int) throws -> GroupKnowledge? {
    guard let statistics, let group = statistics.group(of: tensor) else { return nil }
    if let known, known.name == group.name { return known }
    known = nil
    // Of all that few bits make use of; what others do not, they take no notice of.
    let wanted = Scheme.allCases.max { $0.wantedDetail < $1.wantedDetail } ?? .q8
    guard
      let found = try statistics.statistics(
        of: tensor, inputs: inputs, for: wanted, kernels: conversion.kernels,
        pool: conversion.pool)
    else { return nil }
    let made = GroupKnowledge(
      name: group.name, statistics: found, metric: try statistics.metric(of: group),
      optimism: found.factor == nil ? 1 : optimism(of: group, statistics))
    known = made
    return made
  }

  /// Codes that make up for one another are fitted to the rows of the calibration, as coefficients
  /// of a regression are: of n inputs and r rows the errors on others are (r + n) / (r − n) times
  /// as large. The shrunk Hessian knows of a part of that. With 1,536 inputs and 8,192 rows, 34 was
  /// measured where the rows of the calibration have 22, and this makes 30 of it.
  private func optimism(of group: StatisticsGroup, _ statistics: StatisticsFile) -> Double {
    1 + 2 * min(1, Double(group.inputs) / statistics.moments(of: group).rows)
  }

  /// Rows of some panels in the middle of equal parts.
  static func sample(outputs: Int) -> [Range<Int>] {
    let width = TensorFormat.panelOutputs
    let panels = (outputs + width - 1) / width
    let count = min(panels, max(fewestPanels, min(mostPanels, panels / panelsPerSample)))
    return (0..<count).map { index in
      let panel = (2 * index + 1) * panels / (2 * count)
      return panel * width..<min(outputs, (panel + 1) * width)
    }
  }

  /// Rows of a matrix in the order in which it is stored, `[outputs.count, inputs]`.
  private static func rows(
    _ outputs: Range<Int>, of tensor: SourceTensor, _ format: TensorFormat, shape: [Int],
    inputs: Int
  ) throws -> Activations {
    let (read, stored) = (
      Activations(count: outputs.count * inputs), Activations(count: outputs.count * inputs)
    )
    let elements = outputs.lowerBound * inputs..<outputs.upperBound * inputs
    try read.withValues(elements.count) { values in
      try tensor.readFloats(elements, into: values)
      // As encoders take them: what is not finite is refused when it is converted.
      for place in values.indices where !values[place].isFinite { values[place] = 0 }
      guard format.order != .natural, let from = values.baseAddress else { return }
      stored.withValues(elements.count) { ordered in
        guard let to = ordered.baseAddress else { return }
        format.order.store(from, shape: shape, outputs: outputs, into: to)
      }
    }
    return format.order == .natural ? read : stored
  }

  /// Replaces up to 16 rows by what their encoding changes.
  private static func replaceByErrors(
    _ rows: MatrixView, _ scheme: Scheme, _ statistics: CalibrationStatistics?,
    kernels: KernelSet
  ) {
    let (count, inputs) = (rows.rows, rows.columns)
    guard let bytes = TensorFormat(scheme: scheme, layout: .panels).panelByteCount(inputs: inputs)
    else { return }
    let panel = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    defer { panel.deallocate() }
    let decoded = Activations(count: count * inputs)
    decoded.withValues(count * inputs) { values in
      guard let values = values.baseAddress else { return }
      rows.withRow(0) { first in
        guard let first = first.baseAddress else { return }
        _ = PanelEncoder.encode(
          rows: first, rowCount: count, rowStride: rows.stride, inputs: inputs, scheme: scheme,
          statistics: statistics, kernels: kernels, into: panel)
      }
      PanelEncoder.decode(
        panel: panel, scheme: scheme, inputs: inputs, rowCount: count, into: values,
        rowStride: inputs)
    }
    let restored = decoded.matrix(rows: count, columns: inputs)
    for row in 0..<count {
      for input in 0..<inputs { rows[row, input] -= restored[row, input] }
    }
  }
}
