import VLMConversion
import VLMFoundation
import VLMTensor

/// Keeps how far a calibration is, so that a later one of the same goes on behind the last stage that
/// was done.
final class CalibrationKeeper {
  private let path: String
  private let request: JSONValue
  private let note: (String) -> Void
  /// What an earlier calibration of the same left; nil without one.
  let found: CalibrationCheckpoint?
  /// Digests of the groups that are written.
  var groups: [String: String] = [:]
  /// What the language model reads.
  var sequences: [TokenSequence] = []
  /// Pictures that were left out.
  var leftOut = 0

  /// - Parameters:
  ///   - statistics: where the statistics will be.
  ///   - request: what decides them; another's progress is not gone on with.
  init(statistics: String, request: JSONValue, note: @escaping (String) -> Void) {
    path = Self.path(statistics: statistics)
    self.request = request
    self.note = note
    let found = CalibrationCheckpoint.read(path)
    self.found = found?.request == request ? found : nil
  }

  /// Where the progress of statistics is kept.
  static func path(statistics: String) -> String { statistics + ".progress" }

  /// - Returns: how many stages are done.
  func start(
    _ writer: StatisticsWriter, _ stages: [(part: any CalibrationPart, index: Int)]
  ) throws -> Int {
    if let found, found.head == writer.headDigest, found.stages <= stages.count,
      try writer.holds(found.groups)
    {
      // Behind the last stage there is nothing left to start from.
      let next = found.stages < stages.count ? stages[found.stages] : nil
      let isTaken = try found.withStates { states in
        try next.map { try $0.part.restore(states, before: $0.index) } ?? true
      }
      if isTaken {
        groups = found.groups
        note("calibration goes on: \(found.stages) of \(stages.count) stages are done")
        return found.stages
      }
    }
    try writer.restart()
    return 0
  }

  func keep(_ writer: StatisticsWriter, stages: Int, states: [MatrixView]) throws {
    try writer.sync()
    try CalibrationCheckpoint.write(
      to: path, request: request, head: writer.headDigest, stages: stages, groups: groups,
      sequences: sequences, leftOut: leftOut, states: states)
  }

  /// Nothing is left to go on with.
  func end() { CalibrationCheckpoint.remove(path) }
}
