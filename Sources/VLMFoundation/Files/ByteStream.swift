#if canImport(Glibc)
  import Glibc
#endif

/// A buffered reader of a pipe, terminal or file.
package final class ByteStream {
  /// What messages call it.
  package let name: String
  private let descriptor: Int32
  private let isOwned: Bool
  private var buffer: [UInt8] = []
  /// Where the bytes that are not taken yet begin in `buffer`.
  private var start = 0
  private var hasEnded = false
  private var block = [UInt8](repeating: 0, count: 1 << 16)

  /// - Parameter descriptor: open; it is not closed.
  package init(descriptor: Int32, name: String) {
    self.name = name
    self.descriptor = descriptor
    isOwned = false
  }

  /// - Parameter path: a file or pipe; `-` for standard input.
  package init(path: String) throws(FileError) {
    isOwned = path != "-"
    name = isOwned ? path : "standard input"
    descriptor = isOwned ? FileSystem.open(path, O_RDONLY | O_NOCTTY) : STDIN_FILENO
    guard descriptor >= 0 else { throw FileError(path: path, problem: .call("open", errno: errno)) }
  }

  /// A stream of bytes in memory.
  package init(name: String, bytes: [UInt8]) {
    self.name = name
    descriptor = -1
    isOwned = false
    buffer = bytes
    hasEnded = true
  }

  deinit { if isOwned, descriptor >= 0 { close(descriptor) } }

  /// Bytes that were read and not taken.
  package var available: Int { buffer.count - start }

  /// The bytes that were read and not taken, valid inside `body` only.
  package func withAvailable<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try buffer.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[start...])) }
  }

  /// Whether reading more would block.
  package var wouldWait: Bool {
    if hasEnded { return false }
    var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&request, 1, 0) == 0
  }

  /// Reads some more bytes; blocks until there are some.
  ///
  /// - Returns: false at the end.
  package func read() throws(FileError) -> Bool {
    if hasEnded { return false }
    // Reuses the room at the front before the buffer grows.
    if start > 0, start >= buffer.count / 2 {
      buffer.removeSubrange(..<start)
      start = 0
    }
    while true {
      let count = block.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      if count < 0 { throw FileError(path: name, problem: .call("read", errno: errno)) }
      buffer.append(contentsOf: block[..<count])
      hasEnded = count == 0
      return !hasEnded
    }
  }

  /// The place of the first `byte` from `offset` on, among those that were read and not taken.
  package func firstIndex(of byte: UInt8, from offset: Int = 0) -> Int? {
    withAvailable { bytes in
      guard offset < bytes.count, let base = bytes.baseAddress,
        let found = memchr(base + offset, Int32(byte), bytes.count - offset)
      else { return nil }
      return base.distance(to: UnsafeRawPointer(found))
    }
  }

  /// Takes the first `count` of the bytes that were read.
  package func take(_ count: Int) -> [UInt8] {
    precondition(count >= 0 && count <= available, "bytes that were read")
    if start == 0, count == buffer.count {
      // All of it changes hands: a large picture is in memory once.
      defer { buffer = [] }
      return buffer
    }
    defer { drop(count) }
    return Array(buffer[start..<start + count])
  }

  /// Takes the first `count` bytes and forgets them.
  package func drop(_ count: Int) {
    precondition(count >= 0 && count <= available, "bytes that were read")
    start += count
    guard start == buffer.count else { return }
    // Frees what one long line took.
    if buffer.capacity > 1 << 20 { buffer = [] } else { buffer.removeAll(keepingCapacity: true) }
    start = 0
  }

  /// Takes everything to the end; nil when that is more than `limit` bytes.
  package func takeAll(limit: Int) throws(FileError) -> [UInt8]? {
    while available <= limit {
      guard try read() else { return take(available) }
    }
    return nil
  }
}
