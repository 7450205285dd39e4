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
  struct Amount: Equatable {
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
  /// Keeps how far it is; nil for a calibration that nobody goes on with.
  var keeper: CalibrationKeeper?

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
    let parts = self.parts.compactMap { $0 as? any ReplaceablePart }
    let total = statistics.groups.reduce(0) { $0 + $1.tensors.count }
    var (known, isEntered) = try start(parts, total)
    var done = known.count
    func step() throws {
      if cancelled?.isCancelled ?? false { throw WorkCancelled() }
      progress(done, total, "finding out what matrices cost")
      done += 1
    }
    while known.part < parts.count {
      let part = parts[known.part]
      defer { part.endComparing() }
      while known.stage < part.stageCount {
        if !isEntered {
          try part.enter(stage: known.stage, amount)
          if known.stage > 0 { try keep(&known, part) }
        }
        isEntered = false
        try run(part, &known, step)
        known.stage += 1
      }
      for (name, values) in known.uncorrected {
        guard let group = statistics.groups.first(where: { $0.name == name }) else { continue }
        known.values[name] = zip(group.tensors, values).map { $1 * part.correction(of: $0) }
      }
      (known.part, known.stage, known.uncorrected) = (known.part + 1, 0, [:])
      part.endComparing()
      try keep(&known, part)
    }
    progress(total, total, "")
    return statistics.groups.compactMap { group in
      known.values[group.name].map { (group, $0) }
    }
  }

  /// Where an earlier run was, its states restored to the part that is under way.
  ///
  /// - Returns: isEntered: whether the stage under way need not be entered.
  private func start(
    _ parts: [any ReplaceablePart], _ total: Int
  ) throws -> (known: SensitivityProgress, isEntered: Bool) {
    let none = (SensitivityProgress(amount), false)
    guard let found = keeper?.taken, let known = found.sensitivities, known.amount == amount,
      known.part <= parts.count
    else { return none }
    for (name, values) in Array(known.values) + Array(known.uncorrected) {
      let group = statistics.groups.first { $0.name == name }
      guard group?.tensors.count == values.count else { return none }
    }
    if known.part < parts.count {
      let (part, stage) = (parts[known.part], known.stage)
      guard stage < part.stageCount,
        found.withStates({ part.restore(known.streams, $0, comparingAt: stage, amount) })
      else { return none }
    }
    keeper?.note("calibration goes on: \(known.count) of \(total) matrices are weighed")
    return (known, known.stage > 0)
  }

  private func keep(_ known: inout SensitivityProgress, _ part: any ReplaceablePart) throws {
    guard let keeper else { return }
    let (streams, states) = part.statesToCompare
    known.streams = streams
    try keeper.keep(known, states: states)
  }

  /// Weighs the matrices of the stage that is under way.
  private func run(
    _ part: any ReplaceablePart, _ known: inout SensitivityProgress, _ step: () throws -> Void
  ) throws {
    collector.begin { _ in .moments }
    try part.probe(stage: known.stage)
    let groups = collector.end().compactMap { group in
      statistics.groups.first { $0.tensors == group.tensors }
    }.filter { known.uncorrected[$0.name] == nil }
    guard part.comparesTogether || !groups.isEmpty else { return }
    try part.beginComparing(stage: known.stage, amount)
    var together: [Tensor] = []
    for group in groups {
      let metric = try statistics.metric(of: group)
      let encoding = try encoding(of: group)
      var values: [Double] = []
      for name in group.tensors {
        try step()
        guard let rounded = try rounded(name, in: group, encoding) else {
          values.append(0)
          continue
        }
        values.append(try sensitivity(of: rounded, part, known.stage, metric))
        if part.comparesTogether { together.append(rounded.tensor) }
      }
      known.uncorrected[group.name] = values
      // What was replaced together is in no state.
      if !part.comparesTogether { try keep(&known, part) }
    }
    if !together.isEmpty {
      try part.loseTogether(stage: known.stage, with: model(replacing: together))
    }
  }

  /// A matrix, rounded.
  private struct Rounded {
    let exact: Tensor
    let tensor: Tensor
    /// One panel of so many is rounded.
    let step: Int
  }

  private func rounded(
    _ name: String, in group: StatisticsGroup, _ encoding: CalibrationStatistics?
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
      to: Self.scheme, isTable ? try importance(of: group) : encoding, every: step,
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
  private func encoding(of group: StatisticsGroup) throws -> CalibrationStatistics? {
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
