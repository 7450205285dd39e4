#if canImport(Glibc)
  import Glibc
#endif

/// `<output>.partial`: the file that a resumable output is written to, beside its destination.
///
/// Its name and its first bytes tell that it is not finished. It is locked while it is written, so
/// two processes never write the same one.
enum PartialFile {
  static let suffix = ".partial"
  /// How often a file may disappear between being opened and being locked.
  private static let attempts = 100

  /// Opens or makes the partial file at `path`, locked.
  ///
  /// - Parameters:
  ///   - markers: what a file of ours may begin with.
  ///   - keeping: leave in it what an earlier process left, and the file when a signal ends this one.
  ///   - destination: named in errors about creating it.
  /// - Throws: `.busy` when another process holds the lock, `.notOurs` when the file there begins
  ///   with none of `markers`.
  static func open(
    _ path: String, markers: [[UInt8]], keeping: Bool, destination: String
  ) throws(FileError) -> Int32 {
    try PendingOutputs.open(path, isKept: keeping) { () throws(FileError) -> Int32 in
      try open(path, markers, clearing: !keeping, destination)
    }
  }

  private static func open(
    _ path: String, _ markers: [[UInt8]], clearing: Bool, _ destination: String
  ) throws(FileError) -> Int32 {
    for _ in 0..<attempts {
      // Never through a symbolic link, and never waiting for the other end of a pipe.
      let descriptor = FileSystem.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK)
      guard descriptor >= 0 else {
        let code = errno
        if code == EINTR { continue }
        if code == ELOOP { throw FileError(path: path, problem: .notOurs) }
        throw FileError(path: destination, problem: .call("create", errno: code))
      }
      do throws(FileError) {
        if try !lock(descriptor, path) {
          FileSystem.closeUnlocking(descriptor)
          continue
        }
        try check(descriptor, path, markers)
        if clearing, ftruncate(descriptor, 0) != 0 {
          let code = errno
          // Made here perhaps, and nobody's to keep in any case.
          FileSystem.unlink(path)
          throw FileError(path: path, problem: .call("truncate", errno: code))
        }
        return descriptor
      } catch {
        FileSystem.closeUnlocking(descriptor)
        throw error
      }
    }
    throw FileError(path: path, problem: .busy)
  }

  /// False when the file was renamed or removed before it was locked, by the process that finished
  /// or dropped it.
  private static func lock(_ descriptor: Int32, _ path: String) throws(FileError) -> Bool {
    // A file system without locks is used without them.
    if flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
      throw FileError(path: path, problem: .busy)
    }
    return FileSystem.isInPlace(descriptor, path)
  }

  /// Refuses a file that does not begin as one of ours.
  private static func check(
    _ descriptor: Int32, _ path: String, _ markers: [[UInt8]]
  ) throws(FileError) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw FileError(path: path, problem: .call("fstat", errno: errno))
    }
    guard FileStamp.irregularKind(status) == nil else {
      throw FileError(path: path, problem: .notOurs)
    }
    let longest = markers.reduce(0) { max($0, $1.count) }
    var start = [UInt8](repeating: 0, count: min(longest, Int(status.st_size)))
    let count = start.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
    // A process may have been killed before it wrote all of a marker.
    let isOurs = markers.contains { $0.prefix(start.count).elementsEqual(start.prefix($0.count)) }
    guard count == start.count, isOurs else { throw FileError(path: path, problem: .notOurs) }
  }
}
