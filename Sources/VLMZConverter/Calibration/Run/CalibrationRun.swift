import VLMConversion
import VLMFoundation
import VLMTensor

/// Runs the parts of a model over calibration data and writes the statistics of their products.
///
/// Which matrices share an input is found out first, by a run on little. Then every stage of every
/// part is run, as often as its Hessians need to fit in `budget`, and what is gathered is written and
/// let go before the next.
struct CalibrationRun {
  let parts: [any CalibrationPart]
  let collector: StatisticsCollector
  /// What is to be known of the input of each matrix.
  let wanted: [String: InputStatistics.Detail]
  /// Bytes that Hessians may take at a time. One alone may take more.
  let budget: Int
  /// Of the model, for errors.
  let path: String
  /// Keeps how far it is; nil for a calibration that nobody goes on with.
  var keeper: CalibrationKeeper?

  /// A quarter of the memory that is planned with, 2 GB at most.
  static var defaultBudget: Int { min(2 << 30, Machine.memory.planned / 4) }

  /// A stage with its groups.
  private struct Stage {
    let part: any CalibrationPart
    let index: Int
    let groups: [StatisticsGroup]
    /// Places of the groups whose Hessians each run gathers; the first run gathers all moments.
    let passes: [[Int]]
  }

  /// - Parameters:
  ///   - write: is given the groups, and makes what takes their statistics.
  ///   - progress: called with steps done, of all, and what runs.
  func run(
    cancelled: CancellationFlag?, makeWriter: ([StatisticsGroup]) throws -> StatisticsWriter,
    progress: (Int, Int, String) -> Void
  ) throws -> StatisticsWriter {
    let stages = try probe(cancelled)
    let writer = try makeWriter(stages.flatMap(\.groups))
    let total = stages.reduce(0) { $0 + $1.passes.count * $1.part.stepCount }
    let first = try keeper.map { try $0.start(writer, stages.map { ($0.part, $0.index) }) } ?? 0
    var done = stages[..<first].reduce(0) { $0 + $1.passes.count * $1.part.stepCount }
    for (number, stage) in stages.enumerated().dropFirst(first) {
      for (pass, hessians) in stage.passes.enumerated() {
        begin(stage, pass: pass, hessians)
        try stage.part.run(stage: stage.index, isLast: pass == stage.passes.count - 1) {
          if cancelled?.isCancelled ?? false { throw WorkCancelled() }
          progress(done, total, stage.part.name)
          done += 1
        }
        try write(collector.end(), stage, to: writer)
      }
      try keeper?.keep(writer, stages: number + 1, states: stage.part.states)
    }
    progress(total, total, "")
    return writer
  }

  /// Finds out which products there are.
  private func probe(_ cancelled: CancellationFlag?) throws -> [Stage] {
    var stages: [Stage] = []
    for part in parts {
      for index in 0..<part.stageCount {
        if cancelled?.isCancelled ?? false { throw WorkCancelled() }
        collector.begin { _ in .moments }
        try part.probe(stage: index)
        let groups = collector.end().compactMap { group -> StatisticsGroup? in
          let detail = group.tensors.compactMap { wanted[$0] }.max() ?? .none
          guard detail > .none else { return nil }
          return StatisticsGroup(
            tensors: group.tensors, inputs: group.statistics.inputs,
            hasHessian: detail == .hessian)
        }
        stages.append(Stage(part: part, index: index, groups: groups, passes: passes(groups)))
      }
    }
    return stages
  }

  /// Divides the groups with Hessians into runs, each within the budget.
  func passes(_ groups: [StatisticsGroup]) -> [[Int]] {
    var passes: [[Int]] = [[]]
    var left = budget
    for (index, group) in groups.enumerated() where group.hasHessian {
      let bytes = GramMatrix.byteCount(inputs: group.inputs)
      if bytes > left, passes[passes.count - 1].isEmpty == false {
        passes.append([])
        left = budget
      }
      passes[passes.count - 1].append(index)
      left -= bytes
    }
    return passes
  }

  private func begin(_ stage: Stage, pass: Int, _ hessians: [Int]) {
    var details: [String: InputStatistics.Detail] = [:]
    for (index, group) in stage.groups.enumerated() {
      let detail: InputStatistics.Detail =
        hessians.contains(index) ? .hessian : pass == 0 && !group.hasHessian ? .moments : .none
      for tensor in group.tensors { details[tensor] = detail }
    }
    collector.begin { [details] in details[$0] ?? .none }
  }

  private func write(
    _ found: [StatisticsCollector.Group], _ stage: Stage, to writer: StatisticsWriter
  ) throws {
    for group in found {
      let statistics = group.statistics
      guard statistics.notFiniteCount == 0 else {
        throw CalibrationError(
          path: path,
          .notFinite(tensor: group.tensors.first ?? "", count: statistics.notFiniteCount))
      }
      guard let planned = stage.groups.first(where: { $0.tensors == group.tensors }) else {
        continue
      }
      let digest = try writer.write(planned, statistics)
      keeper?.groups[planned.name] = digest
    }
  }
}
