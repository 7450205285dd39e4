import Synchronization
import VLMCheckpoint
import VLMContainer
import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// Reads the files of a checkpoint once, front to back, on a thread of its own, a bounded distance
/// ahead of the encoder, and hashes them on the way.
///
/// Hashing is what brings the pages in, so the encoder finds them mapped. Behind the encoder they
/// are let go again: the mapping of a file of any size keeps a few dozen megabytes resident.
final class SourceReader {
  private let queue = TaskQueue(limit: SourceReader.piecesAhead)
  private let files: [ObjectIdentifier: HashedFile]

  /// Pieces that may be read before they are encoded.
  static let piecesAhead = 3
  private static let chunk = 1 << 20

  /// A file and how far it has been read; used by the reader's thread alone until it is done.
  private final class HashedFile: @unchecked Sendable {
    let file: MappedFile
    var hash = XXH64()
    var position = 0
    /// Bytes before this have been encoded and released.
    let released = Atomic(0)

    init(_ file: MappedFile) {
      self.file = file
      file.advise(0..<file.count, MADV_SEQUENTIAL)
    }

    /// Hashes up to `end`, and releases what lies before `needed` at once. On slow disks the encoder may
    /// have finished with those pages before; hashing maps them again.
    func read(to end: Int, needed: Int) {
      while position < end {
        let next = min(position + SourceReader.chunk, end)
        file.advise(next..<min(next + 8 * SourceReader.chunk, file.count), MADV_WILLNEED)
        file.withBytes(position..<next) { hash.update($0) }
        let unneeded = min(next, max(needed, released.load(ordering: .sequentiallyConsistent)))
        if unneeded > position { file.release(position..<unneeded) }
        position = next
      }
    }
  }

  init(_ sources: [MappedFile]) {
    files = Dictionary(
      uniqueKeysWithValues: sources.map { (ObjectIdentifier($0), HashedFile($0)) })
  }

  /// Asks for a range of a file to be read, after those asked for before; waits when too many are.
  func request(_ range: Range<Int>, of file: MappedFile) throws {
    guard let file = files[ObjectIdentifier(file)] else { return }
    try queue.submit { file.read(to: range.upperBound, needed: range.lowerBound) }
  }

  /// Says that a range has been encoded, and all before it.
  func release(_ range: Range<Int>, of file: MappedFile) {
    guard let file = files[ObjectIdentifier(file)] else { return }
    // The page that the range ends in is left for the next one.
    let end = range.upperBound & ~0xffff
    let start = file.released.load(ordering: .relaxed)
    guard end > start else { return }
    // Set before pages are released: the reader itself releases those that it maps afterwards.
    file.released.store(end, ordering: .sequentiallyConsistent)
    file.file.release(start..<end)
  }

  /// Reads the rest of all files, and returns the XXH64 of each, by path.
  func finish() throws -> [String: UInt64] {
    for file in files.values {
      try queue.submit { file.read(to: file.file.count, needed: file.file.count) }
    }
    try queue.wait()
    var digests: [String: UInt64] = [:]
    for file in files.values { digests[file.file.path] = file.hash.digest }
    return digests
  }
}
