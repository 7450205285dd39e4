import VLMCheckpoint
import VLMCommandLine
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// One call of `vlm-run`: images in, results out, in the order given.
struct ImageRun {
  let session: Session
  let loader: ImageLoader
  let source: PictureSource
  let records: Records
  let top: Int
  let outputs: OutputFiles
  let quiet: Bool

  /// Failures among the images of a batch at most: nothing is held back for long.
  private static let maximumWaiting = 256
  /// Seconds that a batch is filled at most, so that results come while pictures are decoded.
  private static let maximumDelay = 0.5

  /// Runs all images; what fails of them is in the records.
  ///
  /// - Throws: what is no image's fault: an output that cannot be written, a model that changes.
  func run() throws {
    let progress = Progress(
      "images", total: source.count ?? 0, unit: .items, quiet: quiet || (source.count ?? 0) < 2)
    var batch = ImageBatch()
    var totals = Totals()
    let start = Progress.now()
    var flushed = start
    func flush() throws {
      guard let first = batch.waiting.first else { return }
      try answer(&batch, &totals, progress)
      progress.update(totals.done + totals.failed, detail: first.picture.title)
      batch = ImageBatch()
      flushed = Progress.now()
    }
    var isFirst = true
    while let picture = try source.next(beforeWaiting: flush) {
      let begin = Progress.now()
      switch load(picture, isFirst: isFirst) {
      case .failure(let error):
        // One bad image does not stop the others; the exit status remembers it.
        batch.add(picture, error)
        if batch.pixels.isEmpty || batch.waiting.count >= Self.maximumWaiting { try flush() }
      case .success(let loaded):
        if !batch.fits(loaded) { try flush() }
        batch.add(picture, loaded, seconds: Progress.now() - begin)
        isFirst = false
        let isFull =
          batch.pixels.count >= session.batchSize(height: loaded.height, width: loaded.width)
        if isFull || Progress.now() - flushed > Self.maximumDelay { try flush() }
      }
    }
    try flush()
    progress.finish()
    try outputs.write(
      totals.table,
      texts: .init(
        labels: session.texts?.labels ?? [], rows: session.texts?.embeddings ?? []),
      width: session.model.vision?.embeddingWidth ?? 0)
    if !quiet, records.format == .text, totals.done + totals.failed > 1 {
      let seconds = Progress.now() - start
      Report.note(
        "\(counted(totals.done, "image")) in \(decimal(seconds, 2)) s, "
          + "\(decimal(Double(totals.done) / seconds, 1)) per second")
    }
  }

  /// What became of the images of a run so far.
  private struct Totals {
    var done = 0
    var failed = 0
    var table = EmbeddingTable()
  }

  /// Runs the images of a batch, and reports each in its place.
  private func answer(
    _ batch: inout ImageBatch, _ totals: inout Totals, _ progress: Progress
  ) throws {
    let begin = Progress.now()
    let recording = Recording(outputs, loader.preprocessing, names: session.featureNames)
    let count = batch.pixels.count
    let outcomes = try vectors(batch.takePixels(), recording)
    let share = (Progress.now() - begin) / Double(max(1, count))
    progress.finish()
    var results = outcomes.makeIterator()
    for image in batch.waiting {
      let outcome = Result {
        let input = try image.input.get()
        guard let result = results.next() else { preconditionFailure("a result for each image") }
        return (input, try result.get())
      }
      switch outcome {
      case .success(let (input, vector)):
        totals.done += 1
        report(image.picture, input, vector, (input.seconds + share) * 1000)
        if outputs.embed != nil { totals.table.add(vector.embedding, of: image.picture) }
        recording.add("embedding", [1, vector.embedding.count], vector.embedding)
        recording.add(textsOf: session, logits: vector.logits)
      case .failure(let failure):
        guard let error = failure as? any ReportableError else { throw failure }
        totals.failed += 1
        let named = Self.error(error, about: image.picture.place)
        records.fail(named, members: image.picture.members)
        if outputs.embed != nil { totals.table.add(failure: named, of: image.picture) }
      }
    }
    guard count > 0 else { return }
    try outputs.write(dumped: recording.tensors)
    try outputs.write(recording.explanation)
  }

  private func vectors(
    _ pixels: consuming [PixelTensor], _ recording: Recording
  ) throws -> [Result<ImageVector, any Error>] {
    let count = pixels.count
    guard count > 0 else { return [] }
    do {
      return try session.runEach(pixels, observe: recording.observer)
    } catch let error as any ReportableError {
      // The model takes no images of this size; it may take others.
      if error.isAbout(model: session.container.path) { throw error }
      return (0..<count).map { _ in .failure(error) }
    }
  }

  private func load(
    _ picture: PictureInput, isFirst: Bool
  ) -> Result<PixelTensor, any Error> {
    Result {
      // What is written of one image is not written over by the next.
      guard isFirst || !outputs.areOfOneImage else {
        throw InputError(picture.place, .several(advice: nil))
      }
      let loaded = try loader.load(picture)
      if !quiet { SeveralPictures.note(picture, loader.limits, hasFilms: false) }
      return loaded
    }
  }

  /// An error of a model that does not know which file its input came from.
  static func error(
    _ error: any ReportableError, about image: String
  ) -> any ReportableError {
    guard let model = error as? ModelError, model.file == nil else { return error }
    return ModelError(file: image, model.problem)
  }

  private func report(
    _ picture: PictureInput, _ input: ImageBatch.Input, _ output: ImageVector,
    _ milliseconds: Double
  ) {
    let candidates = output.logits.map { ClassScores.top(top, of: $0, as: session.scores) } ?? []
    guard records.format == .text else {
      records.add(object(picture, output, candidates, milliseconds))
      return
    }
    Report.line(
      "\(picture.title)  (\(input.width)×\(input.height) input, \(decimal(milliseconds, 1)) ms)")
    for candidate in candidates {
      let isRaw = session.scores == .raw
      let number = isRaw ? decimal(candidate.score, 4) : decimal(candidate.score * 100, 1)
      let padding = String(repeating: " ", count: max(0, (isRaw ? 10 : 6) - number.count))
      Report.line("\(padding)\(number)\(isRaw ? "" : " %")  \(label(candidate.index))")
    }
    if output.logits == nil {
      Report.line(
        "  an embedding of \(output.embedding.count) values, no classes"
          + (outputs.embed == nil ? "; --embed writes it" : ""))
    }
  }

  private func label(_ index: Int) -> String {
    session.labels.map { $0[index].escapedForDisplay() } ?? "class \(index)"
  }

  private func object(
    _ picture: PictureInput, _ output: ImageVector, _ candidates: [ClassScores.Candidate],
    _ milliseconds: Double
  ) -> JSONValue {
    var object = picture.members
    if output.logits != nil {
      object.set(
        "top",
        .array(
          candidates.map { candidate in
            [
              "index": .int(candidate.index),
              "label": session.labels.map { .string($0[candidate.index]) } ?? .null,
              session.scores == .raw ? "score" : "probability": .double(candidate.score),
            ]
          }))
    } else if outputs.embed == nil {
      // All that the model has to say, and written nowhere else; as few digits as tell an f32.
      object.set(
        "embedding",
        .array(output.embedding.map { .double(Double($0.description) ?? Double($0)) }))
    }
    object.set("milliseconds", .double((milliseconds * 1000).rounded() / 1000))
    return .object(object)
  }
}
