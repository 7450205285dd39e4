import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMZ

/// One run of a model over all items. What it makes of each is handed on, so that memory does not grow
/// with their number.
struct ModelPass {
  let model: Model
  let items: EvaluationItems
  /// How pictures are prepared; nil for what the model's own file says.
  let preprocessing: Preprocessing?
  let cancelled: CancellationFlag?
  /// Called with steps done, of all, and what runs.
  let progress: (Int, Int, String) -> Void

  /// - Throws: `WorkCancelled` once `cancelled` is, and what the model and the sink throw.
  func run(into sink: any OutputSink) throws {
    do {
      if let language = model.language {
        try LanguagePass(self, language).run(into: sink)
      } else {
        let session = try Session(of: model)
        try readCaptions(session, sink)
        try lookAtPictures(session, sink)
      }
    } catch let error as ModelError where error.problem == .cancelled { throw WorkCancelled() }
  }

  /// - Throws: `WorkCancelled` once the work is to end.
  func check() throws {
    if cancelled?.isCancelled ?? false { throw WorkCancelled() }
  }

  private func readCaptions(_ session: Session, _ sink: any OutputSink) throws {
    for (index, ids) in items.captions.enumerated() {
      try check()
      progress(index, items.captions.count, "texts")
      try sink.take(caption: index, session.embed(texts: [ids])[0])
    }
  }

  // MARK: - Pictures

  /// Pictures of one size, one after the other, are run as a batch.
  private func lookAtPictures(_ session: Session, _ sink: any OutputSink) throws {
    let steps = preprocessing ?? session.preprocessing
    var batch: [(index: Int, pixels: PixelTensor)] = []
    for (index, picture) in items.pictures.enumerated() where sink.wants(.picture(index)) {
      try check()
      progress(index, items.pictures.count, "pictures")
      let pixels: PixelTensor
      do throws(ImageError) {
        pixels = try steps.apply(picture.open(), name: picture.name)
      } catch {
        sink.skip(.picture(index), error)
        continue
      }
      if let first = batch.first?.pixels,
        first.height != pixels.height || first.width != pixels.width
      {
        try run(&batch, session, sink)
      }
      batch.append((index, pixels))
      if batch.count >= session.batchSize(height: pixels.height, width: pixels.width) {
        try run(&batch, session, sink)
      }
    }
    try run(&batch, session, sink)
  }

  private func run(
    _ batch: inout [(index: Int, pixels: PixelTensor)], _ session: Session, _ sink: any OutputSink
  ) throws {
    let full = batch
    batch = []
    guard !full.isEmpty else { return }
    let results: [Result<ImageVector, any Error>]
    do { results = try session.runEach(full.map(\.pixels), cancelled: cancelled) } catch let error
      as ModelError where error.isAboutPicture
    {
      // All of them have the size that the model does not take.
      for (index, _) in full { sink.skip(.picture(index), error.of(items.pictures[index])) }
      return
    }
    for (item, result) in zip(full, results) {
      do { try sink.take(picture: item.index, result.get()) } catch let error as ModelError {
        throw ModelError(file: error.file ?? model.path, error.problem)
      }
    }
  }
}

extension ModelError {
  /// Whether another picture might do.
  var isAboutPicture: Bool {
    if case .image = problem { return true }
    return false
  }

  /// The same with the picture's name.
  func of(_ picture: CalibrationData.Picture) -> ModelError {
    ModelError(file: picture.name, problem)
  }
}
