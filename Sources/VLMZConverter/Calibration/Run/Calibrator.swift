import VLMCheckpoint
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// Calibrates one model: from data to statistics. Everything temporary is gone when it is done.
struct Calibrator {
  let conversion: Conversion
  let options: Converter.Calibration
  let ignoresUnexpected: Bool
  let threads: Int
  /// Whether a calibration that is broken off is gone on with later.
  let resumes: Bool
  /// Whether the model is run with errors in each matrix, to find out what they cost.
  var weighs = false
  /// Whether what is written will be measured on data that are held back.
  var measures = false

  /// What a calibration finds out.
  struct Findings {
    let statistics: StatisticsFile
    /// Measures what containers lose; nil where no data are held back.
    var meter: LossMeter?
  }

  /// Where statistics are that nobody asked for, until the conversion is done.
  private static func keptStatistics(for output: String) -> String {
    output + ".partial.statistics"
  }

  /// Removes what this calibration, or an earlier one for the same output, left for a later one.
  func removeLeftovers(of output: String) {
    guard options.statisticsFile == nil else { return }
    let path = Self.keptStatistics(for: output)
    if let catalog = try? SafetensorsFile.read(path: path), StatisticsFile.isStatistics(catalog) {
      FileSystem.unlink(path)
    }
    CalibrationCheckpoint.remove(CalibrationKeeper.path(statistics: path))
  }

  private var source: SourceModel { conversion.source }
  private var plan: ConversionPlan { conversion.plan }

  /// What is heard of while it runs.
  struct Events {
    let cancelled: CancellationFlag?
    let note: (String) -> Void
    /// Steps done, of all, and what runs.
    let progress: (Int, Int, String) -> Void

    /// Notes what is left out.
    func leftOut(_ defect: CalibrationError) {
      note("calibration: left out: \(defect.description)")
    }
  }

  /// What is to be known of each matrix.
  ///
  /// - Throws: `CalibrationError` where nothing is, unless statistics are kept for later.
  private func wanted() throws -> [String: InputStatistics.Detail] {
    let details = plan.wantedDetails.mapValues { min($0, options.mostDetail) }
    if !details.isEmpty { return details }
    guard options.statisticsFile != nil else {
      let scheme = plan.items.first { $0.format.layout == .panels }?.format.scheme.name ?? "f32"
      throw CalibrationError(path: source.catalog.path, .needless(scheme: scheme))
    }
    return Dictionary(
      plan.items.filter { $0.spec.role.isMatrix }.map {
        ($0.spec.path, InputStatistics.Detail.moments)
      }, uniquingKeysWith: max)
  }

  /// Reads the statistics that are there, or gathers them.
  ///
  /// - Parameter output: the container that will be written; temporary files lie beside it.
  func statistics(
    for output: String, cancelled: CancellationFlag?, note: (String) -> Void,
    progress: (Int, Int, String) -> Void
  ) throws -> Findings {
    try withoutActuallyEscaping(note) { note in
      try withoutActuallyEscaping(progress) { progress in
        try statistics(
          for: output, Events(cancelled: cancelled, note: note, progress: progress))
      }
    }
  }

