import ArgumentParser
import VLMFoundation
import VLMZConverter

/// What the weights are rounded for.
struct CalibrationOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Run the model on this first and round the weights for it: a picture, a folder of them, a "
        + "text, or conversations in JSON Lines; 'self' for what the model makes itself. Repeatable.",
      valueName: "path"))
  var calibrate: [String] = []

  @Option(
    help: ArgumentHelp(
      "Tokens to calibrate on; of pictures one for every 64. Default: 8192; with --effort best 32768.",
      valueName: "n"))
  var calibrationTokens: Int?

  @Option(
    help: ArgumentHelp(
      "Where the statistics of a calibration are kept: written, or used where the file is there.",
      valueName: "file"))
  var statistics: String?

  /// What stands for the model's own data. A file of that name is `./self`.
  private static let own = "self"

  var isAsked: Bool { !calibrate.isEmpty || statistics != nil }

  func validate() throws {
    guard let tokens = calibrationTokens else { return }
    guard !calibrate.isEmpty else {
      throw ValidationError("--calibration-tokens needs --calibrate")
    }
    let range = Converter.Calibration.tokenCounts
    guard range.contains(tokens) else {
      throw ValidationError(
        "--calibration-tokens: found '\(tokens)', expected \(range.lowerBound) to "
          + "\(range.upperBound)")
    }
  }

  /// The options as a value; nil without any.
  func calibration(_ effort: Converter.Effort?) throws -> Converter.Calibration? {
    guard isAsked else {
      guard effort == nil else { throw ValidationError("--effort needs --calibrate") }
      return nil
    }
    var calibration = Converter.Calibration(
      on: calibrate.filter { $0 != Self.own }, usesOwnData: calibrate.contains(Self.own),
      statisticsFile: statistics)
    if let effort { calibration.effort = effort }
    if effort == .best { calibration.tokenCount = 32768 }
    if let calibrationTokens { calibration.tokenCount = calibrationTokens }
    return calibration
  }

  /// Notes the files, so that no output replaces one.
  func noteInputs() {
    for path in calibrate where path != Self.own { InputFiles.add(path: path) }
  }
}
