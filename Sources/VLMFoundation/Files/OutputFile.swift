import CVLMSystem

#if canImport(Glibc)
  import Glibc
#endif

/// A file under construction: written beside its destination, synced, and renamed into place.
///
/// Until `commit` returns, the destination is untouched; one that is dropped or whose process is
/// killed leaves at most a temporary sibling `.<name>.<pid>-<n>.tmp`, which `deinit` and
/// `PendingOutputs` remove. Where a process had no time for that, the next output to the same
/// destination removes it: `AbandonedOutputs`.
/// Two outputs for one destination never share a temporary file; the last to commit wins, or with
/// `overwrite` false the first. Where the path is a symbolic link, the file that it leads to is
/// replaced, and everything is beside that; a file that is replaced keeps its permissions.
///
/// An output that may take long is made with a `marker`: its temporary file has a fixed name, is
/// locked while it is written, and can be continued by a later process.
package final class OutputFile {
  package let path: String
  /// Bytes appended so far.
  package private(set) var count = 0
  package let temporaryPath: String
  private let destination: OutputDestination
  private let overwrite: Bool
  /// Whether the temporary file outlives an output that is not committed.
  private let keepsPartial: Bool
  private var descriptor: Int32
  /// End of the bytes written, by appending or in place.
  private var end = 0
  private var committed = false

  /// Temporary names tried: a killed process with the same id may have left some.
  private static let attempts = 1000

  /// - Parameters:
  ///   - overwrite: replace an existing file on `commit`; otherwise its presence throws, now, or on
  ///     `commit` if it appeared meanwhile.
  ///   - isSecret: a new file is its owner's alone, from the start.
  package init(path: String, overwrite: Bool, isSecret: Bool = false) throws(FileError) {
    destination = try OutputDestination(path, overwrite: overwrite)
    let (folder, name) = destination.path.splitAtLastSlash
    AbandonedOutputs.remove(name, in: folder)
    var created: (path: String, descriptor: Int32)?
    var attempt = 0
    while created == nil {
      let temporary = folder + AbandonedOutputs.temporaryName(of: name)
      attempt += 1
      do throws(FileError) {
        let descriptor = try PendingOutputs.open(temporary) { () throws(FileError) -> Int32 in
          // The mode is what the umask leaves, as for any file a shell makes.
          let descriptor = FileSystem.open(
            temporary, O_RDWR | O_CREAT | O_EXCL, mode: isSecret ? 0o600 : 0o666)
          guard descriptor >= 0 else {
            throw FileError(path: path, problem: .call("create", errno: errno))
          }
          guard AbandonedOutputs.lock(descriptor, temporary) else {
            close(descriptor)
            throw FileError(path: path, problem: .call("create", errno: EEXIST))
          }
          return descriptor
        }
        created = (temporary, descriptor)
      } catch {
        switch error.problem {
        case .call(_, EINTR): continue
        case .call(_, EEXIST) where attempt < Self.attempts: continue
        default: throw error
        }
      }
    }
    guard let created else {
      throw FileError(path: path, problem: .call("create", errno: EEXIST))
    }
    self.path = path
    self.overwrite = overwrite
    keepsPartial = false
    temporaryPath = created.path
    descriptor = created.descriptor
    limitAccess()
  }

  /// Whether an output may go to `path`, without making anything.
  ///
  /// - Throws: as the initialisers do for what is there.
  package static func check(_ path: String, overwrite: Bool) throws(FileError) {
    let folder = try OutputDestination(path, overwrite: overwrite).path.splitAtLastSlash.folder
    guard FileSystem.canWrite(in: folder.isEmpty ? "." : folder) else {
      throw FileError(path: path, problem: .call("create", errno: errno))
    }
  }

  /// An output whose temporary file, `<path>.partial`, can be found again and continued.
  ///
  /// It begins with `marker`, which says to whoever looks what the file is; until `commit` the
  /// caller leaves it there. A file at that path that begins otherwise is never touched.
  ///
  /// - Parameters:
  ///   - orMarkers: what else a file of ours may begin with.
  ///   - keeping: leave the partial file when the output is dropped or a signal ends the process,
  ///     and do not clear what an earlier process left in it.
  package init(
    path: String, overwrite: Bool, marker: [UInt8], orMarkers: [[UInt8]] = [], keeping: Bool
  ) throws(FileError) {
    destination = try OutputDestination(path, overwrite: overwrite)
    temporaryPath = destination.path + PartialFile.suffix
    descriptor = try PartialFile.open(
      temporaryPath, markers: [marker] + orMarkers, keeping: keeping, destination: path)
    self.path = path
    self.overwrite = overwrite
    keepsPartial = keeping
    limitAccess()
  }

  /// Where the unfinished file of an output with a marker is.
  package static func partialPath(of path: String) -> String {
    (OutputDestination.place(of: path) ?? path) + PartialFile.suffix
  }

  /// Lets nobody read the unfinished file who could not read the one that it replaces.
  private func limitAccess() {
    guard let replaced = destination.replaced else { return }
    fchmod(descriptor, replaced.st_mode & 0o777 | 0o600)
  }

  /// Owner and permissions of the file that is replaced, as far as the system lets them be given.
  private func takeAccess() {
    guard let replaced = destination.replaced else { return }
    _ = fchown(descriptor, replaced.st_uid, replaced.st_gid)
    fchmod(descriptor, replaced.st_mode & 0o777)
  }

  deinit {
    if !committed, !keepsPartial {
      // Before the lock on it goes, so that it cannot be another's by then.
      FileSystem.unlink(temporaryPath)
      PendingOutputs.remove(temporaryPath)
    }
    if descriptor >= 0 { FileSystem.closeUnlocking(descriptor) }
  }

  /// Bytes that the partial file has.
  package func partialByteCount() throws(FileError) -> Int {
    var status = stat()
    try call("fstat") { fstat(descriptor, &status) }
    return Int(status.st_size)
  }

  /// Reads back what was written, by this output or an earlier one; false where the file ends.
  package func read(
    at offset: Int, into bytes: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> Bool {
    let (count, error) = PositionalAccess.read(from: descriptor, at: offset, into: bytes)
    guard error == 0 else {
      throw FileError(path: temporaryPath, problem: .call("read", errno: error))
    }
    return count == bytes.count
  }

  /// Goes on after the first `count` bytes of what an earlier output left; the rest is dropped.
  package func resume(at count: Int) throws(FileError) {
    try call("truncate") { ftruncate(descriptor, off_t(count)) }
    self.count = count
    end = count
  }

  /// Appends `bytes`.
  package func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
    try write(bytes, at: count)
    count += bytes.count
  }

  /// Appends `bytes`.
  package func write(_ bytes: [UInt8]) throws(FileError) {
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(FileError) in try write(buffer) }
    }
    try result.get()
  }

  /// Writes over bytes already written, or past the end; does not move the append position.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
    precondition(offset >= 0, "offset inside the file")
    let error = PositionalAccess.write(bytes, to: descriptor, at: offset)
    guard error == 0 else { throw FileError(path: path, problem: .call("write", errno: error)) }
    end = max(end, offset + bytes.count)
  }

  /// Reserves disk space for `bytes` bytes in all, so that a full disk shows before hours of work.
  /// A file system that cannot reserve is no error.
  package func reserve(_ bytes: Int) throws(FileError) {
    let code = vlm_reserve(descriptor, Int64(bytes))
    if code != 0 { throw FileError(path: path, problem: .call("reserve", errno: code)) }
  }

  /// Makes what was written so far last.
  package func sync() throws(FileError) { try call("fsync") { fsync(descriptor) } }

  /// Syncs, renames into place and syncs the folder.
  ///
  /// - Parameter held: finished files that are held, and stay once this one has its place; they are
  ///   removed where the rename fails.
  package func commit(keeping held: [String] = []) throws(FileError) {
    precondition(!committed && descriptor >= 0, "an output file is committed once")
    // Gives back what was reserved beyond the end.
    try call("truncate") { ftruncate(descriptor, off_t(end)) }
    takeAccess()
    try sync()
    PendingOutputs.stopIfEnding()
    let code = PendingOutputs.settle(held) {
      FileSystem.rename(temporaryPath, to: destination.path, replaces: overwrite) == 0 ? 0 : errno
    }
    guard code == 0 else {
      throw FileError(
        path: path, problem: code == EEXIST ? .exists : .call("rename", errno: code))
    }
    committed = true
    PendingOutputs.remove(temporaryPath)
    // After the rename, so that a partial file stays locked while it has its name. What closing
    // could report, syncing has reported.
    FileSystem.closeUnlocking(descriptor)
    descriptor = -1
    Self.syncFolder(of: destination)
  }

  /// Notes a finished file that may yet be put elsewhere: a process that is ended by a signal removes it.
  package static func hold(_ path: String) { PendingOutputs.add(path) }

  /// Removes what is held, if it is still there.
  package static func discard(_ path: String) {
    FileSystem.unlink(path)
    PendingOutputs.remove(path)
  }

  /// Puts a finished file that is held in its place.
  ///
  /// - Throws: as the initialisers do for what is there.
  package static func move(
    _ held: String, to path: String, overwrite: Bool
  ) throws(FileError) {
    let destination = try OutputDestination(path, overwrite: overwrite)
    PendingOutputs.stopIfEnding()
    guard FileSystem.rename(held, to: destination.path, replaces: overwrite) == 0 else {
      let code = errno
      throw FileError(path: path, problem: code == EEXIST ? .exists : .call("rename", errno: code))
    }
    PendingOutputs.remove(held)
    syncFolder(of: destination)
  }

  /// Makes the rename last. The file is in place already, so a failure here is none of the caller's.
  static func syncFolder(of destination: OutputDestination) {
    let folder = destination.path.splitAtLastSlash.folder
    let handle = FileSystem.open(folder.isEmpty ? "." : folder, O_RDONLY | O_DIRECTORY)
    guard handle >= 0 else { return }
    fsync(handle)
    close(handle)
  }

  private func call(_ name: String, _ body: () -> Int32) throws(FileError) {
    while body() != 0 {
      if errno == EINTR { continue }
      throw FileError(path: path, problem: .call(name, errno: errno))
    }
  }
}
