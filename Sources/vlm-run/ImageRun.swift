import VLMCheckpoint
import VLMCommandLine
import VLMContainer
import VLMInput
import VLMModels
import VLMNN
import VLMRuntime
import VLMTensor

/// One call of `vlm-run`: images in, results out, in the order given.
struct ImageRun {
  enum Format { case text, json, jsonLines }

  let session: VisionSession
  let loader: ImageLoader
  let images: [String]
  let format: Format
  let top: Int
  let outputs: OutputFiles
  let quiet: Bool

  /// An image that waits for its batch.
  private struct Loaded {
    let name: String
    let width: Int
    let height: Int
    let seconds: Double
  }

  /// Runs all images and returns the status to exit with.
  func run() throws -> ExitStatus {
    var exitStatus = ExitStatus.success
    let progress = Progress(
      "images", total: images.count, unit: .items, quiet: quiet || images.count < 2)
    var waiting: [Loaded] = []
    var pixels: [PixelTensor] = []
    var objects: [JSONValue] = []
    var embeddings: [[Float]] = []
    let start = Progress.now()
    var done = 0
    var failure: (any ReportableError)?

    func flush() throws {
      guard let first = waiting.first else { return }
      let begin = Progress.now()
      let recording = Recording(
        outputs, loader.preprocessing, names: Recording.names(of: session))
      let batch = pixels
      pixels = []
      let results: [VisionSession.Result]
      // What is wrong with the file of the model is wrong for every image.
      do { results = try session.run(consume batch, observe: recording.observer) } catch let error
        as any ReportableError where !(error is ContainerError)
      {
        // Images of this size are no good; those of others may be.
        if images.count == 1 { throw Self.error(error, about: first.name) }
        progress.finish()
        for image in waiting { Report.note("vlm-run: \(Self.error(error, about: image.name))") }
        failure = failure ?? error
        waiting.removeAll()
        return
      }
      let share = (Progress.now() - begin) / Double(waiting.count)
      for (image, result) in zip(waiting, results) {
        let milliseconds = (image.seconds + share) * 1000
        progress.finish()
        report(image, result, milliseconds, &objects)
        if outputs.embed != nil { embeddings.append(result.embedding) }
        recording.add("embedding", [1, result.embedding.count], result.embedding)
        recording.add(textsOf: session, logits: result.logits)
      }
      try outputs.write(dumped: recording.tensors)
      try outputs.write(recording.explanation)
      done += waiting.count
      progress.update(done, detail: first.name)
      waiting.removeAll()
    }

    for name in images {
      let begin = Progress.now()
      let loaded: PixelTensor
      do { loaded = try loader.load(name) } catch let error as any ReportableError {
        // One bad image does not stop the others; the exit status remembers it.
        progress.finish()
        if images.count == 1 { throw error }
        Report.note("vlm-run: \(error)")
        failure = failure ?? error
        continue
      }
      let image = Loaded(
        name: name, width: loaded.width, height: loaded.height, seconds: Progress.now() - begin)
      if let first = waiting.first, first.height != image.height || first.width != image.width {
        try flush()
      }
      waiting.append(image)
      pixels.append(loaded)
      if waiting.count >= session.batchSize(height: image.height, width: image.width) {
        try flush()
      }
    }
    try flush()
    progress.finish()

    if let failure { exitStatus = failure.exitStatus }
    if format == .json { Report.line(JSONValue.array(objects).serialized(pretty: true)) }
    try outputs.write(embeddings: embeddings, texts: session.labelEmbeddings)
    if !quiet, format == .text, images.count > 1 {
      let seconds = Progress.now() - start
      Report.note(
        "\(done) images in \(decimal(seconds, 2)) s, "
          + "\(decimal(Double(done) / seconds, 1)) per second")
    }
    return exitStatus
  }

  /// An error of a model that does not know which file its input came from.
  private static func error(
    _ error: any ReportableError, about image: String
  ) -> any ReportableError {
    guard let model = error as? ModelError, model.file == nil else { return error }
    return ModelError(file: image, model.problem)
  }

  private func report(
    _ image: Loaded, _ output: VisionSession.Result, _ milliseconds: Double,
    _ objects: inout [JSONValue]
  ) {
    let candidates = output.logits.map { Classification.top(top, of: $0, as: session.scores) } ?? []
    switch format {
    case .text:
      let size = "\(image.width)×\(image.height)"
      Report.line(
        "\(image.name.escapedForDisplay())  (\(size) input, \(decimal(milliseconds, 1)) ms)")
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
    case .json: objects.append(object(image, candidates, milliseconds))
    case .jsonLines: Report.line(object(image, candidates, milliseconds).serialized())
    }
  }

  private func label(_ index: Int) -> String {
    session.labels.map { $0[index].escapedForDisplay() } ?? "class \(index)"
  }

  private func object(
    _ image: Loaded, _ candidates: [Classification.Candidate], _ milliseconds: Double
  ) -> JSONValue {
    [
      "schema": 1,
      "image": .string(image.name),
      "top": .array(
        candidates.map { candidate in
          [
            "index": .int(candidate.index),
            "label": session.labels.map { .string($0[candidate.index]) } ?? .null,
            session.scores == .raw ? "score" : "probability": .double(candidate.score),
          ]
        }),
      "milliseconds": .double((milliseconds * 1000).rounded() / 1000),
    ]
  }
}
