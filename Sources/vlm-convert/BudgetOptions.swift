import ArgumentParser
import VLMCommandLine
import VLMConversion
import VLMFoundation
import VLMZConverter

extension Converter.Effort: ExpressibleByArgument {}

/// What a conversion may spend, in place of a scheme.
struct BudgetOptions: ParsableArguments {
  // Unconditionally: of "-5" is told that it is below zero, not that the value is missing.
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Choose the scheme of each matrix so that the whole file is at most this large: 3.5GB, 90MB, "
        + "700MiB.", valueName: "bytes"))
  var size: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The same by bits per weight, as the report counts them: 4.25.", valueName: "bits"))
  var bits: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The same, as small as possible, by what the model may lose: divergence in nats of one that "
        + "writes or names classes, else one less the cosine of embeddings. Needs --calibrate or "
        + "--statistics.",
      valueName: "loss"))
  var loss: String?

  @Option(
    help: ArgumentHelp(
      "Take the schemes of this file: the JSON of a report or of --dry-run, or a .vlmz.",
      valueName: "file"))
  var plan: String?

  @Option(
    help: ArgumentHelp(
      "Draw the predicted loss over the size here, with the mixture that was chosen: .svg or .json.",
      valueName: "file"))
  var curve: String?

  @Option(
    help: ArgumentHelp(
      "How much work a calibration is: fast, normal, or best, which takes four times the data.",
      valueName: "effort"))
  var effort: Converter.Effort?

  /// Those of the options that were given and say how matrices are stored.
  var given: [String] {
    [("--size", size), ("--bits", bits), ("--loss", loss), ("--plan", plan)].compactMap {
      $1 == nil ? nil : $0
    }
  }

  func validate() throws {
    guard given.count <= 1 else {
      throw ValidationError(
        "found \(given.joined(separator: " and ")), expected one of them: each says how matrices "
          + "are stored")
    }
    _ = try budget()
    guard let curve else { return }
    guard curve.hasSuffix(".svg") || curve.hasSuffix(".json") else {
      throw ValidationError(
        "--curve: found '\(curve.escapedForDisplay())', expected a name that ends in .svg or .json")
    }
  }

  /// The budget as a value; nil without one.
  func budget() throws -> Converter.Budget? {
    if let size { return .size(bytes: try ByteSize.parse(size, option: "--size")) }
    if let bits {
      let range = Converter.Budget.bits
      guard let value = ByteSize.number(bits), range.contains(value) else {
        throw ValidationError(
          "--bits: found '\(bits.escapedForDisplay())', expected a number from "
            + "\(Int(range.lowerBound)) to \(Int(range.upperBound)), with a point, such as 4.25")
      }
      return .bitsPerWeight(value)
    }
    if let loss {
      guard let value = ByteSize.number(loss), value > 0 else {
        throw ValidationError(
          "--loss: found '\(loss.escapedForDisplay())', expected a number above 0, such as 0.02")
      }
      return .loss(value)
    }
    return nil
  }

  /// Writes the curve, where it was asked for.
  func draw(_ spending: Spending?, overwrite: Bool) throws {
    guard let curve, let spending else { return }
    let text =
      curve.hasSuffix(".svg")
      ? CurveDrawing(spending).svg : spending.curveJSON.serialized(pretty: true) + "\n"
    let file = try OutputFile(path: curve, overwrite: overwrite)
    try file.write(Array(text.utf8))
    try file.commit()
  }
}
