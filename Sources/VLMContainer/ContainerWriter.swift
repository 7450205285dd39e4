import VLMFoundation
import VLMTensor

/// Statistics of a finished container.
package struct ContainerSummary: Sendable {
  package let path: String
  package let fileSize: Int
  /// Bytes of the tensors without padding.
  package let tensorBytes: Int
  package let tensorCount: Int
  package let sections: [SectionEntry]
  package let rootHash: [UInt8]
}

/// Writes a container sequentially: tensors as they arrive, everything else in `finish`.
///
/// The file appears at its path when `finish` returns; a writer that is released earlier leaves
/// nothing behind. Equal calls give equal bytes, regardless of the chunk sizes passed to `write`.
/// Memory: the index and the other sections.
package final class ContainerWriter {
  private let file: OutputFile
  private let compress: Bool
  private let isResumable: Bool
  private var contents: [SectionKind: [UInt8]] = [:]
  /// The container whose sections of unknown kinds are copied.
  private var unknown: Container?
  private var entries: [TensorIndex.Entry] = []
  private var names = Set<String>()
  private var open: (entry: TensorIndex.Entry, hash: XXH64)?
  private var pending: [UInt8] = []

  private static let pendingSize = 256 << 10

  /// - Parameters:
  ///   - overwrite: replace an existing file in `finish`; otherwise an existing file is an error.
  ///   - compress: false stores every section raw, so that the bytes do not depend on the version
  ///     of the zstd library.
  package init(path: String, overwrite: Bool, compress: Bool = true) throws(ContainerError) {
    do { file = try OutputFile(path: path, overwrite: overwrite) } catch {
      throw ContainerError(error)
    }
    self.compress = compress
    isResumable = false
    pending.appendZeros(Format.dataAlignment)
  }

  /// A writer whose unfinished file is `<path>.partial`, so that a later writer can resume.
  ///
  /// - Parameters:
  ///   - keeping: keep that file when the writer is released, and continue an existing one; see
  ///     `recover`.
  ///   - takesFinished: the existing file may already have its header, because a writer was stopped
  ///     between its last byte and the rename. Only for callers that know the file to be their own.
  package init(
    resumable path: String, overwrite: Bool, keeping: Bool, takesFinished: Bool = false
  ) throws(ContainerError) {
    do {
      file = try OutputFile(
        path: path, overwrite: overwrite, marker: Self.partialMarker,
        orMarkers: takesFinished ? [Format.magic] : [], keeping: keeping)
    } catch {
      throw ContainerError(error)
    }
    compress = true
    isResumable = true
    // The header finally replaces the marker.
    pending += Self.partialMarker
    pending.appendZeros(Format.dataAlignment - pending.count)
  }

  /// The first bytes of an unfinished file; not longer than the header.
  static let partialMarker = Array(
    "unfinished output of vlm-convert, not a model; 'vlm-convert --resume' continues it\n".utf8)

  /// Path of the unfinished file.
  package var temporaryPath: String { file.temporaryPath }

  /// Reserves disk space for a container with about `bytes` bytes of tensors.
  package func reserve(tensorBytes bytes: Int) throws(ContainerError) {
    do { try file.reserve(Format.dataAlignment + bytes) } catch { throw ContainerError(error) }
  }

  /// A tensor that an earlier writer has recorded as complete.
  package struct WrittenTensor: Sendable, Equatable {
    package let name: String
    package let format: TensorFormat
    package let role: TensorRole
    package let shape: [Int]
    /// XXH64 of its bytes.
    package let checksum: UInt64

    package init(
      name: String, format: TensorFormat, role: TensorRole, shape: [Int], checksum: UInt64
    ) {
      self.name = name
      self.format = format
      self.role = role
      self.shape = shape
      self.checksum = checksum
    }
  }

  /// Recovers the leading `tensors`, in the order they were written, that the unfinished file still
  /// contains; everything after them is discarded.
  ///
  /// - Returns: the number of tensors recovered.
  package func recover(_ tensors: [WrittenTensor]) throws(ContainerError) -> Int {
    precondition(entries.isEmpty && open == nil, "before any tensor is written")
    let available: Int
    do { available = try file.partialByteCount() } catch { throw ContainerError(error) }
    var end = Format.dataAlignment
    for tensor in tensors {
      guard TensorIndex.problem(name: tensor.name) == nil, !names.contains(tensor.name),
        let start = Format.aligned(end, to: Format.alignment),
        let byteCount = tensor.format.byteCount(shape: tensor.shape),
        byteCount <= available - start, try hash(start..<start + byteCount) == tensor.checksum,
        try isZeroOnDisk(end..<start)
      else { break }
      names.insert(tensor.name)
      entries.append(
        TensorIndex.Entry(
          name: tensor.name, format: tensor.format, role: tensor.role, shape: tensor.shape,
          offset: start - Format.dataAlignment, byteCount: byteCount, hash: tensor.checksum))
      end = start + byteCount
    }
    guard !entries.isEmpty else {
      do { try file.resume(at: 0) } catch { throw ContainerError(error) }
      return 0
    }
    // The padding of the first page is rewritten with the marker.
    do throws(FileError) {
      try file.resume(at: end)
      let result = pending.withUnsafeBytes { buffer in
        Result { () throws(FileError) in try file.write(buffer, at: 0) }
      }
      try result.get()
    } catch { throw ContainerError(error) }
    pending.removeAll(keepingCapacity: true)
    return entries.count
  }

  /// XXH64 of a range of the unfinished file; nil if the file is shorter.
  private func hash(_ range: Range<Int>) throws(ContainerError) -> UInt64? {
    var hash = XXH64()
    let isWhole = try forEachPiece(range) { hash.update($0) }
    return isWhole ? hash.digest : nil
  }

  private func isZeroOnDisk(_ range: Range<Int>) throws(ContainerError) -> Bool {
    var result = true
    let isWhole = try forEachPiece(range) { if !isZero($0) { result = false } }
    return isWhole && result
  }

  /// Calls `body` with the bytes of `range` in chunks; false if the unfinished file is shorter.
  private func forEachPiece(
    _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Void
  ) throws(ContainerError) -> Bool {
    let size = min(4 << 20, max(1, range.count))
    let buffer = SystemMemory.allocate(size)
    defer { buffer.deallocate() }
    var position = range.lowerBound
    while position < range.upperBound {
      let piece = UnsafeMutableRawBufferPointer(
        rebasing: buffer[..<min(size, range.upperBound - position)])
      do {
        guard try file.read(at: position, into: piece) else { return false }
      } catch { throw ContainerError(error) }
      body(UnsafeRawBufferPointer(piece))
      position += piece.count
    }
    return true
  }

  package var path: String { file.path }
  private var position: Int { file.count + pending.count }

  /// Adds a section. The order relative to tensors does not matter.
  ///
  /// - Precondition: `kind` is not one of the two tensor sections, which the writer creates.
  package func add(section kind: SectionKind, _ bytes: [UInt8]) throws(ContainerError) {
    precondition(kind.isKnown && kind.mayCompress, "the writer makes the tensor sections")
    let place = ContainerError.Place.named(kind)
    guard contents[kind] == nil else {
      throw ContainerError(
        path: path, place: place, problem: .broken(.r12, "the section was added twice"))
    }
    guard (1...Format.maximumSectionSize).contains(bytes.count) else {
      throw ContainerError(
        path: path, place: place,
        problem: .value(
          .r22, field: "raw size", found: "\(bytes.count)",
          expected: "1 to \(Format.maximumSectionSize)"))
    }
    contents[kind] = bytes
  }

  /// Copies the sections of unknown kinds of `container` unchanged, after all others. None of them
  /// is required, because such a container cannot be opened. `finish` throws if their bytes do not
  /// match the container's checksums.
  package func add(unknownSectionsOf container: Container) {
    precondition(unknown == nil, "those of one container")
    unknown = container
  }

  /// Starts a tensor; its bytes are passed to `write`.
  package func beginTensor(
    name: String, format: TensorFormat, role: TensorRole, shape: [Int]
  ) throws(ContainerError) {
    precondition(open == nil, "one tensor is written at a time")
    func fail(_ problem: ContainerError.Problem) -> ContainerError {
      ContainerError(path: path, place: .tensor(name), problem: problem)
    }
    if let problem = TensorIndex.problem(name: name) { throw fail(problem) }
    guard names.insert(name).inserted else {
      throw fail(.broken(.r39, "the name, or one canonically equivalent to it, was written before"))
    }
    guard shape.count <= Format.maximumRank else {
      throw fail(
        .value(
          .r41, field: "rank", found: "\(shape.count)", expected: "at most \(Format.maximumRank)"))
    }
    guard shape.allSatisfy({ $0 > 0 }) else {
      throw fail(.value(.r42, field: "shape", found: "\(shape)", expected: "extents of 1 or more"))
    }
    guard let byteCount = format.byteCount(shape: shape) else {
      throw fail(
        .broken(
          .r44,
          "shape \(shape) cannot be stored as \(format.scheme.name), layout "
            + "\(format.layout.rawValue), axis order \(format.order.rawValue)"))
    }
    try pad(to: Format.alignment)
    let entry = TensorIndex.Entry(
      name: name, format: format, role: role, shape: shape,
      offset: position - Format.dataAlignment, byteCount: byteCount, hash: 0)
    open = (entry, XXH64())
    written = 0
  }

  private var written = 0

  /// Appends to the open tensor.
  package func write(_ bytes: UnsafeRawBufferPointer) throws(ContainerError) {
    guard let entry = open?.entry else { preconditionFailure("bytes belong to a begun tensor") }
    guard bytes.count <= entry.byteCount - written else {
      throw miscounted(entry, found: "\(written + bytes.count) or more")
    }
    open?.hash.update(bytes)
    written += bytes.count
    try append(bytes)
  }

  /// Appends to the open tensor.
  package func write(_ bytes: [UInt8]) throws(ContainerError) {
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(ContainerError) in try write(buffer) }
    }
    try result.get()
  }

  /// Finishes the open tensor, and returns the checksum of its bytes.
  ///
  /// - Throws: if it received fewer bytes than its format requires.
  @discardableResult
  package func endTensor() throws(ContainerError) -> UInt64 {
    guard case (var entry, let hash)? = open else { preconditionFailure("a begun tensor is ended") }
    guard written == entry.byteCount else { throw miscounted(entry, found: "\(written)") }
    entry.hash = hash.digest
    entries.append(entry)
    open = nil
    return entry.hash
  }

  private func miscounted(_ entry: TensorIndex.Entry, found: String) -> ContainerError {
    ContainerError(
      path: path, place: .tensor(entry.name),
      problem: .value(
        .r45, field: "bytes written", found: found,
        expected: "\(entry.byteCount) for shape \(entry.shape) as \(entry.format.scheme.name)"))
  }

  /// Writes the other sections, the table and the header, and moves the file to its path.
  package func finish() throws(ContainerError) -> ContainerSummary {
    precondition(open == nil, "every begun tensor is ended")
    guard !entries.isEmpty else {
      throw ContainerError(
        path: path, place: .named(.tensorIndex),
        problem: .value(.r33, field: "tensor count", found: "0", expected: "1 or more"))
    }
    guard contents[.config] != nil else {
      throw ContainerError(
        path: path, place: .table, problem: .broken(.r23, "section 'config' is missing"))
    }
    let tensorBytes = entries.reduce(0) { $0 + $1.byteCount }
    let dataRange = Format.dataAlignment..<position
    entries.sort { TensorIndex.ascends($0.name, $1.name) }
    let index = TensorIndex.encode(entries)
    guard index.count <= Format.maximumSectionSize else {
      throw ContainerError(
        path: path, place: .named(.tensorIndex),
        problem: .value(
          .r22, field: "raw size", found: "\(index.count)",
          expected: "1 to \(Format.maximumSectionSize)"))
    }
    contents[.tensorIndex] = index

    let dataHash = TensorIndex.dataHash(entries.map(\.hash))
    var sections = [
      SectionEntry(
        kind: .tensorData, flags: SectionKind.tensorData.flags,
        codecCode: SectionCodec.raw.rawValue, range: dataRange, rawByteCount: dataRange.count,
        storedHash: dataHash, rawHash: dataHash)
    ]
    for kind in SectionKind.known {
      if let bytes = contents[kind] { sections.append(try writeSection(kind, bytes)) }
    }
    for section in unknown?.sections ?? [] where !section.kind.isKnown {
      sections.append(try copySection(section))
    }
    guard sections.count <= Format.maximumSections else {
      throw ContainerError(
        path: path, place: .table,
        problem: .value(
          .r09, field: "section count", found: "\(sections.count)",
          expected: "at most \(Format.maximumSections)"))
    }
    try pad(to: Format.alignment)
    let table = SectionTable.encode(sections)
    let header = Header(
      version: entries.map { Format.version(of: $0) }.max() ?? 1, sectionCount: sections.count,
      fileSize: position + table.count, tableOffset: position,
      tableHash: XXH64.hash(table), rootHash: SectionTable.rootHash(sections))
    try append(table)
    try commit(header)
    return ContainerSummary(
      path: path, fileSize: header.fileSize, tensorBytes: tensorBytes, tensorCount: entries.count,
      sections: sections, rootHash: header.rootHash)
  }

  private func writeSection(
    _ kind: SectionKind, _ bytes: [UInt8]
  ) throws(ContainerError) -> SectionEntry {
    try pad(to: kind.alignment)
    var stored = bytes
    var codec = SectionCodec.raw
    if compress, kind.mayCompress, bytes.count >= Format.smallestCompressed,
      let frame = ZstdFrame.compress(bytes), frame.count < bytes.count
    {
      stored = frame
      codec = .zstd
    }
    let start = position
    try append(stored)
    return SectionEntry(
      kind: kind, flags: kind.flags, codecCode: codec.rawValue, range: start..<position,
      rawByteCount: bytes.count, storedHash: XXH64.hash(stored), rawHash: XXH64.hash(bytes))
  }

  private func copySection(_ section: SectionEntry) throws(ContainerError) -> SectionEntry {
    try pad(to: section.kind.alignment)
    let start = position
    guard let file = unknown?.file else { return section }
    defer { withExtendedLifetime(file) {} }
    var hash = XXH64()
    for first in stride(from: section.range.lowerBound, to: section.range.upperBound, by: 4 << 20) {
      let range = first..<min(first + (4 << 20), section.range.upperBound)
      hash.update(file.bytes(range))
      try append(file.bytes(range))
      file.release(range)
    }
    guard hash.digest == section.storedHash else {
      throw ContainerError(
        path: file.path, place: .named(section.kind),
        problem: .hash(.r25, found: hash.digest, expected: section.storedHash))
    }
    return SectionEntry(
      kind: section.kind, flags: section.flags, codecCode: section.codecCode,
      range: start..<position, rawByteCount: section.rawByteCount, storedHash: section.storedHash,
      rawHash: section.rawHash)
  }

  private func pad(to alignment: Int) throws(ContainerError) {
    pending.appendZeros((alignment - position % alignment) % alignment)
  }

  private func append(_ bytes: [UInt8]) throws(ContainerError) {
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(ContainerError) in try append(buffer) }
    }
    try result.get()
  }

  /// Small chunks are buffered, large ones are written directly.
  private func append(_ bytes: UnsafeRawBufferPointer) throws(ContainerError) {
    if pending.count + bytes.count > Self.pendingSize { try flush() }
    if bytes.count > Self.pendingSize {
      do { try file.write(bytes) } catch { throw ContainerError(error) }
    } else {
      pending.append(contentsOf: bytes)
    }
  }

  private func flush() throws(ContainerError) {
    guard !pending.isEmpty else { return }
    do { try file.write(pending) } catch { throw ContainerError(error) }
    pending.removeAll(keepingCapacity: true)
  }

  private func commit(_ header: Header) throws(ContainerError) {
    try flush()
    // The unfinished file is renamed only after the header is written, and the header only after
    // everything else is on disk, so that a crash never leaves a valid header on incomplete data.
    if isResumable {
      do { try file.sync() } catch { throw ContainerError(error) }
    }
    let result = header.encoded().withUnsafeBytes { buffer in
      Result { () throws(FileError) in try file.write(buffer, at: 0) }
    }
    do throws(FileError) {
      try result.get()
      try file.commit()
    } catch { throw ContainerError(error) }
  }
}
