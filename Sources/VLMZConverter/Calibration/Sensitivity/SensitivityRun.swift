import VLMContainer
import VLMConversion
import VLMFoundation
import VLMModels
import VLMTensor
import VLMZ

/// Finds out what a model loses by errors in each of its matrices: runs it on a little of the data with
/// one matrix at a time rounded to few bits, and divides what that costs by the relative error of the
/// matrix's products.
struct SensitivityRun {
  /// How much of the data is run for each matrix.
  struct Amount {
    /// Positions that a language model reads.
    let positions: Int
    /// Pictures and captions, of which a model may take fewer.
    let pictures: Int
  }

  let container: Container
  let description: ModelDescription
  let parts: [any CalibrationPart]
  let collector: StatisticsCollector
  /// Of the products of the same model.
  let statistics: StatisticsFile
  let kernels: KernelSet
  let pool: WorkerPool
  let amount: Amount

  /// What the matrices are rounded to: errors that show above all others, and are still small.
  private static let scheme = Scheme.q4
  private static let samplePanels = 6

  /// A group of matrices with what the model loses by a relative error of 1 in each; 0 where that
  /// cannot be told.
  typealias Found = (group: StatisticsGroup, values: [Double])

  func run(
    cancelled: CancellationFlag?, progress: (Int, Int, String) -> Void
  ) throws -> [Found] {
    var found: [Found] = []
    let total = statistics.groups.reduce(0) { $0 + $1.tensors.count }
    var done = 0
    for part in parts {
      guard let part = part as? any ReplaceablePart else { continue }
      defer { part.endComparing() }
      for stage in 0..<part.stageCount {
        if cancelled?.isCancelled ?? false { throw CancellationError() }
        collector.begin { _ in .moments }
        try part.probe(stage: stage)
        let groups = collector.end().compactMap { group in
          statistics.groups.first { $0.tensors == group.tensors }
        }
        try part.beginComparing(stage: stage, amount)
        for group in groups {
          let metric = statistics.metric(of: group)
          let known = try importance(of: group)
          var values: [Double] = []
          for name in group.tensors {
            if cancelled?.isCancelled ?? false { throw CancellationError() }
            progress(done, total, "finding out what matrices cost")
            done += 1
            values.append(try sensitivity(of: name, part, stage, known, metric))
          }
          found.append((group, values))
        }
      }
    }
    progress(total, total, "")
    return found
  }

  private func sensitivity(
    of name: String, _ part: any ReplaceablePart, _ stage: Int, _ known: CalibrationStatistics,
    _ metric: ProductMetric
  ) throws -> Double {
    guard let entry = container.tensor(named: name) else { return 0 }
    let tensor = Tensor(
      name: entry.name, shape: entry.shape, format: entry.format, file: container.file,
      range: entry.range)
    let rounded = tensor.rounded(to: Self.scheme, known, kernels: kernels, pool: pool)
    let error = tensor.relativeError(
      of: rounded, metric, samples: samples(of: tensor), kernels: kernels)
    guard error > 0 else { return 0 }
    let loss = try part.loss(
      stage: stage,
      with: ReplacedModel(
        container: container, description: description, kernels: kernels, pool: pool,
        replacement: rounded))
    let value = loss / error
    return value.isFinite ? max(0, value) : 0
  }

  /// Errors of the kind that calibration leaves: few where inputs are large.
  private func importance(of group: StatisticsGroup) throws -> CalibrationStatistics {
    let (rows, _, squares) = statistics.moments(of: group)
    return try CalibrationStatistics(
      inputs: group.inputs, importance: squares.map { Float($0 / rows) })
  }

  /// Panels in the middle of equal parts.
  private func samples(of tensor: Tensor) -> [Range<Int>] {
    let (outputs, _) = tensor.format.matrixShape(tensor.shape) ?? (0, 0)
    let width = TensorFormat.panelOutputs
    let panels = (outputs + width - 1) / width
    let count = min(panels, Self.samplePanels)
    return (0..<count).map { index in
      let panel = (2 * index + 1) * panels / (2 * count)
      return panel * width..<min(outputs, (panel + 1) * width)
    }
  }
}
