import VLMContainer
import VLMFoundation
import VLMTensor

/// Writes encoded pieces on a thread of its own, and notes each finished tensor in the journal.
final class OutputStage {
  /// The writer and the journal, used by the queue's thread alone until it is waited for.
  private final class Target: @unchecked Sendable {
    let writer: ContainerWriter
    let journal: ConversionJournal

    init(writer: ContainerWriter, journal: ConversionJournal) {
      self.writer = writer
      self.journal = journal
    }
  }

  /// Buffers that are handed out in turn.
  ///
  /// When a piece has been submitted, at most `piecesWaiting` wait and one more is being written,
  /// so the buffer after those is free again.
  struct Buffers {
    private let memory: AlignedMemory
    private let byteCount: Int

    init(byteCount: Int) {
      self.byteCount = (byteCount + 63) & ~63
      memory = AlignedMemory(byteCount: Self.byteCount(ofPieces: byteCount))
    }

    /// What buffers for pieces of `byteCount` bytes take.
    static func byteCount(ofPieces byteCount: Int) -> Int {
      ((byteCount + 63) & ~63) * (OutputStage.piecesWaiting + 2)
    }

    subscript(index: Int) -> UnsafeMutableRawBufferPointer {
      let start = index % (OutputStage.piecesWaiting + 2) * byteCount
      return UnsafeMutableRawBufferPointer(rebasing: memory.bytes[start..<start + byteCount])
    }

    var owner: AnyObject { memory }
  }

  private static let piecesWaiting = 2
  private let target: Target
  private let queue = TaskQueue(limit: OutputStage.piecesWaiting)

  /// Of the finished file.
  let path: String

  init(writer: ContainerWriter, journal: ConversionJournal) {
    path = writer.path
    target = Target(writer: writer, journal: journal)
  }

  /// Hands over an encoded piece.
  ///
  /// - Parameter error: of the tensor up to here.
  func submit(
    _ piece: TensorPiece, _ buffers: Buffers, _ bytes: UnsafeMutableRawBufferPointer,
    _ error: QuantizationError
  ) throws {
    let owner = buffers.owner
    try queue.submit { [target] in
      defer { withExtendedLifetime(owner) {} }
      let spec = piece.item.spec
      if piece.isFirst {
        try target.writer.beginTensor(
          name: spec.path, format: piece.item.format, role: spec.role, shape: spec.shape)
      }
      try target.writer.write(UnsafeRawBufferPointer(rebasing: bytes[..<piece.byteCount]))
      if piece.isLast {
        let checksum = try target.writer.endTensor()
        try target.journal.append(.init(name: spec.path, checksum: checksum, error: error))
      }
    }
  }

  /// Returns when everything is written.
  func wait() throws { try queue.wait() }
}

/// Bytes that are freed with the object.
private final class AlignedMemory: @unchecked Sendable {
  let bytes: UnsafeMutableRawBufferPointer

  init(byteCount: Int) { bytes = SystemMemory.allocate(byteCount) }

  deinit { bytes.deallocate() }
}
