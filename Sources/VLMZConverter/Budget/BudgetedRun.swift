import VLMContainer
import VLMConversion
import VLMFoundation
import VLMTensor

/// One conversion, planned within the budget where there is one.
struct BudgetedRun {
  let converter: Converter
  let statistics: StatisticsFile?
  /// Measures what is lost, where data are held back.
  let meter: LossMeter?
  let output: String
  let cancelled: CancellationFlag?

  /// The conversion with the mixture that the budget allows.
  func planned(
    note: (String) -> Void, calibrating: (Int, Int, String) -> Void
  ) throws -> Conversion {
    guard let budget = converter.budget else { return converter.conversion }
    return try planner(budget, note: note, calibrating: calibrating).plan(budget, losses: known)
  }

  /// What earlier conversions by the same statistics were found to lose.
  private var known: MeasuredLosses { statistics?.losses ?? MeasuredLosses() }

  /// Writes the container.
  func write(
    note: (String) -> Void, calibrating: (Int, Int, String) -> Void,
    progress: (Converter.Progress) -> Void
  ) throws -> ConversionReport {
    let overwrites = converter.options.overwrites
    guard let budget = converter.budget else {
      return try run(converter.conversion, to: output, overwrites, note, progress)
    }
    let planner = try planner(budget, note: note, calibrating: calibrating)
    if case .loss(let wanted) = budget, let meter {
      return try write(
        losing: wanted, planner, meter, note: note, calibrating: calibrating, progress: progress)
    }
    var planned = try planner.plan(budget, losses: known)
    for remark in planned.notes { note(remark.description) }
    var report = try run(planned, to: output, overwrites, note, progress)
    if case .size(let limit, _) = budget {
      // What other sections take is known when they are compressed.
      var excess = 0
      while report.fileByteCount > limit {
        excess += report.fileByteCount - limit
        let next = try planner.plan(budget, losses: known, excess: excess)
        // What is no smaller would be written for nothing.
        guard next.plan.byteCount < planned.plan.byteCount else { continue }
        planned = next
        report = try run(planned, to: output, true, note, progress)
      }
    }
    if let meter {
      keep(report.spending?.measure(try loss(of: output, meter, calibrating)))
    } else if case .loss = budget {
      note(
        "the loss that was asked for was not measured: "
          + (known.isEmpty
            ? "the model may lose several times as much; "
            : "it is expected by what other sizes have lost; ")
          + "what is lost is measured with data to calibrate on, 8 texts of 512 tokens, "
          + "conversations or pictures or more, of which some are held back")
    } else if let statistics, statistics.provenance["held_back"]?.intValue ?? 0 > 0,
      converter.options.calibration?.paths.isEmpty ?? true
    {
      note(
        "what is lost is not measured: the statistics alone are given, and it is measured on data "
          + "that were held back from them; calibrate on the same data and these statistics")
    } else if statistics != nil {
      note(
        "what is lost is not measured, as no data are held back for it: calibrate on 8 texts of 512 "
          + "tokens, conversations or pictures of yours, or more")
    }
    return report
  }

  /// Keeps what is known of losses beside the statistics that they were expected by.
  private func keep(_ losses: MeasuredLosses?) {
    // Expectations by constants are others than those by what was found out.
    guard let losses, let statistics, converter.options.calibration?.statisticsFile != nil,
      statistics.hasSensitivities, converter.options.calibration?.effort != .fast
    else { return }
    statistics.keep(losses)
  }

  /// Where what is tried for a loss lies.
  static func attempt(beside output: String) -> String { output + ".attempt" }

  /// - Returns: whether a container lies there, which a killed process left: it is replaced.
  /// - Throws: `FileError` where anything else does.
  @discardableResult
  static func checkAttempt(beside output: String) throws -> Bool {
    let path = attempt(beside: output)
    let isLeft = (try? Container.open(path: path, isInput: false)) != nil
    try OutputFile.check(path, overwrite: isLeft)
    return isLeft
  }

