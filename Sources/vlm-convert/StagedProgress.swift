import VLMCommandLine

/// The progress of work in stages, one line for each of them.
final class StagedProgress {
  private let quiet: Bool
  private var line: Progress?
  private var running = ""

  init(quiet: Bool) { self.quiet = quiet }

  /// - Parameter stage: what runs.
  func update(_ done: Int, of total: Int, _ stage: String) {
    if stage != running || line == nil {
      finish()
      line = Progress(stage, total: total, unit: .items, quiet: quiet)
      running = stage
    }
    line?.update(done)
  }

  /// Clears the line, so that another can be printed.
  func finish() {
    line?.finish()
    line = nil
  }
}
