import Synchronization
import VLMFoundation
import VLMTensor

/// Decodes frames on several threads while the ones before are used, in their order.
///
/// Memory: two batches of two frames a thread, each with its stored bytes: at most 4 · threads ·
/// 4 MiB, 8 MiB a thread for files of this writer.
final class FramePipeline {
  /// Called with a frame and its bytes of the container, in order, on a thread of its own. The bytes
  /// may be changed.
  typealias Sink = (FrameHeader, UnsafeMutableRawBufferPointer) throws -> Void

  private let pool: WorkerPool
  private let codecs: [FrameCodec]

  init(pool: WorkerPool) {
    self.pool = pool
    codecs = (0..<pool.threadCount).map { _ in FrameCodec() }
  }

  private final class Batch: @unchecked Sendable {
    var frames: [PackedReader.Frame] = []
    /// Room for the frames' bytes of the container, kept from batch to batch.
    var rooms: [UnsafeMutableRawBufferPointer] = []

    deinit { for room in rooms { room.deallocate() } }

    func makeRoom(for frame: PackedReader.Frame, at index: Int) {
      if index == rooms.count { rooms.append(SystemMemory.allocate(PackedFormat.frameSize)) }
      if rooms[index].count < frame.header.rawSize {
        rooms[index].deallocate()
        rooms[index] = SystemMemory.allocate(frame.header.rawSize)
      }
    }

    func bytes(_ index: Int) -> UnsafeMutableRawBufferPointer {
      UnsafeMutableRawBufferPointer(rebasing: rooms[index][..<frames[index].header.rawSize])
    }
  }

  /// Reads everything to the end of the file.
  ///
  /// - Throws: the first error in the order of the file, after all frames before it were used; what
  ///   `sink` throws.
  func run(_ reader: inout PackedReader, name: String, sink: @escaping Sink) throws {
    let queue = TaskQueue(limit: 1)
    let batches = [Batch(), Batch()]
    var turn = 0
    while true {
      let batch = batches[turn % 2]
      turn += 1
      var failure = fill(batch, from: &reader)
      let isLast = failure != nil || batch.frames.count < frameCount
      let (count, error) = decode(batch, reader, name: name)
      failure = error ?? failure
      // The batch before has been used when this returns.
      try queue.wait()
      try queue.submit {
        for index in 0..<count { try sink(batch.frames[index].header, batch.bytes(index)) }
      }
      if isLast || failure != nil {
        try queue.wait()
        if let failure { throw failure }
        return
      }
    }
  }

  /// Frames of a batch.
  private var frameCount: Int { 2 * pool.threadCount }

  private func fill(_ batch: Batch, from reader: inout PackedReader) -> TransportError? {
    batch.frames.removeAll(keepingCapacity: true)
    do throws(TransportError) {
      while batch.frames.count < frameCount, let frame = try reader.next() {
        batch.makeRoom(for: frame, at: batch.frames.count)
        batch.frames.append(frame)
      }
      return nil
    } catch { return error }
  }

  /// - Returns: how many frames of the batch are sound, and what is wrong with the next.
  private func decode(
    _ batch: Batch, _ reader: PackedReader, name: String
  ) -> (count: Int, failure: TransportError?) {
    let failures = Mutex<[Int: TransportError]>([:])
    pool.forEach(count: batch.frames.count) { index, worker in
      let frame = batch.frames[index]
      let raw = batch.bytes(index)
      do throws(FrameCodec.Failure) {
        try frame.stored.withUnsafeResult { (stored) throws(FrameCodec.Failure) in
          try codecs[worker].decode(frame.header, stored, into: raw)
        }
      } catch {
        let failure = TransportError(path: name, place: frame.place, problem: error.problem)
        failures.withLock { $0[index] = failure }
        return
      }
      guard frame.index == 0 else { return }
      do throws(TransportError) {
        try reader.checkStart(UnsafeRawBufferPointer(raw))
      } catch {
        failures.withLock { $0[index] = error }
      }
    }
    let found = failures.withLock { $0 }
    guard let first = found.keys.min() else { return (batch.frames.count, nil) }
    return (first, found[first])
  }
}

extension [UInt8] {
  /// As `withUnsafeBytes`, with the type of what is thrown.
  func withUnsafeResult<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    let result = withUnsafeBytes { buffer in
      Result { () throws(E) -> R in try body(buffer) }
    }
    return try result.get()
  }
}