  private func statistics(for output: String, _ events: Events) throws -> Findings {
    let isAsked = options.usesOwnData || !options.paths.isEmpty
    let channels = source.description.inputChannels
    if isAsked, source.description.language == nil, ColorMode(channels: channels) == nil {
      throw CalibrationError(path: source.catalog.path, .channels(channels))
    }
    let kept = options.statisticsFile ?? (resumes ? Self.keptStatistics(for: output) : nil)
    if let path = kept, FileSystem.exists(path) || !isAsked {
      let file = try StatisticsFile.open(path: path)
      try check(file, isAsked ? try CalibrationData(paths: options.paths) : nil, events)
      if plan.wantedDetails.isEmpty {
        events.note(
          "the statistics in \(path.escapedForDisplay()) change nothing: no matrix is rounded by them"
        )
      } else if isAsked {
        events.note("the statistics in \(path.escapedForDisplay()) are used")
      }
      return Findings(statistics: file, meter: isAsked ? try meter(output, events) : nil)
    }
    let wanted = try wanted()
    let data = try CalibrationData(paths: options.paths)
    if !options.usesOwnData {
      try data.requireKinds(of: source.description, path: source.catalog.path)
    }
    for defect in data.defects { events.leftOut(defect) }
    if let left = data.leftOut(by: source.description) {
      events.note("calibration: \(left)")
    }
    // Without a name of its own the file never gets to that place.
    let path = kept ?? Self.keptStatistics(for: output)
    let keeper =
      resumes
      ? CalibrationKeeper(statistics: path, request: try keptRequest(data), note: events.note) : nil
    let writer: StatisticsWriter
    var meter: LossMeter?
    do {
      (writer, meter) = try gather(data, wanted, to: path, for: output, events, keeper)
    } catch let error as GenerationError
      where error.file == ReferenceContainer.path(beside: output)
    {
      // The file that was run has no name that anybody knows.
      throw GenerationError(file: source.catalog.path, error.problem, advice: error.advice)
    } catch let error as ModelError where error.file == ReferenceContainer.path(beside: output) {
      throw ModelError(file: source.catalog.path, error.problem)
    }
    if kept != nil {
      try writer.commit()
      keeper?.end()
      return Findings(statistics: try StatisticsFile.open(path: path), meter: meter)
    }
    return Findings(statistics: try writer.opened(), meter: meter)
  }

  private func reference(
    _ form: SourceModel.RunForm, _ output: String, _ events: Events
  ) throws -> Container {
    try ReferenceContainer.open(
      source, in: form, beside: output, ignoreUnexpected: ignoresUnexpected,
      pool: WorkerPool(threadCount: threads), cancelled: events.cancelled
    ) { done, total, _ in events.progress(done, total, "reading the model") }
  }

  /// What measures the container that will be written, where statistics are there already.
  private func meter(_ output: String, _ events: Events) throws -> LossMeter? {
    // What a model says itself takes longer than all else.
    guard measures, !output.isEmpty, !options.usesOwnData else { return nil }
    let threads = CalibrationThreads(source.description, threads: threads)
    let model = try Model(
      try reference(.unquantized, output, events), kernels: .best, pool: threads.layers)
    let data = try CalibrationData(paths: options.paths)
    let prepared = try PreparedData(model, data, options, threads, kernels: .best, events, nil)
    return try meter(model, prepared, output, events)
  }

  private func meter(
    _ model: Model, _ prepared: PreparedData, _ output: String, _ events: Events
  ) throws -> LossMeter? {
    guard measures, !output.isEmpty, !prepared.heldBack.isEmpty else { return nil }
    return try LossMeter(
      reference: model, prepared.heldBack,
      folder: output.contains("/") ? output.splitAtLastSlash.folder : ".", pool: model.pool,
      cancelled: events.cancelled
    ) { done, total, _ in events.progress(done, total, "reading what is held back") }
  }

  /// A form of the model that is run, with the data as it takes them.
  private struct Subject {
    let container: Container
    let model: Model
    let prepared: PreparedData
  }

  private func gather(
    _ data: CalibrationData, _ wanted: [String: InputStatistics.Detail], to path: String,
    for output: String, _ events: Events, _ keeper: CalibrationKeeper?
  ) throws -> (StatisticsWriter, LossMeter?) {
    let threads = CalibrationThreads(source.description, threads: threads)
    let collector = StatisticsCollector(kernels: .best, pool: threads.sums)
    let (writer, left) = try gather(
      data, wanted, to: path, for: output, collector, threads, events, keeper)
    guard weighs || measures else { return (writer, nil) }
    let exact =
      switch left {
      case .model(let subject): subject
      case .texts(let texts):
        try subject(.unquantized, data, output, collector, threads, events, nil, written: texts)
      }
    let meter = try meter(exact.model, exact.prepared, output, events)
    guard weighs else { return (writer, meter) }
    let sensitivities = SensitivityRun(
      container: exact.container, description: source.description, parts: exact.prepared.parts,
      collector: collector, statistics: try writer.opened(), kernels: .best,
      pool: threads.layers, amount: options.comparedAmount(parameters: plan.parameterCount),
      keeper: keeper)
    for (group, values) in try sensitivities.run(
      cancelled: events.cancelled, progress: events.progress)
    {
      try writer.write(group, sensitivities: values)
    }
    return (writer, meter)
  }

