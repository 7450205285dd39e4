import ArgumentParser
import VLMCommandLine
import VLMConversion
import VLMFoundation
import VLMZConverter

extension Converter.Effort: ExpressibleByArgument {}

/// What a conversion may spend, in place of a scheme.
struct BudgetOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Choose the scheme of each matrix so that the whole file is at most this large: 3.5GB, 90MB, "
        + "700MiB.", valueName: "bytes"))
  var size: String?

  @Option(
    help: ArgumentHelp(
      "The same by bits per weight, as the report counts them: 4.25.", valueName: "bits"))
  var bits: String?

  @Option(
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

  /// How many of the options say how matrices are stored.
  var count: Int { [size, bits, loss, plan].filter { $0 != nil }.count }

  func validate() throws {
    guard count <= 1 else {
      throw ValidationError("expected one of --size, --bits, --loss and --plan")
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
    if let size { return .size(bytes: try Self.bytes(size)) }
    if let bits {
      let range = Converter.Budget.bits
      guard let value = Self.number(bits), range.contains(value) else {
        throw ValidationError(
          "--bits: found '\(bits.escapedForDisplay())', expected a number from "
            + "\(Int(range.lowerBound)) to \(Int(range.upperBound)), such as 4.25")
      }
      return .bitsPerWeight(value)
    }
    if let loss {
      guard let value = Self.number(loss), value > 0 else {
        throw ValidationError(
          "--loss: found '\(loss.escapedForDisplay())', expected a number above 0, such as 0.02")
      }
      return .loss(value)
    }
    return nil
  }

  private static let units: [String: Double] = [
    "B": 1, "": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 1024,
    "MiB": 1_048_576, "GiB": 1_073_741_824, "TiB": 1_099_511_627_776,
  ]

  /// "3.5GB", "700 MiB".
  static func bytes(_ text: String) throws -> Int {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = text.dropFirst(digits.count).drop { $0 == " " }
    guard let value = number(String(digits)), let factor = units[String(unit)],
      value * factor >= 1, value * factor < 1e18
    else {
      throw ValidationError(
        "--size: found '\(text.escapedForDisplay())', expected a number and a unit, such as 3.5GB, "
          + "90MB or 700MiB")
    }
    return Int(value * factor)
  }

  /// A decimal number without a sign before it: 0.02, 2e-2.
  private static func number(_ text: String) -> Double? {
    let others = Array(".eE-".utf8)
    guard text.utf8.count <= 24, text.utf8.first.map({ $0 != others[3] }) ?? false,
      text.utf8.allSatisfy({ (48...57).contains($0) || others.contains($0) }),
      let value = Double(text), value.isFinite
    else { return nil }
    return value
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
