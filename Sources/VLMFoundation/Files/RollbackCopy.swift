#if canImport(Glibc)
  import Glibc
#endif

/// A second name for a file that is about to be replaced, so that it can be put back.
package enum RollbackCopy {
  /// Gives the file at `path` the name `copy` as well. Where the file system has no second names,
  /// or `copy` is on another one, the bytes are copied. Either is whole at every moment.
  ///
  /// - Parameter overwrite: replace a file that is at `copy`; otherwise its presence throws.
  /// - Throws: as an output to `copy` does for what is there.
  package static func make(
    of path: String, at copy: String, overwrite: Bool
  ) throws(FileError) {
    let destination = try OutputDestination(copy, overwrite: overwrite)
    let source = OutputDestination.place(of: path) ?? path
    guard destination.replaced != nil else {
      if FileSystem.link(source, to: destination.path) == 0 {
        return OutputFile.syncFolder(of: destination)
      }
      return try duplicate(source, at: copy, overwrite: overwrite)
    }
    let temporary = "\(destination.path.splitAtLastSlash.folder).vlmz-rollback.\(getpid()).tmp"
    guard FileSystem.link(source, to: temporary) == 0 else {
      return try duplicate(source, at: copy, overwrite: overwrite)
    }
    OutputFile.hold(temporary)
    // Renaming leaves two names of the same file as they are.
    defer { OutputFile.discard(temporary) }
    guard FileSystem.rename(temporary, to: destination.path, replaces: true) == 0 else {
      throw FileError(path: copy, problem: .call("rename", errno: errno))
    }
    OutputFile.syncFolder(of: destination)
  }

  private static func duplicate(
    _ source: String, at copy: String, overwrite: Bool
  ) throws(FileError) {
    let file = try MappedFile(path: source, isInput: false)
    defer { withExtendedLifetime(file) {} }
    let output = try OutputFile(path: copy, overwrite: overwrite)
    let piece = 4 << 20
    for start in stride(from: 0, to: file.count, by: piece) {
      let range = start..<min(start + piece, file.count)
      try output.write(file.bytes(range))
      file.release(range)
    }
    try file.checkUnchanged()
    try output.commit()
  }
}