  private func subject(
    _ form: SourceModel.RunForm, _ data: CalibrationData, _ output: String,
    _ collector: StatisticsCollector, _ threads: CalibrationThreads, _ events: Events,
    _ keeper: CalibrationKeeper?, written: [TokenSequence]? = nil
  ) throws -> Subject {
    let container = try reference(form, output, events)
    let model = try Model(
      container, kernels: .best, pool: threads.layers, observer: collector)
    return Subject(
      container: container, model: model,
      prepared: try PreparedData(
        model, data, options, threads, kernels: .best, events, keeper, written: written))
  }

  /// What is left of the model that was run for the statistics. Matrices and whole models are weighed
  /// against the unquantized one.
  private enum Left {
    /// It was that one.
    case model(Subject)
    /// What another form of it read; the form has let its room on the disk go.
    case texts([TokenSequence])
  }

  private func gather(
    _ data: CalibrationData, _ wanted: [String: InputStatistics.Detail], to path: String,
    for output: String, _ collector: StatisticsCollector, _ threads: CalibrationThreads,
    _ events: Events, _ keeper: CalibrationKeeper?
  ) throws -> (StatisticsWriter, Left) {
    let subject = try subject(.eightBitLanguage, data, output, collector, threads, events, keeper)
    let run = CalibrationRun(
      parts: subject.prepared.parts, collector: collector, wanted: wanted,
      budget: CalibrationRun.defaultBudget, path: source.catalog.path, keeper: keeper)
    let provenance = try provenance(data, subject.prepared)
    let writer = try run.run(cancelled: events.cancelled) { groups in
      let writer = try StatisticsWriter(
        path: path, overwrite: options.statisticsFile == nil, groups: groups,
        provenance: provenance, pool: threads.sums, keeping: keeper != nil)
      // One that is not kept has its room already.
      try requireRoom(
        behind: subject, output,
        keeper == nil ? 0 : writer.missingByteCount() + keptByteCount(of: subject))
      return writer
    } progress: {
      events.progress($0, $1, $2)
    }
    return source.description.language == nil
      ? (writer, .model(subject)) : (writer, .texts(subject.prepared.sequences))
  }

  /// Bytes of what is kept for a later calibration beside the statistics: what lies between two blocks,
  /// or enters one in each stream of the sensitivities. It is there twice while it is replaced.
  private func keptByteCount(of subject: Subject) -> Int {
    let width = subject.model.language?.layers.config.hidden ?? 0
    let weighed = options.comparedAmount(parameters: plan.parameterCount).positions
    let rows = max(subject.prepared.tokenCount, weighs ? LanguagePart.streamCount * weighed : 0)
    return 2 * rows * width * MemoryLayout<Float>.stride
  }

  /// Says before the work of the statistics that the disk has no room for what comes behind it.
  ///
  /// - Parameter missing: bytes that the statistics will take, and what is kept beside them.
  private func requireRoom(behind subject: Subject, _ output: String, _ missing: Int) throws {
    guard weighs || measures, source.description.language != nil,
      try source.container(in: .unquantized) == nil
    else { return }
    let exact = try Conversion(
      source: source, policy: try source.policy(for: .unquantized),
      ignoreUnexpected: ignoresUnexpected, pool: WorkerPool(threadCount: 1))
    let isOwn = try source.container(in: .eightBitLanguage) == nil
    let folder = output.contains("/") ? output.splitAtLastSlash.folder : "."
    let free = ScratchFile.freeByteCount(in: folder).map {
      $0 + (isOwn ? subject.container.file.count : 0)
    }
    try CalibrationError.requireRoom(exact.plan.byteCount + missing, free: free, in: folder)
  }

  // MARK: - What it was calibrated on