  /// Writes the smallest container that loses at most `wanted` on data that are held back. What is
  /// tried on the way lies beside the output, and only the last goes to its place.
  private func write(
    losing wanted: Double, _ planner: BudgetPlanner, _ meter: LossMeter, note: (String) -> Void,
    calibrating: (Int, Int, String) -> Void, progress: (Converter.Progress) -> Void
  ) throws -> ConversionReport {
    let options = converter.options
    let budget = VLMConversion.Budget.loss(wanted)
    let attempted = Self.attempt(beside: output)
    let isLeft = try Self.checkAttempt(beside: output)
    var losses = known
    // Where none was measured the first is a try.
    var planned = try planner.nearest(budget, losses: losses)
    for remark in planned.notes { note(remark.description) }
    var report = try run(planned, to: attempted, isLeft, note, progress)
    OutputFile.hold(attempted)
    defer { OutputFile.discard(attempted) }
    var measured = 0.0
    // The one with the largest loss that keeps to the budget.
    var best: (planned: Conversion, loss: Double)?
    for attempt in 1... {
      measured = try loss(of: attempted, meter, calibrating)
      if let found = report.spending?.measure(measured) { losses = found }
      keep(losses)
      if measured <= wanted, measured >= best?.loss ?? 0 { best = (planned, measured) }
      guard attempt < Self.mostConversions, measured > 0,
        measured > wanted || measured < Self.closeEnough * wanted
      else { break }
      // The estimate errs by much the same factor nearby.
      let corrected = try planner.nearest(budget, losses: losses, aim: Self.aim)
      guard corrected.plan != planned.plan else { break }
      planned = corrected
      report = try run(planned, to: attempted, true, note, progress)
      OutputFile.hold(attempted)
    }
    if measured > wanted, let best {
      report = try run(best.planned, to: attempted, true, note, progress)
      OutputFile.hold(attempted)
      measured = best.loss
      report.spending?.measure(measured)
    }
    try OutputFile.move(attempted, to: output, overwrite: options.overwrites)
    if measured > wanted {
      note(
        "the model loses \(significant(measured)) on data that were held back, more than the "
          + "\(significant(wanted)) that were asked for")
    }
    return report
  }

  /// Conversions for a loss, at most.
  private static let mostConversions = 3
  /// A measured loss of so much of the one that was asked for is as good as that.
  private static let closeEnough = 0.85
  /// Part of the loss that is aimed at, between these, since what is measured errs both ways.
  private static let aim = 0.92

  /// What the container that was written loses on data that were held back.
  private func loss(
    of path: String, _ meter: LossMeter, _ calibrating: (Int, Int, String) -> Void
  ) throws -> Double {
    let loss = try withoutActuallyEscaping(calibrating) { calibrating in
      let container = try Container.open(path: path, isInput: false)
      return try meter.loss(of: container, cancelled: cancelled) { done, total, _ in
        calibrating(done, total, "measuring what is lost")
      }
    }
    calibrating(1, 1, "")
    return loss
  }

  private func planner(
    _ budget: VLMConversion.Budget, note: (String) -> Void,
    calibrating: (Int, Int, String) -> Void
  ) throws -> BudgetPlanner {
    if let statistics {
      if !statistics.hasSensitivities, converter.options.calibration?.effort != .fast {
        note(
          converter.options.calibration?.statisticsFile == nil
            ? "no error in a matrix shows in what the model says of these data: constants for the "
              + "roles of matrices are taken"
            : "the statistics do not say what the model loses by each matrix: constants for their "
              + "roles are taken; remove the file and calibrate again to do better")
      }
    } else if converter.options.calibration != nil {
      note(
        "planned by the errors of weights: what matrices cost the model is found out when it is "
          + "calibrated, and the schemes may then be others")
    } else {
      note(
        "without calibration the schemes are chosen by the errors of weights: calibrate, on data or on "
          + "the model's own, and a model of the same size loses less")
    }
    let rescaled = try converter.conversion.unrestricted.rescaled(by: statistics)
    let planner = try BudgetPlanner(
      rescaled.conversion, rescaled.statistics,
      withHalves: converter.conversion.exceedsBytes(budget), cancelled: cancelled
    ) { done, total in
      calibrating(done, total, "weighing matrices")
    }
    calibrating(1, 1, "")
    return planner
  }

  private func run(
    _ conversion: Conversion, to path: String, _ overwrites: Bool, _ note: (String) -> Void,
    _ progress: (Converter.Progress) -> Void
  ) throws -> ConversionReport {
    // By the schemes that were chosen, so that a plan of them does the same.
    let rescaled = try conversion.rescaled(by: statistics)
    return try rescaled.conversion.run(
      to: path, overwrite: overwrites, resume: converter.options.resumes,
      statistics: rescaled.statistics, cancelled: cancelled, note: note
    ) { done, total, tensor in
      progress(
        Converter.Progress(
          byteCount: done, totalByteCount: total, tensor: tensor, calibratedFraction: 1))
    }
  }
}
