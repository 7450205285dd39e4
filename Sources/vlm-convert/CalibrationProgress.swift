import VLMCommandLine

/// The progress of a calibration, one line for each thing that it does.
final class CalibrationProgress {
  private let quiet: Bool
  private var line: Progress?
  private var running = ""

  init(quiet: Bool) { self.quiet = quiet }

  /// - Parameter what: what runs; empty at the end.
  func update(_ done: Int, of total: Int, _ what: String) {
    if what != running || line == nil {
      line?.finish()
      line =
        what.isEmpty
        ? nil : Progress("calibrating: \(what)", total: total, unit: .items, quiet: quiet)
      running = what
    }
    line?.update(done)
  }
}
