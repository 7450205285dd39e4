import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// Data as the parts of a model take them.
struct PreparedData {
  private(set) var parts: [any CalibrationPart] = []
  /// Pictures that are seen.
  private(set) var pictureCount = 0
  /// Windows of text, conversations or captions.
  private(set) var textCount = 0
  /// Positions that language models read; ids of captions.
  private(set) var tokenCount = 0

  /// - Parameter model: the one that is observed.
  /// - Throws: `CalibrationError` for data of other kinds than the model takes.
  init(
    _ model: Model, _ data: CalibrationData, _ options: Converter.Calibration,
    _ threads: CalibrationThreads, kernels: KernelSet, _ events: Calibrator.Events
  ) throws {
    if let language = model.language {
      let source = try LanguageData(
        model, language, sightPool: threads.towers, cancelled: events.cancelled)
      let sequences = try source.sequences(
        data, count: options.tokenCount, usesOwn: options.usesOwnData
      ) { events.progress(min($0, options.tokenCount), options.tokenCount, "writing") }
      let pictures = sequences.flatMap(\.pictures)
      if !pictures.isEmpty { parts.append(SightPart(language, pictures, pool: threads.towers)) }
      parts.append(
        LanguagePart(
          language, sequences, pool: threads.layers, sightPool: threads.towers, kernels: kernels))
      pictureCount = pictures.count
      textCount = sequences.count
      tokenCount = sequences.reduce(0) { $0 + source.positions($1) }
      return
    }
    let pictures = try Self.pictures(model, data, options)
    let session = try Session(
      of: model, options: .init(threads: threads.towers.threadCount))
    parts.append(VisionPart(session, pictures))
    pictureCount = pictures.count
    guard let clip = session.clip else { return }
    let captions = try Self.captions(model, data, options)
    let length = clip.text.config.contextLength
    guard let tokenizer = try model.vision?.tokenizer() else {
      throw GenerationError(file: model.path, .noTokenizer)
    }
    let ids = try captions.map { try tokenizer.encodePadded($0, length: length) }
    parts.append(CaptionPart(session, ids))
    textCount = ids.count
    tokenCount = ids.reduce(0) { $0 + $1.count }
  }

  /// What an image model looks at, evenly chosen.
  private static func pictures(
    _ model: Model, _ data: CalibrationData, _ options: Converter.Calibration
  ) throws -> [CalibrationData.Picture] {
    let given = data.pictures + data.dialogues.flatMap(\.pictures)
    let count = max(1, options.tokenCount / Calibrator.tokensPerPicture)
    guard given.isEmpty else { return given.evenly(count) }
    guard options.usesOwnData else {
      throw CalibrationError(path: model.path, .lacks("pictures", given: data.summary))
    }
    return (0..<count).map { .drawn($0) }
  }

  /// What a text tower reads: lines of texts, and what was said.
  private static func captions(
    _ model: Model, _ data: CalibrationData, _ options: Converter.Calibration
  ) throws -> [String] {
    let lines = data.texts.flatMap { $0.split(whereSeparator: \.isNewline).map(String.init) }
    let said = data.dialogues.flatMap { $0.turns.compactMap(\.text) }
      .map { $0.split(separator: ImagePrompt.marker).joined(separator: " ") }
    let given = (lines + said).filter { text in
      text.unicodeScalars.contains { !$0.properties.isWhitespace }
    }
    guard given.isEmpty else {
      return given.evenly(max(1, options.tokenCount / 16))
    }
    guard options.usesOwnData else {
      throw CalibrationError(
        path: model.path, .lacks("texts, such as captions", given: data.summary))
    }
    return OwnTexts.captions
  }
}

extension Array {
  /// At most `count` of the elements, evenly spaced.
  func evenly(_ count: Int) -> [Element] {
    guard self.count > count else { return self }
    return (0..<count).map { self[$0 * self.count / count] }
  }
}
