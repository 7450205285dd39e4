import VLMContainer
import VLMConversion
import VLMFoundation
import VLMModels
import VLMTensor
import VLMZ

/// Finds out what a model loses by errors in each of its matrices: runs it on a little of the data
/// with one matrix at a time rounded to few bits, and divides what that costs by the relative error
/// of the matrix's products.
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
  private static let samplePanels = 8
  /// Of a matrix of twice as many outputs half are rounded, and so on up to a quarter.
  private static let (fewestOutputs, mostPart) = (512, 4)
  /// Outputs for each input from which a matrix counts as a table of a vocabulary.
  private static let tableShape = 8

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
      let first = found.count
      for stage in 0..<part.stageCount {
        if cancelled?.isCancelled ?? false { throw WorkCancelled() }
        collector.begin { _ in .moments }
        try part.probe(stage: stage)
        let groups = collector.end().compactMap { group in
          statistics.groups.first { $0.tensors == group.tensors }
        }
        try part.beginComparing(stage: stage, amount)
        var together: [Tensor] = []
        for group in groups {
          let metric = try statistics.metric(of: group)
          let known = try known(of: group)
          var values: [Double] = []
          for name in group.tensors {
            if cancelled?.isCancelled ?? false { throw WorkCancelled() }
            progress(done, total, "finding out what matrices cost")
            done += 1
            guard let rounded = try rounded(name, in: group, known) else {
              values.append(0)
              continue
            }
            values.append(try sensitivity(of: rounded, part, stage, metric))
            if part.comparesTogether { together.append(rounded.tensor) }
          }
          found.append((group, values))
        }
        if !together.isEmpty {
          try part.loseTogether(stage: stage, with: model(replacing: together))
        }
      }
      for place in first..<found.count {
        let (group, values) = found[place]
        found[place].values = zip(group.tensors, values).map { name, value in
          value * part.correction(of: name)
        }
      }
    }
    progress(total, total, "")
    return found
  }

  /// A matrix, rounded.
  private struct Rounded {
    let exact: Tensor
    let tensor: Tensor
    /// One panel of so many is rounded.
    let step: Int
  }

  private func rounded(
    _ name: String, in group: StatisticsGroup, _ known: CalibrationStatistics?
  ) throws -> Rounded? {
    guard let entry = container.tensor(named: name) else { return nil }
    let tensor = Tensor(
      name: entry.name, shape: entry.shape, format: entry.format, file: container.file,
      range: entry.range)
    guard let (outputs, inputs) = tensor.format.matrixShape(tensor.shape) else { return nil }
    // Of many outputs some show as much, and take less time.
    let isTable = outputs > Self.tableShape * inputs
    let step = isTable ? 1 : min(Self.mostPart, max(1, outputs / Self.fewestOutputs))
    let rounded = tensor.rounded(
      to: Self.scheme, isTable ? try importance(of: group) : known, every: step,
      kernels: kernels, pool: pool)
    return Rounded(exact: tensor, tensor: rounded, step: step)
  }

  private func sensitivity(
    of rounded: Rounded, _ part: any ReplaceablePart, _ stage: Int, _ metric: ProductMetric
  ) throws -> Double {
    let tensor = rounded.exact
    let outputs = tensor.format.matrixShape(tensor.shape)?.outputs ?? 0
    let error =
      tensor.relativeError(
        of: rounded.tensor, metric, samples: samples(outputs: outputs, every: rounded.step),
        kernels: kernels) / Double(rounded.step)
    guard error > 0 else { return 0 }
    let loss = try part.loss(stage: stage, with: model(replacing: [rounded.tensor]))
    let value = loss / error
    return value.isFinite ? max(0, value) : 0
  }

  private func model(replacing tensors: [Tensor]) -> ReplacedModel {
    ReplacedModel(
      container: container, description: description, kernels: kernels, pool: pool,
      replacements: tensors)
  }

  /// What the encoder goes by that the conversion uses: with the errors that it will leave, a few
  /// huge inputs weigh as much as they will.
  private func known(of group: StatisticsGroup) throws -> CalibrationStatistics? {
    try statistics.statistics(
      of: group.name, inputs: group.inputs, for: Self.scheme, kernels: kernels, pool: pool)
  }

  /// The importance alone, for tables whose many outputs would take long.
  private func importance(of group: StatisticsGroup) throws -> CalibrationStatistics {
    let (rows, _, squares) = statistics.moments(of: group)
    return try CalibrationStatistics(
      inputs: group.inputs, importance: squares.map { Float($0 / rows) })
  }

  /// Some of the panels that are rounded, in the middle of equal parts.
  private func samples(outputs: Int, every step: Int) -> [Range<Int>] {
    let width = TensorFormat.panelOutputs
    let panels = (outputs + width - 1) / width
    let rounded = (0..<panels).filter { $0 % step == step / 2 }
    let count = min(rounded.count, Self.samplePanels)
    return (0..<count).map { index in
      let panel = rounded[(2 * index + 1) * rounded.count / (2 * count)]
      return panel * width..<min(outputs, (panel + 1) * width)
    }
  }
}
