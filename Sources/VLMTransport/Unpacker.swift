import VLMContainer
import VLMFoundation
import VLMTensor

/// Makes the container of a packed file again, byte for byte.
package struct Unpacker {
  /// What was unpacked.
  package struct Summary: Sendable {
    package let header: PackedHeader
    package let frameCount: Int
    package let packedSize: Int
    /// Bytes of the container that an earlier process had written.
    package let keptBytes: Int
  }

  /// What becomes of an output that cannot be finished.
  package enum Keeping: Sendable {
    /// Nothing is left.
    case nothing
    /// It is kept, with a journal; an earlier one is replaced.
    case partial
    /// The same, and an earlier one is continued.
    case continued
  }

  private let input: PackedInput
  private let pool: WorkerPool

  package init(_ input: PackedInput, pool: WorkerPool) {
    self.input = input
    self.pool = pool
  }

  /// Unpacks to `path`. The file appears there when all of it has been verified: each frame by its
  /// hash, and the whole as a container with the root hash that the packed file states.
  ///
  /// - Parameters:
  ///   - overwrite: replace an existing file.
  ///   - limit: bytes that the container may have.
  ///   - check: throws for a file that may not get its name; called when all of it is there, before
  ///     anything in it is looked at. Nothing is kept of one that is refused.
  ///   - progress: called with the bytes of the container that are done, and all of them.
  /// - Throws: `TransportError`, whose `resumesAt` says from which byte of the packed file a kept
  ///   output continues; what `check` throws.
  package func unpack(
    to path: String, overwrite: Bool, keeping: Keeping, limit: Int = .max,
    check: (MappedFile, PackedHeader) throws -> Void = { _, _ in },
    progress: @escaping (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws -> Summary {
    // Before anything is made: most mistakes show in the first bytes.
    let start: Start
    do throws(TransportError) { start = try first() } catch {
      var error = error
      if keeping == .continued { error.resumesAt = try Self.continuation(of: path).nonZero }
      throw error
    }
    if case .header(let header) = start {
      guard header.containerSize <= limit else {
        throw TransportError(
          path: input.name, place: .file,
          problem: .exceedsCache(bytes: header.containerSize, limit: limit))
      }
    }
    let output: UnpackedOutput
    do throws(FileError) {
      output = try UnpackedOutput(
        path: path, overwrite: overwrite, isResumable: keeping != .nothing)
    } catch { throw TransportError(error) }
    var reader = try reader(from: start, output, isContinued: keeping == .continued)
    let kept = reader.position
    var written = kept
    do {
      let total = reader.header.containerSize
      progress(written.rawOffset, total)
      try FramePipeline(pool: pool).run(&reader, name: input.name) { frame, raw in
        do throws(FileError) { try output.write(frame, raw) } catch { throw TransportError(error) }
        written.advance(over: frame)
        progress(written.rawOffset, total)
      }
      do throws(FileError) { try output.complete() } catch { throw TransportError(error) }
    } catch var error as TransportError {
      if keeping != .nothing {
        if written.frameCount > 0 {
          output.keep()
          // Behind the end nothing is lacking: what is wrong would be wrong again.
          error.resumesAt = error.rule == .p23 ? nil : written.packedOffset
        } else {
          output.discard()
        }
      }
      throw error
    }
    try prove(output, reader, check)
    do throws(FileError) { try output.commit() } catch { throw TransportError(error) }
    return Summary(
      header: reader.header, frameCount: reader.position.frameCount,
      packedSize: reader.position.packedOffset + PackedFormat.recordSize,
      keptBytes: kept.rawOffset)
  }

  /// The header of the input, if the container that it is of is at `path` already and sound. The
  /// input stays at its beginning.
  ///
  /// - Throws: `TransportError` for an input that cannot be read.
  package func finished(at path: String) throws -> PackedHeader? {
    guard let header = try header(),
      let container = try? Container.open(path: path, isInput: false),
      container.rootHash == header.rootHash, container.file.count == header.containerSize
    else { return nil }
    let defects = try? container.verify(
      strict: false,
      loop: { count, body in pool.forEach(count: count) { piece, _ in body(piece) } })
    return defects?.isEmpty == true ? header : nil
  }

  /// The header of the input, which stays at its beginning; nil where it begins with none.
  ///
  /// - Throws: `TransportError` for an input that cannot be read.
  package func header() throws -> PackedHeader? {
    let bytes: [UInt8]
    do throws(FileError) { bytes = try input.peek(PackedFormat.headerSize) } catch {
      throw TransportError(error)
    }
    return bytes.withUnsafeBytes { try? PackedHeader($0, path: input.name) }
  }

  /// Decodes everything and writes nothing: every rule but that what comes out is a container.
  ///
  /// - Parameter progress: as for `unpack`.
  /// - Throws: `TransportError`, the first defect.
  package func verify(
    progress: @escaping (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws -> Summary {
    var reader = try PackedReader(input)
    let total = reader.header.containerSize
    var done = 0
    try FramePipeline(pool: pool).run(&reader, name: input.name) { frame, _ in
      done += frame.rawSize
      progress(done, total)
    }
    return Summary(
      header: reader.header, frameCount: reader.position.frameCount,
      packedSize: reader.position.packedOffset + PackedFormat.recordSize, keptBytes: 0)
  }

  /// Removes the journal that a process left which was killed when its output was in place already.
  package static func removeFinishedJournal(of path: String) {
    let partial = OutputFile.partialPath(of: path)
    let journal = partial + UnpackedOutput.journalSuffix
    let marker = UnpackedOutput.journalMarker
    // With a partial file it is of an output that another process began anew.
    guard !FileSystem.exists(partial), JournalFile.exists(at: journal, marker: marker)
    else { return }
    // Another process that has just finished holds its lock, and removes it.
    guard let file = try? JournalFile(path: journal, marker: marker, keeping: true) else { return }
    file.remove()
  }

  /// Byte of the packed file from which an unfinished output at `path` continues; 0 without one.
  package static func continuation(of path: String) throws -> Int {
    do throws(FileError) {
      let journal = OutputFile.partialPath(of: path) + UnpackedOutput.journalSuffix
      guard JournalFile.exists(at: journal, marker: UnpackedOutput.journalMarker) else { return 0 }
      let output = try UnpackedOutput(path: path, overwrite: true, isResumable: true)
      guard let remainder = try output.remainder() else {
        output.discard()
        return 0
      }
      return remainder.position.packedOffset
    } catch { throw TransportError(error) }
  }

  // MARK: The beginning

  private enum Start {
    case header(PackedHeader)
    /// A record in the middle of a file, perhaps.
    case middle
  }

  private func first() throws(TransportError) -> Start {
    let bytes: [UInt8]
    do { bytes = try input.read(PackedFormat.recordSize) } catch { throw TransportError(error) }
    input.unread(bytes)
    // A record's own hash tells it from the beginning of any other file.
    let isRecord =
      bytes.count == PackedFormat.recordSize
      && bytes.withUnsafeBytes { buffer in
        XXH64.hash(buffer.slice(0..<PackedFormat.hashedRecordSize))
          == buffer.little(PackedFormat.hashedRecordSize)
      }
    return isRecord ? .middle : .header(try PackedReader.header(input))
  }

  /// The reader where the output goes on.
  private func reader(
    from start: Start, _ output: UnpackedOutput, isContinued: Bool
  ) throws -> PackedReader {
    do {
      let remainder = isContinued ? try output.remainder() : nil
      guard let remainder else {
        guard case .header(let header) = start else {
          output.discard()
          throw TransportError(path: input.name, place: .file, problem: .nothingToContinue)
        }
        try begin(header, output)
        return PackedReader(input, header: header, at: PackedReader.Position())
      }
      switch start {
      case .middle:
        try output.resume(remainder.header, frames: remainder.frames)
        return PackedReader(input, header: remainder.header, at: remainder.position)
      case .header(let header):
        guard header == remainder.header else {
          throw TransportError(
            path: input.name, place: .header,
            problem: .otherTransfer(found: header.rootHash, expected: remainder.header.rootHash),
            resumesAt: remainder.position.packedOffset)
        }
        return try skip(remainder, output)
      }
    } catch let error as FileError { throw TransportError(error) }
  }

  /// Starts anew, or leaves nothing where that cannot be.
  private func begin(_ header: PackedHeader, _ output: UnpackedOutput) throws(FileError) {
    do throws(FileError) { try output.begin(header) } catch {
      output.discard()
      throw error
    }
  }

  /// Leaves out the frames that the output has, as long as the input has the same ones.
  private func skip(
    _ remainder: UnpackedOutput.Remainder, _ output: UnpackedOutput
  ) throws -> PackedReader {
    var reader = PackedReader(
      input, header: remainder.header, at: PackedReader.Position())
    var count = 0
    for frame in remainder.frames {
      let bytes = try input.read(PackedFormat.recordSize)
      guard bytes == frame.encoded() else {
        input.unread(bytes)
        break
      }
      guard try input.skip(frame.storedSize) else { break }
      reader.skip(frame)
      count += 1
    }
    try output.resume(remainder.header, frames: Array(remainder.frames.prefix(count)))
    return reader
  }

  // MARK: The end

  /// Reads the whole container before it gets its name.
  private func prove(
    _ output: UnpackedOutput, _ reader: PackedReader,
    _ check: (MappedFile, PackedHeader) throws -> Void
  ) throws {
    let file: MappedFile
    do throws(FileError) {
      file = try MappedFile(path: output.file.temporaryPath, isInput: false)
    } catch { throw TransportError(error) }
    do { try check(file, reader.header) } catch {
      output.discard()
      throw error
    }
    do throws(ContainerError) {
      let container = try Container(file)
      let defects = try container.verify(
        strict: false,
        loop: { count, body in pool.forEach(count: count) { piece, _ in body(piece) } })
      if let defect = defects.first { throw defect }
    } catch {
      // What cannot be read for once may be sound.
      if case .file(let error) = error.problem { throw TransportError(error) }
      output.discard()
      throw TransportError(
        path: input.name, place: .end(at: reader.position.packedOffset),
        problem: .container(error))
    }
  }
}

extension Int {
  /// Nil for 0.
  fileprivate var nonZero: Int? { self == 0 ? nil : self }
}
