import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// One evaluation, from data to results. Everything temporary is gone when it is done.
struct EvaluationRun {
  let evaluator: Evaluator
  let data: CalibrationData
  let cancelled: CancellationFlag?
  let warn: (String) -> Void
  let progress: (Evaluator.Progress) -> Void

  private var options: Evaluator.Options { evaluator.options }

  func evaluate() throws -> Evaluation {
    let description = try evaluator.model.modelDescription()
    try data.require(by: description, hasReference: evaluator.reference != nil)
    var result = Evaluation()
    result.model = evaluator.model.path
    result.architecture = evaluator.model.commonName(of: description)
    func note(_ text: String) {
      result.notes.append(text)
      warn(text)
    }
    if let left = data.leftOut(by: description) {
      note(left)
    }
    let pool = WorkerPool(threadCount: evaluator.threads)
    // Its pages are read when it is run; until then this is what its sections say.
    let model = try Model(evaluator.model, kernels: evaluator.kernels, pool: pool)
    let measured: Measured
    if let reference = evaluator.reference {
      result.reference = reference.path
      measured = try compare(model, reference, pool: pool, note: note)
      result.diskByteCount = measured.diskByteCount
    } else {
      measured = try judge(model)
    }
    try take(measured, of: model, into: &result)
    return result
  }

  /// What was measured, and on what.
  private struct Measured {
    let items: EvaluationItems
    let measurement: Measurement
    let skipped: [any ReportableError]
    var diskByteCount = 0
  }

  // MARK: - Measuring

  private func compare(
    _ model: Model, _ reference: Evaluator.Reference, pool: WorkerPool, note: (String) -> Void
  ) throws -> Measured {
    let preprocessing = model.vision?.preprocessing ?? model.language?.preprocessing
    let meter = try named(reference) { (container: Container) -> LossMeter in
      if reference.isContainer, let scheme = container.codedScheme {
        note("the reference is quantized itself (\(scheme)): its own errors are not seen")
      }
      let texts = data.texts + data.dialogues.flatMap { $0.turns.compactMap(\.text) }
      try Likeness.requireTokenizer(
        model.container, like: container, path: reference.path, on: texts)
      let other = try Model(container, kernels: evaluator.kernels, pool: pool)
      let own = other.vision?.preprocessing ?? other.language?.preprocessing
      if own != preprocessing {
        note("the reference prepares pictures otherwise: they are prepared as the model says")
      }
      let items = try items(other, preprocessing)
      for error in data.defects { warn(error.description) }
      for error in items.unreadable { warn(error.description) }
      return try LossMeter(
        reference: other, items, preprocessing: preprocessing, folder: folder, pool: pool,
        cancelled: cancelled, progress: { report("reference", $0, $1, $2) })
    }
    for (_, error) in meter.outputs.skipped { warn(error.description) }
    let comparison = try meter.compare(
      model, cancelled: cancelled, progress: { report("model", $0, $1, $2) })
    // What the reference could not read the model cannot either.
    let told = Set(meter.outputs.skipped.map(\.error.description))
    let others = comparison.skipped.map(\.error).filter { !told.contains($0.description) }
    for error in others { warn(error.description) }
    return Measured(
      items: meter.items, measurement: comparison.measurement,
      skipped: data.defects as [any ReportableError] + meter.items.unreadable
        + meter.outputs.skipped.map(\.error) + others, diskByteCount: meter.outputs.byteCount)
  }

  /// What can be said without a reference.
  private func judge(_ model: Model) throws -> Measured {
    var data = data
    // What the model itself would say of them says nothing.
    if model.language != nil { data.pictures = [] }
    var limits = limits
    limits.answerTokens = 0
    let items = try EvaluationItems(model, data, limits, cancelled: cancelled)
    let comparison = Comparison(
      items, reference: nil, scores: model.vision?.labels?.scores ?? .softmax, pool: model.pool)
    try ModelPass(
      model: model, items: items, preprocessing: nil, cancelled: cancelled,
      progress: { report("model", $0, $1, $2) }
    ).run(into: comparison)
    for error in data.defects { warn(error.description) }
    for error in items.unreadable { warn(error.description) }
    for (_, error) in comparison.skipped { warn(error.description) }
    let measurement = comparison.measurement
    guard !measurement.isEmpty else {
      let first = items.unreadable.first ?? comparison.skipped.first?.error
      throw EvaluationError(.nothingLeft(first?.description))
    }
    return Measured(
      items: items, measurement: measurement,
      skipped: data.defects as [any ReportableError] + items.unreadable
        + comparison.skipped.map(\.error))
  }

  private var limits: EvaluationItems.Limits {
    EvaluationItems.Limits(
      tokens: options.tokenCount, pictures: options.pictureCount, answers: options.answerCount,
      answerTokens: options.answerTokens)
  }

