import VLMConversion
import VLMFoundation
import VLMTensor

/// One conversion, planned within the budget where there is one.
struct BudgetedRun {
  let converter: Converter
  let statistics: StatisticsFile?
  let output: String
  let cancelled: CancellationFlag?

  /// The conversion with the mixture that the budget allows.
  func planned(
    note: (String) -> Void, calibrating: (Int, Int, String) -> Void
  ) throws -> Conversion {
    guard let budget = converter.budget else { return converter.conversion }
    return try planner(budget, note: note, calibrating: calibrating).plan(budget)
  }

  /// Writes the container.
  func write(
    note: (String) -> Void, calibrating: (Int, Int, String) -> Void,
    progress: (Converter.Progress) -> Void
  ) throws -> ConversionReport {
    let options = converter.options
    guard let budget = converter.budget else {
      return try run(converter.conversion, options.overwrites, note, progress)
    }
    let planner = try planner(budget, note: note, calibrating: calibrating)
    var report = try run(try planner.plan(budget), options.overwrites, note, progress)
    if case .size(let limit) = budget {
      // What other sections take is known when they are compressed.
      var excess = 0
      while report.fileByteCount > limit {
        excess += report.fileByteCount - limit
        report = try run(try planner.plan(budget, excess: excess), true, note, progress)
      }
    }
    return report
  }

  private func planner(
    _ budget: VLMConversion.Budget, note: (String) -> Void,
    calibrating: (Int, Int, String) -> Void
  ) throws -> BudgetPlanner {
    if let statistics {
      if !statistics.hasSensitivities, converter.options.calibration?.effort != .fast {
        note(
          "the statistics do not say what the model loses by each matrix: constants for their roles "
            + "are taken; statistics gathered anew do better")
      }
    } else {
      note(
        "without calibration the schemes are chosen by the errors of weights: calibrated, a model of "
          + "the same size loses less")
    }
    let planner = try BudgetPlanner(
      converter.conversion.unrestricted, statistics,
      withHalves: converter.conversion.exceedsBytes(budget), cancelled: cancelled
    ) { done, total in
      calibrating(done, total, "weighing matrices")
    }
    calibrating(1, 1, "")
    return planner
  }

  private func run(
    _ conversion: Conversion, _ overwrites: Bool, _ note: (String) -> Void,
    _ progress: (Converter.Progress) -> Void
  ) throws -> ConversionReport {
    try conversion.run(
      to: output, overwrite: overwrites, resume: converter.options.resumes,
      statistics: statistics, cancelled: cancelled, note: note
    ) { done, total, tensor in
      progress(
        Converter.Progress(
          byteCount: done, totalByteCount: total, tensor: tensor, calibratedFraction: 1))
    }
  }
}
