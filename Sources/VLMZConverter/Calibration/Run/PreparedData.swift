import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// Data as the parts of a model take them.
struct PreparedData {
  private(set) var parts: [any CalibrationPart] = []
  /// Pictures that are seen and that somebody gave.
  private(set) var pictureCount = 0
  /// Windows of text, conversations or captions.
  private(set) var textCount = 0
  /// Positions that language models read; ids of captions.
  private(set) var tokenCount = 0
  /// Pictures that the program draws, alone or beside those that are given.
  private(set) var drawnCount = 0
  /// Windows, conversations, pictures and captions that the model is not calibrated on.
  var heldBackCount: Int {
    heldBack.sequences.count + heldBack.pictures.count + heldBack.captions.count
  }
  /// Pictures that cannot be used.
  private(set) var leftOutCount = 0
  /// All that a language model reads, what is held back too.
  private(set) var sequences: [TokenSequence] = []
  /// What the model is not calibrated on, to see afterwards what was lost.
  private(set) var heldBack = EvaluationItems()

  /// Of few pictures, or of pictures all alike, the model would get worse than without any: the
  /// positions of one picture are much the same. Drawn ones join them, so that there are at least so
  /// many, and in any case one for every four.
  private static let fewestPictures = 32

  /// Of a picture an image model sees so many tokens, in what `tokenCount` means for it; of a caption
  /// a text tower reads so many, about.
  private static let (tokensPerPicture, tokensPerCaption) = (64, 16)

  /// - Parameters:
  ///   - model: the one that is observed.
  ///   - data: of the kinds that it takes; its own fill in for those that are not there.
  ///   - written: what a language model reads, where that is made already.
  /// - Throws: `CalibrationError` for too few tokens, and what the model throws.
  init(
    _ model: Model, _ data: CalibrationData, _ options: Converter.Calibration,
    _ threads: CalibrationThreads, kernels: KernelSet, _ events: Calibrator.Events,
    _ keeper: CalibrationKeeper?, written: [TokenSequence]? = nil
  ) throws {
    if let language = model.language {
      let source = try LanguageData(
        model, language, sightPool: threads.towers, cancelled: events.cancelled,
        check: PictureCheck(tell: events.leftOut) {
          _ = try language.prepare($0)
        }, leftOut: events.leftOut)
      let kept = written ?? keeper?.found?.sequences ?? []
      self.sequences =
        try !kept.isEmpty
        ? kept
        : source.sequences(data, count: options.tokenCount) {
          events.progress(min($0, options.tokenCount), options.tokenCount, "writing")
        }
      keeper?.sequences = self.sequences
      let sequences = self.sequences.notHeldBack
      heldBack.sequences = self.sequences.heldBack.compactMap(\.judged)
      let pictures = sequences.flatMap(\.pictures)
      if !pictures.isEmpty {
        let drawn = Self.joining(pictures)
        parts.append(SightPart(language, pictures + drawn, pool: threads.towers))
        count(pictures + drawn)
      }
      leftOutCount = keeper?.found?.leftOut ?? source.check.defects.count
      keeper?.leftOut = leftOutCount
      if kept.isEmpty { try keeper?.keepSequences() }
      textCount = sequences.count
      tokenCount = sequences.reduce(0) { $0 + source.positions($1) }
      parts.append(
        LanguagePart(
          language, sequences, positions: tokenCount, pool: threads.layers,
          sightPool: threads.towers, kernels: kernels))
      return
    }
    let session = try Session(
      of: model, options: .init(threads: threads.towers.threadCount))
    let check = PictureCheck(tell: events.leftOut) {
      _ = try session.preprocessing.apply($0.open(), name: $0.name)
    }
    let given = try Self.pictures(data, options).filter { try check.isUsable($0) }
    try check.requireMost()
    leftOutCount = check.defects.count
    heldBack.pictures = given.heldBack
    let drawn = Self.joining(given.notHeldBack)
    let pictures = given.notHeldBack + drawn
    count(pictures)
    parts.append(VisionPart(session, pictures))
    guard let reader = try model.textReader() else { return }
    let captions = Self.captions(data, options)
    let ids = try captions.map { try reader.ids(of: $0) }
    heldBack.captions = ids.heldBack
    parts.append(CaptionPart(session, ids.notHeldBack))
    textCount = ids.notHeldBack.count
    tokenCount = ids.notHeldBack.reduce(0) { $0 + $1.count }
  }

  /// Counts what is seen: what people gave, and what the program draws.
  private mutating func count(_ pictures: [CalibrationData.Picture]) {
    drawnCount = pictures.count { if case .drawn = $0 { true } else { false } }
    pictureCount = pictures.count - drawnCount
  }

  /// What joins pictures that are given.
  private static func joining(
    _ given: [CalibrationData.Picture]
  ) -> [CalibrationData.Picture] {
    let files = given.count { if case .file = $0 { true } else { false } }
    guard files > 0 else { return [] }
    return (0..<max(fewestPictures - files, (files + 3) / 4)).map { .drawn($0) }
  }

  /// What an image model looks at, evenly chosen.
  private static func pictures(
    _ data: CalibrationData, _ options: Converter.Calibration
  ) -> [CalibrationData.Picture] {
    let given = data.pictures + data.dialogues.flatMap(\.pictures)
    let count = max(1, options.tokenCount / tokensPerPicture)
    return given.isEmpty ? (0..<count).map { .drawn($0) } : given.evenly(count)
  }

  /// What a text tower reads.
  private static func captions(
    _ data: CalibrationData, _ options: Converter.Calibration
  ) -> [String] {
    let given = lines(of: data)
    return given.isEmpty
      ? OwnTexts.captions : given.evenly(max(1, options.tokenCount / tokensPerCaption))
  }

  /// Lines of texts, and what was said, as captions.
  static func lines(of data: CalibrationData) -> [String] {
    let lines = data.texts.flatMap { $0.split(whereSeparator: \.isNewline).map(String.init) }
    let said = data.dialogues.flatMap { $0.turns.compactMap(\.text) }
      .map { text in
        text.parts(between: ImagePrompt.marker).filter { !$0.isEmpty }.joined(separator: " ")
      }
    return (lines + said).filter { text in
      text.unicodeScalars.contains { !$0.properties.isWhitespace }
    }
  }
}

extension Array {
  /// At most `count` of the elements, evenly spaced.
  func evenly(_ count: Int) -> [Element] {
    guard self.count > count else { return self }
    return (0..<count).map { self[$0 * self.count / count] }
  }
}
