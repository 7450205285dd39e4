#if canImport(Glibc)
  import Glibc
#endif

/// Whole reads and writes at a place of an open file, which the system may do in parts.
enum PositionalAccess {
  /// The kernel moves at most 2 GiB less a page at a time.
  private static let most = 1 << 30

  /// Writes all `bytes` at `offset`.
  ///
  /// - Returns: the error's number, 0 where there is none; a disk that takes no more is full.
  static func write(
    _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at offset: Int
  ) -> Int32 {
    guard let base = bytes.baseAddress else { return 0 }
    var done = 0
    while done < bytes.count {
      let written = pwrite(
        descriptor, base + done, min(bytes.count - done, most), off_t(offset + done))
      if written < 0 && errno == EINTR { continue }
      guard written > 0 else { return written < 0 ? errno : ENOSPC }
      done += written
    }
    return 0
  }

  /// Fills `bytes` from `offset` as far as the file goes.
  ///
  /// - Returns: how many bytes were read, and the error's number, 0 where there is none.
  static func read(
    from descriptor: Int32, at offset: Int, into bytes: UnsafeMutableRawBufferPointer
  ) -> (count: Int, error: Int32) {
    guard let base = bytes.baseAddress else { return (0, 0) }
    var done = 0
    while done < bytes.count {
      let count = pread(
        descriptor, base + done, min(bytes.count - done, most), off_t(offset + done))
      if count < 0 && errno == EINTR { continue }
      if count < 0 { return (done, errno) }
      if count == 0 { break }
      done += count
    }
    return (done, 0)
  }
}
