import CVLMSystem

#if canImport(Glibc)
  import Glibc
#endif

/// A regular file, mapped read-only for as long as the object lives.
///
/// One of the two owners of raw memory. The mapping is shared and never written, so any thread may
/// read it. The file is opened once, without waiting for a pipe or device, and its size is taken from
/// the open descriptor.
///
/// A file that is truncated while it is mapped, or whose disk fails, makes a read of the lost pages
/// raise SIGBUS in the reading thread. Nothing in a library can turn that into an error without a
/// handler for the whole process, and the libraries install none; commands do (`FaultHandler`), and
/// find the file's name in the table that each mapping is noted in. A file that changed without
/// losing pages is caught by `checkUnchanged`.
package final class MappedFile: @unchecked Sendable {
  package let path: String
  /// Bytes in the file when it was opened.
  package let count: Int
  private let base: UnsafeRawPointer?
  /// -1 of bytes in memory.
  let descriptor: Int32
  private let stamp: FileStamp
  /// In the table of mappings, which a program's signal handler may read.
  private let slot: Int32?

  /// - Parameter isInput: false for a file that is only looked at, which an output may replace.
  /// - Throws: `FileError` when the path cannot be opened, is no regular file, or cannot be mapped.
  package init(path: String, isInput: Bool = true) throws(FileError) {
    // Not blocking on a pipe, not made the terminal of: it may be any path.
    let descriptor = FileSystem.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else {
      let code = errno
      // A socket cannot be opened at all.
      let kind = code == ENXIO ? FileStamp.irregularKind(at: path) : nil
      throw FileError(
        path: path, problem: kind.map { .notRegular($0) } ?? .call("open", errno: code))
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let code = errno
      close(descriptor)
      throw FileError(path: path, problem: .call("fstat", errno: code))
    }
    if let kind = FileStamp.irregularKind(status) {
      close(descriptor)
      throw FileError(path: path, problem: .notRegular(kind))
    }
    if isInput { InputFiles.add(status, path: path) }
    let size = Int(status.st_size)
    var mapping: UnsafeMutableRawPointer?
    var slot: Int32?
    if size > 0 {
      mapping = mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0)
      if mapping == MAP_FAILED {
        let code = errno
        close(descriptor)
        throw FileError(path: path, problem: .call("mmap", errno: code))
      }
      slot = vlm_mapping_add(mapping, size, path.escapedForDisplay())
    }
    self.path = path
    self.descriptor = descriptor
    self.slot = slot
    count = size
    base = mapping.map { UnsafeRawPointer($0) }
    stamp = FileStamp(status)
  }

  /// A file that is not on a disk: a copy of `bytes`, of exactly their size, so that AddressSanitizer
  /// sees a read beyond the end.
  package init(name: String, copying bytes: UnsafeRawBufferPointer) {
    path = name
    count = bytes.count
    descriptor = -1
    slot = nil
    stamp = FileStamp(stat())
    guard let source = bytes.baseAddress, bytes.count > 0 else {
      base = nil
      return
    }
    let copy = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 16)
    copy.copyMemory(from: source, byteCount: bytes.count)
    base = UnsafeRawPointer(copy)
  }

  /// A file that is not on a disk and as long as it is said to be, 64-byte aligned.
  ///
  /// - Parameter fill: writes all of the bytes.
  package init(
    name: String, byteCount: Int, _ fill: (UnsafeMutableRawBufferPointer) throws -> Void
  ) rethrows {
    let bytes = SystemMemory.allocate(byteCount)
    do { try fill(bytes) } catch {
      bytes.deallocate()
      throw error
    }
    path = name
    count = byteCount
    descriptor = -1
    slot = nil
    stamp = FileStamp(stat())
    base = UnsafeRawPointer(bytes.baseAddress)
  }

  /// Whether the bytes are a copy, not a mapping.
  private var isInMemory: Bool { descriptor < 0 }

  deinit {
    if let slot { vlm_mapping_remove(slot) }
    if isInMemory {
      base?.deallocate()
      return
    }
    if let base { munmap(UnsafeMutableRawPointer(mutating: base), count) }
    close(descriptor)
  }

  /// The bytes of `range`, valid inside `body` only.
  ///
  /// - Precondition: `range` lies inside `0..<count`.
  package func withBytes<R>(
    _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> R
  ) rethrows -> R {
    try body(bytes(range))
  }

  /// The bytes of `range`; the caller keeps the file alive while it uses them. For calls of C;
  /// parsing code uses `withBytes`.
  package func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "range inside the file")
    return UnsafeRawBufferPointer(start: base.map { $0 + range.lowerBound }, count: range.count)
  }

  /// Tells the system how the range will be read (`madvise`); a hint, never an error.
  package func advise(_ range: Range<Int>, _ advice: Int32) {
    guard let base, !range.isEmpty, !isInMemory else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let start = range.lowerBound / page * page
    madvise(UnsafeMutableRawPointer(mutating: base + start), range.upperBound - start, advice)
  }

  /// Drops the pages of a range from this process's memory; they may stay in the page cache, and are
  /// read again when they are used.
  package func release(_ range: Range<Int>) { advise(range, MADV_DONTNEED) }

  /// Called after something was computed from the file and before it is reported. It costs one system
  /// call.
  ///
  /// - Throws: `.changed` when the file on disk is no longer the one that was mapped.
  package func checkUnchanged() throws(FileError) {
    if isInMemory { return }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw FileError(path: path, problem: .call("fstat", errno: errno))
    }
    guard !stamp.isOfChanged(status, isInPlace: { isSameFile(as: path) }) else {
      throw FileError(path: path, problem: .changed)
    }
  }

  /// - Throws: `.changed` when the file has changed, or another one stands at its path.
  package func checkInPlace() throws(FileError) {
    try checkUnchanged()
    if !isSameFile(as: path) { throw FileError(path: path, problem: .changed) }
  }

  /// The device that the file is on.
  var device: UInt64 { UInt64(stamp.device) }

  /// What tells this file, as it was when opened, from any other and from its later self, without
  /// a look at its bytes: device, inode, size and time of modification.
  package var identity: String { stamp.text }

  /// The same of what `fstat` says of a file.
  package static func identity(_ status: stat) -> String { FileStamp(status).text }

  /// Whether `path` leads to this very file, by whatever name.
  package func isSameFile(as path: String) -> Bool {
    if isInMemory { return false }
    guard let status = FileSystem.status(path) else { return false }
    let other = FileStamp(status)
    return other.device == stamp.device && other.inode == stamp.inode
  }
}