  private func items(_ model: Model, _ preprocessing: Preprocessing?) throws -> EvaluationItems {
    try EvaluationItems(
      model, data, limits, preprocessing: preprocessing, cancelled: cancelled
    ) { report("reference", $0, $1, $2) }
  }

  private func report(_ who: String, _ done: Int, _ total: Int, _ what: String) {
    progress(.init(stage: "\(who): \(what)", done: done, total: total))
  }

  // MARK: - The reference

  private var folder: String {
    options.temporaryFolder ?? evaluator.model.path.splitAtLastSlash.folder
  }

  /// What a file of this model is called there. In a folder that is for all, models of one name have
  /// several; the next evaluation of the same file replaces what one that was killed left.
  private var temporaryName: String {
    let path = evaluator.model.path
    let name = path.splitAtLastSlash.name
    guard options.temporaryFolder != nil else { return name }
    let place = FileSystem.resolved(path) ?? path
    return name + "-" + String(XXH64.hash(Array(place.utf8)), radix: 16)
  }

  /// Opens the reference; a checkpoint is converted without loss for the while.
  private func named<R>(
    _ reference: Evaluator.Reference, _ body: (Container) throws -> R
  ) throws -> R {
    switch reference {
    case .container(let container): return try body(container)
    case .checkpoint(let source, _):
      let base = folder.isEmpty || folder.hasSuffix("/") ? folder : folder + "/"
      let container = try ReferenceContainer.open(
        source, in: .unquantized, beside: base + temporaryName, suffix: ".for-evaluation",
        ignoreUnexpected: options.checkpoint.ignoresUnexpectedTensors,
        pool: WorkerPool(threadCount: evaluator.threads), cancelled: cancelled
      ) { done, total, _ in report("reference", done, total, "reading the checkpoint") }
      // The file that is run has no name that anybody knows.
      do { return try body(container) } catch let error as GenerationError
        where error.file == container.path
      {
        throw GenerationError(file: reference.path, error.problem, advice: error.advice)
      } catch let error as ModelError where error.file == container.path {
        throw ModelError(file: reference.path, error.problem)
      }
    }
  }

  // MARK: - Results

  private func take(_ measured: Measured, of model: Model, into result: inout Evaluation) throws {
    let (items, measurement) = (measured.items, measured.measurement)
    result.loss = measurement.loss
    result.pictures = measurement.pictures.compactMap { picture in
      picture.comparison.map { comparison in
        Evaluation.Picture(
          name: items.pictures[picture.index].name, cosine: comparison.cosine,
          divergence: comparison.divergence, agrees: comparison.agrees)
      }
    }
    result.skipped = measured.skipped.map {
      .init(message: $0.description, count: ($0 as? CalibrationError)?.count ?? 1)
    }
    if model.language != nil {
      result.take(measurement.sequences, items)
      result.ownAnswers = try answers(measurement, items, model)
    } else if let count = model.description.classCount {
      let folders = ClassFolders(
        of: items.pictures.map(\.name), labels: model.vision?.labels?.names, count: count)
      result.take(
        pictures: measurement.pictures, model.vision?.labels?.scores ?? .softmax,
        known: folders.classes)
    } else {
      result.take(measurement)
    }
  }

  /// Compares the answers that the reference wrote with the model's. Where the model finds each of its
  /// tokens most probable it would have written the same; only the others are written.
  private func answers(
    _ measurement: Measurement, _ items: EvaluationItems, _ model: Model
  ) throws -> Evaluation.Answers? {
    let own = measurement.sequences.filter { items.sequences[$0.index].kind == .ownAnswer }
    guard evaluator.reference != nil, !own.isEmpty, let tokenizer = model.language?.tokenizer else {
      return nil
    }
    var answers = Evaluation.Answers()
    answers.count = own.count
    let other = own.filter { !$0.tokens.allSatisfy(\.isBest) }
    let writer = try AnswerWriter(
      model, preprocessing: model.language?.preprocessing, cancelled: cancelled)
    for (step, found) in other.enumerated() {
      report("model", step, other.count, "answers")
      let sequence = items.sequences[found.index]
      let wanted = Array(sequence.ids.dropFirst(sequence.promptCount))
      let written = try writer.answer(sequence, tokens: options.answerTokens)
      guard written != wanted else { continue }
      answers.changed.append(
        Evaluation.ChangedAnswer(
          pictures: sequence.pictures.map(\.name), question: sequence.question,
          referenceText: tokenizer.decode(wanted), text: tokenizer.decode(written)))
    }
    return answers
  }
}

extension Evaluator.Reference {
  fileprivate var isContainer: Bool {
    if case .container = self { return true }
    return false
  }
}

extension Container {
  /// The coarsest scheme of codes that a matrix is stored in; nil where all are floats.
  fileprivate var codedScheme: String? {
    tensors.map(\.format.scheme).filter { $0.codeBits <= 8 }
      .min { $0.codeBits < $1.codeBits }?.name
  }
}
