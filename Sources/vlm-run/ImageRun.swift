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

  /// An image that waits for its batch, or the error in its place.
  private struct Waiting {
    let picture: PictureInput
    let result: Result<Input, any Error>
  }

  private struct Input {
    let width: Int
    let height: Int
    let seconds: Double
  }

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
    var waiting: [Waiting] = []
    var pixels: [PixelTensor] = []
    var table = EmbeddingTable()
    let start = Progress.now()
    var flushed = start
    var (done, failed, dumped) = (0, 0, 0)

    func flush() throws {
      guard !waiting.isEmpty else { return }
      let begin = Progress.now()
      let recording = Recording(
        outputs, loader.preprocessing, names: session.featureNames)
      let batch = pixels
      pixels = []
      let count = batch.count
      var outcomes: [Result<ImageVector, any Error>] = []
      do {
        if count > 0 {
          outcomes = try session.runEach(consume batch, observe: recording.observer)
        }
      } catch let error as any ReportableError {
        // The model takes no images of this size; it may take others.
        if error.isAbout(model: session.container.path) { throw error }
        outcomes = (0..<count).map { _ in .failure(error) }
      }
      let share = (Progress.now() - begin) / Double(max(1, count))
      progress.finish()
      var results = outcomes.makeIterator()
      for image in waiting {
        var failure: (any Error)?
        switch image.result {
        case .failure(let error): failure = error
        case .success(let input):
          switch results.next() {
          case .success(let result)?:
            done += 1
            report(image.picture, input, result, (input.seconds + share) * 1000)
            if outputs.embed != nil { table.add(result.embedding, of: image.picture) }
            recording.add("embedding", [1, result.embedding.count], result.embedding)
            recording.add(textsOf: session, logits: result.logits)
          case .failure(let error)?: failure = error
          case nil: break
          }
        }
        guard let failure else { continue }
        guard let error = failure as? any ReportableError else { throw failure }
        failed += 1
        let named = Self.error(error, about: image.picture.place)
        records.fail(named, members: image.picture.members)
        if outputs.embed != nil { table.add(failure: named, of: image.picture) }
      }
      if count > 0 {
        try outputs.write(dumped: recording.tensors)
        try outputs.write(recording.explanation)
      }
      progress.update(done + failed, detail: waiting.first?.picture.title ?? "")
      waiting.removeAll()
      flushed = Progress.now()
    }

    while let picture = try source.next(beforeWaiting: flush) {
      let begin = Progress.now()
      switch load(picture, isFirst: dumped == 0) {
      case .failure(let error):
        // One bad image does not stop the others; the exit status remembers it.
        waiting.append(Waiting(picture: picture, result: .failure(error)))
        if pixels.isEmpty || waiting.count >= Self.maximumWaiting { try flush() }
      case .success(let loaded):
        let input = Input(
          width: loaded.width, height: loaded.height, seconds: Progress.now() - begin)
        if let first = pixels.first, first.height != input.height || first.width != input.width {
          try flush()
        }
        waiting.append(Waiting(picture: picture, result: .success(input)))
        pixels.append(loaded)
        dumped += 1
        let isFull = pixels.count >= session.batchSize(height: input.height, width: input.width)
        if isFull || Progress.now() - flushed > Self.maximumDelay {
          try flush()
        }
      }
    }
    try flush()
    progress.finish()
    try outputs.write(
      table,
      texts: .init(
        labels: session.texts?.labels ?? [], rows: session.texts?.embeddings ?? []),
      width: session.model.vision?.embeddingWidth ?? 0)
    if !quiet, records.format == .text, done + failed > 1 {
      let seconds = Progress.now() - start
      Report.note(
        "\(done) images in \(decimal(seconds, 2)) s, "
          + "\(decimal(Double(done) / seconds, 1)) per second")
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
    _ picture: PictureInput, _ input: Input, _ output: ImageVector, _ milliseconds: Double
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
        "  an embedding of \(output.embedding.count) values, no classes; --embed writes it")
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
