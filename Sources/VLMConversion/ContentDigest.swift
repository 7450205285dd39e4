import Synchronization
import VLMCheckpoint
import VLMContainer
import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// What a checkpoint holds, whatever files and kind of file it is in: the SHA-256 of
///
///     "vlmz tensors 1\n"
///     then for every tensor, in the order of the bytes of their names:
///       u32 bytes of the name, the name in UTF-8
///       u32 bytes of the element type, the type as safetensors or else GGUF names it
///       u32 number of extents, each extent as u64
///       SHA-256 of the elements, little-endian, in C order
///
/// with all integers little-endian. Metadata, order and alignment have no part in it.
package enum ContentDigest {
  private static let pieceElements = 1 << 20

  /// - Parameter progress: called with bytes done, of all, by one thread at a time.
  package static func digest(
    of catalog: TensorCatalog, pool: WorkerPool, progress: @escaping (Int, Int) -> Void
  ) throws(CheckpointError) -> [UInt8] {
    let tensors = catalog.tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    let total = catalog.byteCount
    let done = Mutex(0)
    let digests = Mutex([[UInt8]](repeating: [], count: tensors.count))
    pool.forEach(count: tensors.count) { index, _ in
      let digest = Self.elements(of: tensors[index]) { size in
        done.withLock { done in
          done += size
          progress(done, total)
        }
      }
      digests.withLock { $0[index] = digest }
    }
    try catalog.checkUnchanged()
    var hash = SHA256()
    func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { hash.update($0) } }
    func update<T: FixedWidthInteger>(_ value: T) {
      withUnsafeBytes(of: value.littleEndian) { hash.update($0) }
    }
    update(Array("vlmz tensors 1\n".utf8))
    for (tensor, digest) in zip(tensors, digests.withLock { $0 }) {
      for text in [tensor.name, tensor.typeName] {
        update(UInt32(text.utf8.count))
        update(Array(text.utf8))
      }
      update(UInt32(tensor.shape.count))
      for extent in tensor.shape { update(UInt64(extent)) }
      update(digest)
    }
    return hash.digest
  }

  private static func elements(
    of tensor: CheckpointTensor, advance: (Int) -> Void
  ) -> [UInt8] {
    var hash = SHA256()
    // Blocks are hashed as they are. Elements of less than a byte come whole, too.
    guard tensor.blocks == nil, tensor.dtype.bitCount % 8 == 0 else {
      tensor.withBytes { bytes in
        for start in stride(from: 0, to: bytes.count, by: pieceElements) {
          let piece = bytes[start..<min(start + pieceElements, bytes.count)]
          hash.update(UnsafeRawBufferPointer(rebasing: piece))
          advance(piece.count)
        }
      }
      return hash.digest
    }
    for first in stride(from: 0, to: tensor.elementCount, by: pieceElements) {
      let range = first..<min(first + pieceElements, tensor.elementCount)
      tensor.withBytes(ofElements: range) { bytes in
        hash.update(bytes)
        advance(bytes.count)
      }
      for (file, bytes) in tensor.fileRanges(ofElements: range) { file.release(bytes) }
    }
    return hash.digest
  }
}

/// The hashes of a file's bytes, all of them.
package struct FileDigest: Sendable {
  package let path: String
  package let byteCount: Int
  package let sha256: [UInt8]
  package let xxh64: UInt64

  private static let pieceBytes = 1 << 20

  /// Reads `file` once, both hashes on a thread each.
  package init(_ file: MappedFile, pool: WorkerPool) throws(FileError) {
    path = file.path
    byteCount = file.count
    file.advise(0..<file.count, MADV_SEQUENTIAL)
    let secure = Mutex(SHA256())
    let fast = Mutex(XXH64())
    // Piece by piece, so that the second hash finds in memory what the first has read.
    for start in stride(from: 0, to: file.count, by: 16 * Self.pieceBytes) {
      let stretch = start..<min(start + 16 * Self.pieceBytes, file.count)
      pool.forEach(count: 2) { piece, _ in
        let bytes = file.bytes(stretch)
        if piece == 0 { secure.withLock { $0.update(bytes) } }
        if piece == 1 { fast.withLock { $0.update(bytes) } }
      }
      file.release(stretch)
    }
    try file.checkInPlace()
    sha256 = secure.withLock { $0.digest }
    xxh64 = fast.withLock { $0.digest }
  }
}