  /// What decides the statistics, beside the weights.
  private func request(_ data: CalibrationData) throws -> JSONObject {
    var request = JSONObject()
    request.set("model", .string(modelDigest))
    request.set("weights", .string(try conversion.weightsDigest()))
    request.set("tokens_asked", .int(options.tokenCount))
    request.set("own", .bool(options.usesOwnData))
    request.set("files", .int(data.files.count))
    request.set("data", .string(try data.digest()))
    return request
  }

  /// The same with what decides the bits that are kept for a later calibration.
  private func keptRequest(_ data: CalibrationData) throws -> JSONValue {
    var request = try request(data)
    request.set("tool", .string(ConversionReport.toolVersion))
    request.set("kernels", .string(KernelSet.best.name))
    return .object(request)
  }

  private var modelDigest: String {
    let digest = SHA256.hash(Array(source.description.json.serialized().utf8))
    return String(hexadecimal(digest).prefix(16))
  }

  /// Statistics as provenance will name them, before there are any.
  var announced: any TensorStatistics {
    var object = JSONObject()
    for key in ["model", "weights", "data"] { object.set(key, .string("0123456789abcdef")) }
    let counts = [
      "tokens_asked", "files", "pictures", "drawn", "texts", "tokens", "left_out",
      "held_back",
    ]
    for key in counts { object.set(key, .int(options.tokenCount)) }
    object.set("own", .bool(options.usesOwnData))
    let names = options.paths.prefix(16).map { $0.splitAtLastSlash.name }
    object.set("names", .array(names.map { .string($0) }))
    return AnnouncedStatistics(provenance: .object(object))
  }

  private struct AnnouncedStatistics: TensorStatistics {
    let fingerprint = ""
    let provenance: JSONValue

    func statistics(
      of tensor: String, inputs: Int, for scheme: Scheme, kernels: KernelSet, pool: WorkerPool
    ) throws -> CalibrationStatistics? { nil }
  }

  private func provenance(_ data: CalibrationData, _ prepared: PreparedData) throws -> JSONValue {
    var object = try request(data)
    object.set("pictures", .int(prepared.pictureCount))
    object.set("drawn", .int(prepared.drawnCount))
    object.set("texts", .int(prepared.textCount))
    object.set("tokens", .int(prepared.tokenCount))
    let unread = data.defects.reduce(0) { $0 + $1.count }
    object.set("left_out", .int(unread + prepared.leftOutCount))
    object.set("held_back", .int(prepared.heldBackCount))
    let names = data.files.prefix(16).map { $0.splitAtLastSlash.name }
    object.set("names", .array(names.map { .string($0) }))
    return .object(object)
  }

  /// - Parameter data: what was asked for; nil where the file is to be taken as it is.
  private func check(
    _ file: StatisticsFile, _ data: CalibrationData?, _ events: Events
  ) throws {
    func refuse(_ found: String, _ expected: String) -> StatisticsError {
      StatisticsError(path: file.path, .otherData(found: found, expected: expected))
    }
    let found = file.provenance
    guard found["model"]?.stringValue == modelDigest else {
      throw StatisticsError(path: file.path, .otherModel)
    }
    guard let data else {
      if found["weights"]?.stringValue != (try conversion.weightsDigest()) {
        events.note(
          "the statistics in \(file.path.escapedForDisplay()) are of other weights of the same "
            + "shapes, as a fine-tuned model has: its own would fit better")
      }
      return
    }
    let names = [
      "weights": "weights", "tokens_asked": "numbers of tokens", "own": "data",
      "files": "numbers of files", "data": "data",
    ]
    for member in try request(data).members where found[member.key] != member.value {
      let name = names[member.key] ?? member.key
      throw refuse("other \(name)", "the same")
    }
  }
}

extension CalibrationData {
  /// The XXH64 of the files' contents, in their order.
  func digest() throws -> String {
    var hash = XXH64()
    for path in files {
      // What a conversation names and is not there is left out.
      guard let file = try? MappedFile(path: path) else {
        [0 as UInt8].withUnsafeBytes { hash.update($0) }
        continue
      }
      file.withBytes(0..<file.count) { hash.update($0) }
    }
    return hexadecimalText(hash.digest)
  }
}
