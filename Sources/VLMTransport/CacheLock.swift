import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// A lock file of a cache; the lock ends with the object or the process.
final class CacheLock {
  private let path: String
  private var descriptor: Int32

  private init(opening path: String) throws(FileError) {
    self.path = path
    descriptor = -1
    while descriptor < 0 {
      descriptor = FileSystem.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
      if descriptor >= 0 || errno == EINTR { continue }
      let code = errno
      // A read-only cache: what lies there can be locked all the same, and used.
      if code == EROFS || code == EACCES {
        descriptor = FileSystem.open(path, O_RDONLY | O_NOFOLLOW)
      }
      if descriptor < 0 { throw FileError(path: path, problem: .call("create", errno: code)) }
    }
  }

  /// Takes the lock together with all who share it; waits for one who has it alone, which nobody has
  /// for long.
  static func shared(_ path: String) throws(FileError) -> CacheLock {
    while true {
      let lock = try CacheLock(opening: path)
      try lock.take(LOCK_SH)
      // Otherwise it was removed by whoever had it alone.
      if lock.isInPlace { return lock }
    }
  }

  /// Takes the lock alone.
  ///
  /// - Parameter waits: called if another process has it, before waiting for that.
  static func exclusive(_ path: String, waits: () -> Void) throws(FileError) -> CacheLock {
    let lock = try CacheLock(opening: path)
    if flock(lock.descriptor, LOCK_EX | LOCK_NB) != 0 {
      waits()
      try lock.take(LOCK_EX)
    }
    return lock
  }

  /// Takes the lock alone if nobody has it; nil otherwise.
  static func unused(_ path: String) throws(FileError) -> CacheLock? {
    let lock = try CacheLock(opening: path)
    guard flock(lock.descriptor, LOCK_EX | LOCK_NB) == 0, lock.isInPlace else { return nil }
    return lock
  }

  deinit { if descriptor >= 0 { FileSystem.closeUnlocking(descriptor) } }

  private func take(_ operation: Int32) throws(FileError) {
    while flock(descriptor, operation) != 0 {
      if errno == EINTR { continue }
      throw FileError(path: path, problem: .call("lock", errno: errno))
    }
  }

  private var isInPlace: Bool { FileSystem.isInPlace(descriptor, path) }

  private static let longestNote = 256

  /// What was written into it; empty where that cannot be read.
  var note: String {
    let bytes = [UInt8](unsafeUninitializedCapacity: Self.longestNote) { buffer, count in
      count = max(0, pread(descriptor, buffer.baseAddress, buffer.count, 0))
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Writes a short text into it, in place of what is there. Where that fails, as on a read-only file
  /// system, nothing is.
  func write(note: String) {
    guard ftruncate(descriptor, 0) == 0 else { return }
    _ = Array(note.utf8.prefix(Self.longestNote)).withUnsafeBytes {
      pwrite(descriptor, $0.baseAddress, $0.count, 0)
    }
  }

  /// Sets the time of modification to now.
  func touch() { futimens(descriptor, nil) }

  /// Keeps the lock until the process ends.
  func holdForever() { descriptor = -1 }
}
