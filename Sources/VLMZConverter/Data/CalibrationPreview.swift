import VLMConversion
import VLMFoundation
import VLMText

/// What a calibration would be on, before anything is run.
package struct CalibrationPreview {
  /// "3 pictures and 1 text, 4096 tokens of text".
  package let summary: String
  /// What would be left out, and why.
  package let defects: [any ReportableError]
}

extension Converter {
  /// Looks at the data to calibrate on: reads the texts, and decodes the pictures that would be chosen.
  ///
  /// - Returns: nil without data.
  /// - Throws: `CalibrationError` and `FileError`, as the calibration would.
  package func calibrationPreview() throws -> CalibrationPreview? {
    guard let calibration = options.calibration,
      calibration.usesOwnData || !calibration.paths.isEmpty
    else { return nil }
    let data = try CalibrationData(paths: calibration.paths)
    if !calibration.usesOwnData {
      try data.requireKinds(of: source.description, path: source.catalog.path)
    }
    let check = PictureCheck(tell: { _ in }) {
      try $0.open().readRows(alpha: false) { _, _, _ in }
    }
    let pictures = data.pictures + data.dialogues.flatMap(\.pictures)
    for picture in pictures.evenly(max(1, calibration.tokenCount / 64)) {
      _ = try check.isUsable(picture)
    }
    try check.requireMost()
    var summary = data.summary
    if let tokens = try textTokens(of: data, atMost: calibration.tokenCount) {
      summary += ", \(counted(tokens, "token")) of text"
    }
    if calibration.usesOwnData {
      summary = calibration.paths.isEmpty ? "what it makes itself" : summary + ", and its own"
    }
    return CalibrationPreview(summary: summary, defects: data.defects + check.defects)
  }

  /// Tokens of the texts that would be read; nil for a model that reads none, or without texts.
  private func textTokens(of data: CalibrationData, atMost count: Int) throws -> Int? {
    guard source.description.language != nil, !data.texts.isEmpty,
      let bytes = source.sections[.tokenizer]
    else { return nil }
    let tokenizer = try Tokenizer(container: bytes, file: source.catalog.path)
    return try TextWindows.windows(
      of: data.texts, tokenizer, count: count, length: LanguageData.window,
      bos: tokenizer.addsBOS ? tokenizer.bos : nil
    ).reduce(0) { $0 + $1.count }
  }
}
