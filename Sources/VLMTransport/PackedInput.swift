import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// The bytes of a packed file, one after the other: from a file, a pipe or memory.
package final class PackedInput {
  /// What messages call it.
  package let name: String
  private let descriptor: Int32
  /// Bytes that are read before those of the descriptor.
  private var pushed: [UInt8] = []
  /// Whether what is skipped need not be read.
  private let isSeekable: Bool
  /// Bytes of a regular file; nil for a pipe.
  package let byteCount: Int?

  /// - Parameter path: a file or pipe; `-` for standard input.
  package init(path: String) throws(FileError) {
    let isOwned = path != "-"
    name = isOwned ? path : "standard input"
    // A copy of standard input, so that every descriptor here is closed.
    descriptor =
      isOwned ? FileSystem.open(path, O_RDONLY | O_NOCTTY) : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
    guard descriptor >= 0 else { throw FileError(path: name, problem: .call("open", errno: errno)) }
    var status = stat()
    isSeekable = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    byteCount = isSeekable ? Int(status.st_size) : nil
    if isSeekable { InputFiles.add(status, path: name) }
  }

  /// Whether a regular file begins as a packed one; nothing is remembered of it.
  package static func isPacked(_ path: String) -> Bool {
    let descriptor = FileSystem.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var start = [UInt8](repeating: 0, count: PackedFormat.magic.count)
    let count = start.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
    return count == start.count && start == PackedFormat.magic
  }

  /// Bytes in memory.
  package init(name: String, bytes: [UInt8]) {
    self.name = name
    descriptor = -1
    isSeekable = false
    byteCount = bytes.count
    pushed = bytes
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// The next `count` bytes; fewer only at the end.
  package func read(_ count: Int) throws(FileError) -> [UInt8] {
    if !pushed.isEmpty {
      let first = Array(pushed.prefix(count))
      pushed.removeFirst(first.count)
      if first.count == count { return first }
      return first + (try read(count - first.count))
    }
    guard descriptor >= 0 else { return [] }
    var code: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
      while done < count {
        guard let base = buffer.baseAddress else { return }
        let found = Glibc.read(descriptor, base + done, count - done)
        if found < 0, errno == EINTR { continue }
        if found < 0 { code = errno }
        if found <= 0 { return }
        done += found
      }
    }
    guard code == 0 else { throw FileError(path: name, problem: .call("read", errno: code)) }
    return bytes
  }

  /// Puts bytes back that were read last.
  package func unread(_ bytes: [UInt8]) { pushed = bytes + pushed }

  /// The next `count` bytes, which stay; fewer only at the end.
  package func peek(_ count: Int) throws(FileError) -> [UInt8] {
    let bytes = try read(count)
    unread(bytes)
    return bytes
  }

  /// Leaves out the next `count` bytes.
  ///
  /// - Returns: false when the input ends before; of a file that can be found out later.
  package func skip(_ count: Int) throws(FileError) -> Bool {
    var left = count
    if !pushed.isEmpty {
      let first = min(left, pushed.count)
      pushed.removeFirst(first)
      left -= first
    }
    if isSeekable, left > 0 {
      guard lseek(descriptor, off_t(left), SEEK_CUR) >= 0 else {
        throw FileError(path: name, problem: .call("seek", errno: errno))
      }
      return true
    }
    while left > 0 {
      let found = try read(min(left, 1 << 20)).count
      if found == 0 { return false }
      left -= found
    }
    return true
  }
}
