import VLMConversion
import VLMFoundation
import VLMTensor

/// Keeps how far a calibration is, so that a later one of the same goes on behind the last stage that
/// was done.
final class CalibrationKeeper {
  private let path: String
  private let request: JSONValue
  let note: (String) -> Void
  /// What an earlier calibration of the same left; nil without one.
  let found: CalibrationCheckpoint?
  /// Digests of the groups that are written.
  var groups: [String: String] = [:]
  /// What the language model reads.
  var sequences: [TokenSequence] = []
  /// Pictures that were left out.
  var leftOut = 0
  /// `found`, where its statistics are gone on with.
  private(set) var taken: CalibrationCheckpoint?
  /// The file of statistics that is written, and its stages that are done.
  private var (head, stages) = ("", 0)

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
    head = writer.headDigest
    if let found, found.head == head, found.stages <= stages.count,
      try writer.holds(found.groups)
    {
      // Behind the last stage there is nothing left to start from.
      let next = found.stages < stages.count ? stages[found.stages] : nil
      let isTaken =
        try next.map { next in
          try found.withStates { try next.part.restore($0, before: next.index) }
        } ?? true
      if isTaken {
        (groups, self.stages, taken) = (found.groups, found.stages, found)
        note("calibration goes on: \(found.stages) of \(stages.count) stages are done")
        return found.stages
      }
    }
    try writer.restart()
    return 0
  }

  /// Keeps what the language model reads, which may have been written for long.
  func keepSequences() throws { try write(states: []) }

  func keep(_ writer: StatisticsWriter, stages: Int, states: [MatrixView]) throws {
    try writer.sync()
    self.stages = stages
    try write(states: states)
  }

  /// Keeps what matrices cost, behind the last stage of the statistics.
  func keep(_ sensitivities: SensitivityProgress, states: [MatrixView]) throws {
    try write(sensitivities, states: states)
  }

  private func write(
    _ sensitivities: SensitivityProgress? = nil, states: [MatrixView]
  ) throws {
    try CalibrationCheckpoint.write(
      to: path, request: request, head: head, stages: stages, groups: groups,
      sequences: sequences, leftOut: leftOut, sensitivities: sensitivities, states: states)
  }

  /// Nothing is left to go on with.
  func end() { CalibrationCheckpoint.remove(path) }
}
