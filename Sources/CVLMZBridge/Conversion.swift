import CVLMZ
import VLMFoundation
import VLMZ
import VLMZConverter

/// `vlmz_convert` of vlmz_convert.h.
@_cdecl("vlmz_convert")
public func vlmzConvert(
  _ checkpoint: UnsafePointer<CChar>?, _ output: UnsafePointer<CChar>?,
  _ options: UnsafePointer<vlmz_conversion_options>?, _ callback: vlmz_conversion_callback?,
  _ user: UnsafeMutableRawPointer?, _ report: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> vlmz_status {
  report?.pointee = nil
  return call {
    let given = try structure(
      options, "options", initial: vlmz_conversion_options(), older: [olderSize])
    let output = try fileName(output)
    let converter = try Converter(
      opening: try fileName(checkpoint), options: try conversionOptions(given))
    let made = try converter.convert(to: output) { progress in
      guard let callback else { return }
      let isEnough = progress.tensor.withCString { tensor in
        var seen = vlmz_conversion_progress(
          bytes: UInt64(clamping: progress.byteCount),
          total_bytes: UInt64(clamping: progress.totalByteCount),
          calibrated: progress.calibratedFraction, tensor: tensor)
        return callback(&seen, user) != 0
      }
      if isEnough { converter.cancel() }
    }
    if let report { report.pointee = try Block.text(made.describe()) }
  }
}

private func conversionOptions(
  _ given: vlmz_conversion_options
) throws -> Converter.Options {
  var options = Converter.Options()
  if let name = try optionalText(given.scheme, "scheme") {
    options.scheme = try WeightScheme(named: name)
  }
  options.tensorSchemes = try texts(
    given.tensor_schemes, given.tensor_scheme_count, "tensor schemes"
  ).map(tensorScheme)
  options.calibration = try calibration(given)
  options.budget = try budget(given)
  options.planFile = try optionalFileName(given.plan)
  if let name = try optionalText(given.scores, "scores") {
    options.scores = try choice(name, "scores")
  }
  options.headActivation = try optionalText(given.head_activation, "head activation")
  options.verifiesChecksums = given.accepts_wrong_checksums == 0
  options.labelsFile = try optionalFileName(given.labels)
  options.preprocessor = try optionalFileName(given.preprocessor)
  options.state = try optionalText(given.state, "state")
  options.visionTower = try optionalFileName(given.vision_tower)
  options.visionTowerSlow = try optionalFileName(given.vision_tower_slow)
  options.modelBase = try optionalFileName(given.model_base)
  options.mmproj = try optionalFileName(given.mmproj)
  options.ignoresUnexpectedTensors = given.ignores_unexpected != 0
  options.overwrites = given.overwrites != 0
  options.resumes = given.resumes != 0
  options.threads = nonzero(given.threads)
  return options
}

/// What the structure had in version 2, whose end was padded.
private let olderSize = MemoryLayout<vlmz_conversion_options>.offset(of: \.maximum_bytes)

/// What the file may take, or the model lose; nil for a scheme.
///
/// - Throws: `.invalidArgument` where several things say how matrices are stored.
private func budget(_ given: vlmz_conversion_options) throws -> Converter.Budget? {
  let stated = [
    ("scheme", given.scheme != nil), ("bits per weight", given.bits_per_weight != 0),
    ("maximum of bytes", given.maximum_bytes != 0), ("maximum loss", given.maximum_loss != 0),
    ("plan", given.plan != nil),
  ].filter(\.1).map(\.0)
  guard stated.count <= 1 else {
    throw invalid("scheme", found: stated.joined(separator: " and "), expected: "one of them")
  }
  if given.bits_per_weight != 0 { return .bitsPerWeight(given.bits_per_weight) }
  if given.maximum_bytes != 0 { return .size(bytes: Int(clamping: given.maximum_bytes)) }
  return given.maximum_loss == 0 ? nil : .loss(given.maximum_loss)
}

/// The value of that name.
private func choice<T: RawRepresentable & CaseIterable>(
  _ name: String, _ argument: String
) throws -> T where T.RawValue == String {
  guard let value = T(rawValue: name) else {
    throw invalid(
      argument, found: "'\(name.escapedForDisplay(limit: 60))'",
      expected: "one of " + T.allCases.map(\.rawValue).joined(separator: ", "))
  }
  return value
}

/// What the model is run on first; nil for nothing.
private func calibration(
  _ given: vlmz_conversion_options
) throws -> Converter.Calibration? {
  let paths = try elements(given.calibration, given.calibration_count, "calibration")
    .map(fileName)
  let statistics = try optionalFileName(given.statistics)
  let usesOwnData = given.calibrates_on_own_data != 0
  let effort: Converter.Effort? = try optionalText(given.effort, "effort").map {
    try choice($0, "effort")
  }
  guard !paths.isEmpty || statistics != nil || usesOwnData else {
    guard effort == nil else {
      throw invalid("effort", found: "no calibration", expected: "one")
    }
    guard given.calibration_tokens == 0 else {
      throw invalid("calibration tokens", found: "no calibration", expected: "one")
    }
    return nil
  }
  var calibration = Converter.Calibration(
    on: paths, usesOwnData: usesOwnData, statisticsFile: statistics)
  if let count = nonzero(given.calibration_tokens) { calibration.tokenCount = count }
  if let effort { calibration.effort = effort }
  return calibration
}

/// "PATTERN=SCHEME".
private func tensorScheme(_ text: String) throws -> Converter.Options.TensorScheme {
  guard let split = text.lastIndex(of: "=") else {
    throw invalid(
      "tensor schemes", found: "'\(text.prefix(60))'", expected: "PATTERN=SCHEME")
  }
  return .init(
    String(text[..<split]), try WeightScheme(named: String(text[text.index(after: split)...])))
}

/// The name of a file; NULL means none.
private func optionalFileName(_ path: UnsafePointer<CChar>?) throws -> String? {
  path == nil ? nil : try fileName(path)
}
