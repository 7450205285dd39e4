#if canImport(Glibc)
  import Glibc
#endif

/// An append-only file beside a partial one that tells a later process what is in it.
///
/// What is read back may be cut off or hostile: the caller checks it.
package final class JournalFile {
  package let path: String
  /// What an earlier process left, without the marker.
  package let earlier: [UInt8]
  private let marker: [UInt8]
  private let keeping: Bool
  private var descriptor: Int32
  private var count = 0

  /// More is no journal of ours.
  private static let maximumBytes = 64 << 20

  /// - Parameters:
  ///   - marker: first bytes of the file; one that begins otherwise is refused.
  ///   - keeping: read what is there, and leave the file when this object is dropped.
  package init(path: String, marker: [UInt8], keeping: Bool) throws(FileError) {
    descriptor = try PartialFile.open(
      path, markers: [marker], keeping: keeping, destination: path)
    self.path = path
    self.marker = marker
    self.keeping = keeping
    earlier = keeping ? Self.content(descriptor, after: marker.count) : []
  }

  deinit {
    if descriptor >= 0, !keeping { remove() }
    if descriptor >= 0 { close(descriptor) }
  }

  /// Whether a file at `path` begins as a journal with `marker` does.
  package static func exists(at path: String, marker: [UInt8]) -> Bool {
    let descriptor = FileSystem.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var start = [UInt8](repeating: 0, count: marker.count)
    let count = start.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
    return count == marker.count && start == marker
  }

  private static func content(_ descriptor: Int32, after start: Int) -> [UInt8] {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size > off_t(start),
      status.st_size <= off_t(maximumBytes)
    else { return [] }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size) - start)
    let (count, error) = bytes.withUnsafeMutableBytes {
      PositionalAccess.read(from: descriptor, at: start, into: $0)
    }
    return error == 0 ? Array(bytes.prefix(count)) : []
  }

  /// Replaces everything behind the marker.
  package func rewrite(_ bytes: [UInt8]) throws(FileError) {
    guard ftruncate(descriptor, 0) == 0 else {
      throw FileError(path: path, problem: .call("truncate", errno: errno))
    }
    count = 0
    try append(marker + bytes)
  }

  package func append(_ bytes: [UInt8]) throws(FileError) {
    let error = bytes.withUnsafeBytes {
      PositionalAccess.write($0, to: descriptor, at: count)
    }
    guard error == 0 else { throw FileError(path: path, problem: .call("write", errno: error)) }
    count += bytes.count
  }

  /// Removes the file: what it told of is finished.
  package func remove() {
    FileSystem.unlink(path)
    PendingOutputs.remove(path)
    close(descriptor)
    descriptor = -1
  }
}
