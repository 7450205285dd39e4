import VLMCheckpoint
import VLMContainer
import VLMFoundation
import VLMModels
import VLMTensor

/// A recognised checkpoint on its way into a container: planned when it is made, then read, encoded
/// and written in pieces of bounded size, so that memory does not grow with the model.
package struct Conversion: Sendable {
  package let source: SourceModel
  package internal(set) var plan: ConversionPlan
  /// How matrices are stored, in a word: a scheme, or "mixed" where each has its own.
  package internal(set) var label: String
  /// What a budget was spent on; nil without one.
  package internal(set) var spending: Spending?
  /// How inputs of matrices are scaled before they are rounded.
  package internal(set) var rescaling = Rescaling()
  let overrides: [QuantizationPolicy.Override]
  let pool: WorkerPool
  let kernels: KernelSet

  /// - Parameter kernels: whose instruction set the encoders may use; the bytes do not depend on it.
  /// - Throws: `ConversionError` when the checkpoint lacks a tensor of its model, has one of another
  ///   shape, or one that the model does not have.
  package init(
    source: SourceModel, policy: QuantizationPolicy, ignoreUnexpected: Bool, pool: WorkerPool,
    kernels: KernelSet = .best
  ) throws {
    self.source = source
    self.pool = pool
    self.kernels = kernels
    label = policy.scheme.name
    overrides = policy.overrides
    let manifest = try source.description.manifest()
    try source.requireMatch(manifest, ignoreUnexpected: ignoreUnexpected)
    for override in overrides where !manifest.contains(where: { override.matches($0.path) }) {
      throw ConversionError(
        path: source.catalog.path,
        .setting(
          .tensorSchemes, found: override.pattern, expected: "a pattern that some tensor matches"))
    }
    plan = ConversionPlan(manifest: manifest, policy: policy)
  }

  /// Bytes of the checkpoint that the conversion reads, for progress.
  package var sourceByteCount: Int {
    plan.items.reduce(0) { $0 + ((try? source.tensor($1.spec.path))?.byteCount ?? 0) }
  }

  /// Writes the container and returns what it cost.
  ///
  /// Reading, encoding and writing overlap: a thread reads and hashes the checkpoint's files ahead,
  /// in their order, and another writes. While it lasts the output is `<path>.partial`, and
  /// `<path>.partial.journal` says which tensors are in it.
  ///
  /// - Parameters:
  ///   - resume: take over the tensors that an earlier conversion of the same source with the same
  ///     flags wrote before it was broken off, as far as their checksums are right; and leave what
  ///     is written when this one is broken off.
  ///   - statistics: what is known of the inputs of matrices; nil: all inputs weigh the same.
  ///   - cancelled: looked at before each piece.
  ///   - note: called with what a person should know about resuming.
  ///   - progress: called on this thread with source bytes done, of all, and the tensor's name: the
  ///     bytes never fall, and are all of them at the end.
  /// - Throws: `WorkCancelled` once `cancelled` is.
  package func run(
    to path: String, overwrite: Bool, resume: Bool = false,
    statistics: (any TensorStatistics)? = nil, cancelled: CancellationFlag? = nil,
    note: (String) -> Void = { _ in }, progress: (Int, Int, String) -> Void
  ) throws -> ConversionReport {
    try checkOutput(path)
    let writer = try ContainerWriter(
      resumable: path, overwrite: overwrite, keeping: resume,
      takesFinished: ConversionJournal.exists(partial: OutputFile.partialPath(of: path)))
    let journal = try ConversionJournal(
      partial: writer.temporaryPath, fingerprint: try fingerprint(statistics), keeping: resume)
    let tensors = try tensorsInFileOrder()
    var errors = try recover(tensors, writer, journal, note: resume ? note : { _ in })
    try writer.reserve(tensorBytes: plan.byteCount)

    let pieces = try tensors.dropFirst(errors.count).flatMap { item, tensor in
      try TensorStream.pieces(of: tensor, item)
    }
    let done = tensors.prefix(errors.count).reduce(0) { $0 + $1.1.byteCount }
    let digests = try encode(
      pieces, OutputStage(writer: writer, journal: journal), statistics, errors: &errors,
      done: done, cancelled: cancelled, progress: progress)
    for file in source.catalog.sources { try file.checkInPlace() }

    var report = self.report(errors, statistics)
    for (kind, content) in try sections(report, digests, statistics) {
      try writer.add(section: kind, content)
    }
    if let container = source.container { writer.add(unknownSectionsOf: container) }
    let summary = try writer.finish()
    journal.remove()
    report.fileByteCount = summary.fileSize
    return report
  }

  func report(
    _ errors: [String: QuantizationError], _ statistics: (any TensorStatistics)?
  ) -> ConversionReport {
    var report = ConversionReport(
      label: label, calibration: statistics?.provenance, rescaled: rescaling.kinds,
      spending: spending)
    for item in plan.items { report.add(item, errors[item.spec.path] ?? QuantizationError()) }
    return report
  }

  /// The contents of all sections that the conversion makes, but for the tensors.
  private func sections(
    _ report: ConversionReport, _ digests: [String: UInt64],
    _ statistics: (any TensorStatistics)?
  ) throws -> [(kind: SectionKind, content: [UInt8])] {
    var sections = try unchangingSections()
    sections.append((.provenance, try provenanceSection(digests, statistics)))
    sections.append((.report, reportSection(report)))
    return sections
  }

  /// Those that have nothing of schemes in them.
  func unchangingSections() throws -> [(kind: SectionKind, content: [UInt8])] {
    var sections = [(kind: SectionKind.config, content: bytes(source.description.json))]
    if let preprocessing = source.preprocessing {
      sections.append((.preprocess, bytes(preprocessing.json())))
    }
    if let labels = Labels(names: source.labels, scores: source.scores).json {
      sections.append((.labels, bytes(labels)))
    }
    for (kind, content) in source.sections { sections.append((kind, content)) }
    return sections
  }

  func provenanceSection(
    _ digests: [String: UInt64], _ statistics: (any TensorStatistics)?
  ) throws -> [UInt8] {
    bytes(try provenance(digests, statistics))
  }

  func reportSection(_ report: ConversionReport) -> [UInt8] { bytes(report.json()) }

  /// Refuses what may not be written to, whatever the caller allows to be replaced.
  ///
  /// - Throws: `FileError` for a file that is read, `CheckpointError` for any other checkpoint.
  package func checkOutput(_ path: String) throws {
    if source.catalog.sources.contains(where: { $0.isSameFile(as: path) }) {
      throw FileError(path: path, problem: .sameFile(as: source.catalog.path))
    }
    if let refusal = CheckpointPath.refusalAsOutput(path) { throw refusal }
  }

  /// The plan's tensors as they lie in the files: so the files are read once, front to back.
  private func tensorsInFileOrder() throws -> [(ConversionPlan.Item, SourceTensor)] {
    var order: [ObjectIdentifier: Int] = [:]
    for (index, file) in source.catalog.sources.enumerated() {
      order[ObjectIdentifier(file)] = index
    }
    let tensors = try plan.items.map { ($0, try tensor($0.spec.path)) }
    let places = tensors.map { _, tensor in
      (order[ObjectIdentifier(tensor.source)] ?? order.count, tensor.position)
    }
    // Tensors that share their bytes stay in the order of the plan.
    return tensors.indices.sorted { a, b in
      (places[a].0, places[a].1, a) < (places[b].0, places[b].1, b)
    }.map { tensors[$0] }
  }

  /// Takes over what an unfinished file holds of `tensors`, the first of them in their order.
  private func recover(
    _ tensors: [(ConversionPlan.Item, SourceTensor)], _ writer: ContainerWriter,
    _ journal: ConversionJournal, note: (String) -> Void
  ) throws -> [String: QuantizationError] {
    let records = zip(journal.earlier, tensors).prefix { record, tensor in
      record.name == tensor.0.spec.path
        && record.error.elementCount == tensor.0.spec.shape.reduce(1, *)
    }
    let count = try writer.recover(
      records.map { record, tensor in
        ContainerWriter.WrittenTensor(
          name: record.name, format: tensor.0.format, role: tensor.0.spec.role,
          shape: tensor.0.spec.shape, checksum: record.checksum)
      })
    try journal.restart(keeping: count)
    if journal.isOfAnotherConversion {
      note(
        "\(writer.temporaryPath.escapedForDisplay()) was made from another source, with other "
          + "flags or by another version: starting over")
    } else if count > 0 {
      note("resuming: \(count) of \(tensors.count) tensors are written and sound")
    }
    var errors: [String: QuantizationError] = [:]
    for record in journal.earlier.prefix(count) { errors[record.name] = record.error }
    return errors
  }

  /// Beside the buffers: the stacks of two threads, what the encoders work in, the sections.
  private static let workingBytes = 64 << 20

  /// Encodes `pieces` in order.
  ///
  /// - Returns: the XXH64 of the checkpoint's files, by path.
  private func encode(
    _ pieces: [TensorPiece], _ output: OutputStage, _ statistics: (any TensorStatistics)?,
    errors: inout [String: QuantizationError], done: Int, cancelled: CancellationFlag?,
    progress: (Int, Int, String) -> Void
  ) throws -> [String: UInt64] {
    let reader = SourceReader(source.catalog.sources)
    func request(_ index: Int) throws {
      guard index < pieces.count else { return }
      let piece = pieces[index]
      for (file, range) in piece.tensor.fileRanges(ofElements: piece.elements) {
        try reader.request(range, of: file)
      }
    }
    let largest = pieces.reduce(1) { max($0, $1.byteCount) }
    let needed = OutputStage.Buffers.byteCount(ofPieces: largest) + Self.workingBytes
    // A control group ends a process that takes more; it does not say no before.
    try SystemMemory.require(needed, of: Machine.memory.byteCount, for: output.path)
    let stream = TensorStream(pool: pool, kernels: kernels)
    var check = StoredCheck()
    let buffers = OutputStage.Buffers(byteCount: largest)
    let total = sourceByteCount
    var done = done
    var error = QuantizationError()
    var known: CalibrationStatistics?
    for index in 0..<SourceReader.piecesAhead { try request(index) }
    for (index, piece) in pieces.enumerated() {
      try request(index + SourceReader.piecesAhead)
      progress(min(done, total), total, piece.item.spec.path)
      if cancelled?.isCancelled ?? false { throw WorkCancelled() }
      if piece.isFirst {
        error = QuantizationError()
        known = nil
        known = try piece.statistics(statistics, kernels: kernels, pool: pool)
      }
      let buffer = buffers[index]
      try check.add(piece)
      error.merge(try stream.encode(piece, known, into: buffer))
      for (file, range) in piece.tensor.fileRanges(ofElements: piece.elements) {
        reader.release(range, of: file)
      }
      if piece.isLast, error.notFiniteCount > 0 {
        throw ConversionError(
          path: source.catalog.path,
          .nonFinite(tensor: piece.tensor.name, count: error.notFiniteCount))
      }
      try output.submit(piece, buffers, buffer, error)
      if piece.isLast { errors[piece.item.spec.path] = error }
      done += piece.sourceByteCount
    }
    try output.wait()
    progress(total, total, pieces.last?.item.spec.path ?? "")
    return try reader.finish()
  }

  /// Compares the tensors of a container with their checksums, piece by piece as they are read.
  private struct StoredCheck {
    private var hash = XXH64()

    mutating func add(_ piece: TensorPiece) throws(ContainerError) {
      guard let stored = piece.tensor.container else { return }
      if piece.isFirst { hash = XXH64() }
      let tensor = piece.tensor.stored
      let range = stored.byteRange(ofElements: piece.elements)
      tensor.withBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[range])) }
      guard piece.isLast, hash.digest != stored.checksum else { return }
      throw ContainerError(
        path: tensor.source.path, place: .tensor(tensor.name),
        problem: .hash(.r50, found: hash.digest, expected: stored.checksum))
    }
  }

  /// What decides the bytes of the container, but for the content of files that have not changed.
  private func fingerprint(_ statistics: (any TensorStatistics)?) throws -> String {
    let files = source.catalog.sources.map { file -> JSONValue in
      let name = file.path.split(separator: "/").last.map(String.init) ?? file.path
      return .string("\(name):\(file.identity)")
    }
    let tensors = try plan.items.map { item -> JSONValue in
      [
        .string(item.spec.path), .string("\(item.format)"), .int(Int(item.spec.role.storedCode)),
        .array(item.spec.shape.map { .int($0) }), .string(try source.tensor(item.spec.path).name),
      ]
    }
    var facts = JSONObject()
    facts.set("tool", .string(ConversionReport.toolVersion))
    facts.set("format", .int(Container.formatVersion))
    facts.set("scheme", .string(label))
    facts.set("files", .array(files))
    facts.set("tensors", .array(tensors))
    facts.set("config", source.description.json)
    if let statistics { facts.set("statistics", .string(statistics.fingerprint)) }
    return hexadecimal(SHA256.hash(Array(JSONValue.object(facts).serialized().utf8)))
  }

  private func bytes(_ json: JSONValue) -> [UInt8] { Array(json.serialized().utf8) }
}
