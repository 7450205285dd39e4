#if canImport(Glibc)
  import Glibc
#endif

/// A file under construction: written beside its destination, synced, and renamed into place.
///
/// Until `commit` returns, the destination is untouched; a dropped or killed `OutputFile` leaves at
/// most a temporary sibling `.<name>.<pid>.tmp`, which `deinit` and `PendingOutputs` remove.
package final class OutputFile {
  package let path: String
  /// Bytes written so far.
  package private(set) var count = 0
  private let temporaryPath: String
  private var descriptor: Int32
  private var committed = false

  /// - Parameter overwrite: replace an existing file on `commit`; otherwise its presence throws.
  package init(path: String, overwrite: Bool) throws(FileError) {
    var status = stat()
    if stat(path, &status) == 0 {
      if let kind = FileStamp.irregularKind(status) {
        throw FileError(path: path, problem: .notRegular(kind))
      }
      if !overwrite { throw FileError(path: path, problem: .exists) }
    }
    let slash = path.lastIndex(of: "/")
    let folder = slash.map { String(path[...$0]) } ?? ""
    let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    let temporary = "\(folder).\(name).\(getpid()).tmp"
    let descriptor = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw FileError(path: path, problem: .call("create", errno: errno))
    }
    self.path = path
    self.temporaryPath = temporary
    self.descriptor = descriptor
    PendingOutputs.add(temporary)
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    if !committed {
      unlink(temporaryPath)
      PendingOutputs.remove(temporaryPath)
    }
  }

  /// Appends `bytes`.
  package func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
    try write(bytes, at: count)
    count += bytes.count
  }

  /// Appends `bytes`.
  package func write(_ bytes: [UInt8]) throws(FileError) {
    var failure: FileError?
    bytes.withUnsafeBytes { buffer in
      do throws(FileError) { try write(buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Writes over bytes already written, or past the end; does not move the append position.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
    var done = 0
    while done < bytes.count {
      let written = pwrite(
        descriptor, bytes.baseAddress! + done, min(bytes.count - done, 1 << 30),
        off_t(offset + done)
      )
      if written < 0 {
        if errno == EINTR { continue }
        throw FileError(path: path, problem: .call("write", errno: errno))
      }
      done += written
    }
  }

  /// Syncs, renames into place and syncs the folder.
  package func commit() throws(FileError) {
    precondition(!committed, "an output file is committed once")
    guard fsync(descriptor) == 0 else {
      throw FileError(path: path, problem: .call("fsync", errno: errno))
    }
    guard close(descriptor) == 0 else {
      descriptor = -1
      throw FileError(path: path, problem: .call("close", errno: errno))
    }
    descriptor = -1
    guard rename(temporaryPath, path) == 0 else {
      throw FileError(path: path, problem: .call("rename", errno: errno))
    }
    committed = true
    PendingOutputs.remove(temporaryPath)
    let slash = path.lastIndex(of: "/")
    let folder = open(slash.map { String(path[...$0]) } ?? ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if folder >= 0 {
      fsync(folder)
      close(folder)
    }
  }
}
