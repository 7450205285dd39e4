import Synchronization
import VLMContainer
import VLMFoundation
import VLMTensor

/// Writes the packed form of a container.
package struct Packer {
  /// What was written.
  package struct Summary: Sendable {
    package let containerSize: Int
    package let packedSize: Int
    package let frameCount: Int
    package let rootHash: [UInt8]
  }

  private let container: Container
  private let pool: WorkerPool
  private let plan: PackingPlan

  package init(_ container: Container, pool: WorkerPool) {
    self.container = container
    self.pool = pool
    plan = PackingPlan(container)
  }

  /// Checks the container and writes its packed form to `path`. The file appears there when it is
  /// complete.
  ///
  /// The same container gives the same bytes with the same version of zstd, on any number of threads.
  /// Memory: two batches of two frames of 1 MiB a thread, and zstd's own, 3 MB a thread.
  ///
  /// - Parameters:
  ///   - overwrite: replace an existing file.
  ///   - progress: called with the bytes done, of twice the container's: it is checked first.
  /// - Throws: `TransportError` for a container that is damaged or changes, and for the output.
  package func write(
    to path: String, overwrite: Bool, progress: (Int) -> Void = { _ in }
  ) throws -> Summary {
    let file = container.file
    let size = file.count
    let output: OutputFile
    do throws(FileError) {
      output = try OutputFile(path: path, overwrite: overwrite)
    } catch { throw TransportError(error) }
    try checkSource(progress)
    let header = PackedHeader(containerSize: size, rootHash: container.rootHash)
    try write(header.encoded(), to: output)
    var position = PackedReader.Position()
    let codecs = (0..<pool.threadCount).map { _ in FrameCodec() }
    let queue = TaskQueue(limit: 1)
    var first = 0
    while first < plan.pieces.count {
      let pieces = plan.pieces[first..<min(first + 2 * pool.threadCount, plan.pieces.count)]
      first = pieces.endIndex
      let encoded = encode(pieces, codecs)
      var bytes: [UInt8] = []
      bytes.reserveCapacity(encoded.reduce(0) { $0 + $1.stored.count + PackedFormat.recordSize })
      for frame in encoded {
        bytes += frame.header.encoded()
        bytes += frame.stored
        position.advance(over: frame.header)
      }
      try queue.wait()
      let batch = bytes
      try queue.submit { try write(batch, to: output) }
      if let start = pieces.first?.range.lowerBound { file.release(start..<position.rawOffset) }
      progress(size + position.rawOffset)
    }
    try queue.wait()
    try write(PackedReader.end(position), to: output)
    do throws(FileError) {
      try container.checkUnchanged()
      try output.commit()
    } catch { throw TransportError(error) }
    return Summary(
      containerSize: size, packedSize: output.count, frameCount: position.frameCount,
      rootHash: container.rootHash)
  }

  /// Refuses a damaged container here, not where it is unpacked.
  private func checkSource(_ progress: (Int) -> Void) throws(TransportError) {
    let defect: ContainerError?
    do throws(ContainerError) {
      defect = try withoutActuallyEscaping(progress) { (progress) throws(ContainerError) in
        try container.verify(
          strict: false, progress: { done, _ in progress(done) },
          loop: { count, body in pool.forEach(count: count) { piece, _ in body(piece) } }
        ).first
      }
    } catch { defect = error }
    guard let defect else { return }
    throw TransportError(path: container.path, place: .file, problem: .source(defect))
  }

  private typealias Encoded = (header: FrameHeader, stored: [UInt8])

  private func encode(_ pieces: ArraySlice<PackingPlan.Piece>, _ codecs: [FrameCodec]) -> [Encoded]
  {
    let results = Mutex<[Int: Encoded]>([:])
    pool.forEach(count: pieces.count) { index, worker in
      let piece = pieces[pieces.startIndex + index]
      let encoded = container.file.withBytes(piece.range) { raw in
        codecs[worker].encode(
          raw, offset: piece.range.lowerBound, filter: piece.filter, effort: piece.effort)
      }
      results.withLock { $0[index] = encoded }
    }
    let found = results.withLock { $0 }
    return pieces.indices.compactMap { found[$0 - pieces.startIndex] }
  }

  private func write(_ bytes: [UInt8], to output: OutputFile) throws(TransportError) {
    do throws(FileError) { try output.write(bytes) } catch { throw TransportError(error) }
  }
}
