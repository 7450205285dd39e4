import CVLMSystem
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// A file without a name, for what does not fit in memory. It is gone when the object is dropped or the
/// process ends, however it ends.
///
/// Not thread-safe: one caller at a time.
package final class ScratchFile {
  /// Where its bytes take room.
  package let folder: String
  /// Bytes appended so far.
  package private(set) var count = 0
  private let descriptor: Int32

  private static let serial = Atomic<Int>(0)

  /// - Parameter folder: empty for the working directory.
  /// - Throws: `FileError` where no file can be created.
  package init(in folder: String) throws(FileError) {
    self.folder = folder.isEmpty ? "." : folder
    let number = Self.serial.add(1, ordering: .relaxed).newValue
    let base = self.folder.hasSuffix("/") ? self.folder : self.folder + "/"
    let path = "\(base).vlmz-scratch.\(getpid())-\(number).tmp"
    // A process with the same id may have been killed before it could remove its own.
    descriptor = try PendingOutputs.open(path) { () throws(FileError) -> Int32 in
      FileSystem.unlink(path)
      let descriptor = FileSystem.open(path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
      guard descriptor >= 0 else {
        throw FileError(path: path, problem: .call("create", errno: errno))
      }
      return descriptor
    }
    FileSystem.unlink(path)
    PendingOutputs.remove(path)
  }

  deinit { close(descriptor) }

  /// Bytes that are free for this process where `folder` is; nil where the system does not say.
  package static func freeByteCount(in folder: String) -> Int? {
    var status = statvfs()
    let result = (folder.isEmpty ? "." : folder).withFileName { statvfs($0, &status) }
    guard result == 0 else { return nil }
    let (bytes, overflow) = Int(status.f_bavail).multipliedReportingOverflow(
      by: Int(status.f_frsize))
    return overflow ? nil : bytes
  }

  /// Reserves room for `bytes` more, so that a full disk shows before the work. A file system that
  /// cannot reserve is no error.
  package func reserve(_ bytes: Int) throws(FileError) {
    let code = vlm_reserve(descriptor, Int64(count + bytes))
    if code != 0 { throw FileError(path: folder, problem: .call("reserve", errno: code)) }
  }

  /// Appends `bytes`.
  ///
  /// - Returns: where they begin.
  @discardableResult
  package func append(_ bytes: UnsafeRawBufferPointer) throws(FileError) -> Int {
    let start = count
    let error = PositionalAccess.write(bytes, to: descriptor, at: start)
    guard error == 0 else { throw FileError(path: folder, problem: .call("write", errno: error)) }
    count = start + bytes.count
    return start
  }

  /// Reads back what was appended.
  ///
  /// - Precondition: the bytes lie inside what was appended.
  package func read(
    at offset: Int, into bytes: UnsafeMutableRawBufferPointer
  ) throws(FileError) {
    precondition(offset >= 0 && offset + bytes.count <= count, "bytes that were written")
    let (found, error) = PositionalAccess.read(from: descriptor, at: offset, into: bytes)
    guard found == bytes.count else {
      throw FileError(path: folder, problem: .call("read", errno: error == 0 ? EIO : error))
    }
  }
}

/// Floats in a scratch file.
extension ScratchFile {
  /// Appends floats.
  ///
  /// - Returns: the byte where they begin.
  @discardableResult
  package func append(floats values: UnsafeBufferPointer<Float>) throws(FileError) -> Int {
    try append(UnsafeRawBufferPointer(values))
  }

  /// `count` floats from byte `offset` on.
  package func floats(at offset: Int, count: Int) throws(FileError) -> [Float] {
    var values = [Float](repeating: 0, count: count)
    let result = values.withUnsafeMutableBytes { bytes in
      Result { () throws(FileError) in try read(at: offset, into: bytes) }
    }
    try result.get()
    return values
  }
}
