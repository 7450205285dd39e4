#if canImport(Glibc)
  import Glibc
#endif

/// A second name for a file that is about to be replaced, so that it can be put back.
package enum RollbackCopy {
  /// Gives the file at `path` the name `copy` as well. Where the file system has no second names,
  /// or `copy` is on another one, the bytes are copied. Either is whole at every moment.
  ///
  /// - Parameter overwrite: replace a file that is at `copy`; otherwise its presence throws, unless
  ///   it already is such a copy.
  /// - Returns: whether there was no file at `copy` before.
  /// - Throws: as an output to `copy` does for what is there.
  @discardableResult
  package static func make(
    of path: String, at copy: String, overwrite: Bool
  ) throws(FileError) -> Bool {
    if !overwrite, isMade(of: path, at: copy) { return false }
    let destination = try OutputDestination(copy, overwrite: overwrite)
    let source = OutputDestination.place(of: path) ?? path
    guard destination.replaced != nil else {
      if FileSystem.link(source, to: destination.path) == 0 {
        OutputFile.syncFolder(of: destination)
      } else {
        try duplicate(source, at: copy, overwrite: overwrite)
      }
      return true
    }
    let (folder, name) = destination.path.splitAtLastSlash
    AbandonedOutputs.remove(name, in: folder)
    let temporary = folder + AbandonedOutputs.temporaryName(of: name)
    guard FileSystem.link(source, to: temporary) == 0 else {
      try duplicate(source, at: copy, overwrite: overwrite)
      return false
    }
    OutputFile.hold(temporary)
    // Renaming leaves two names of the same file as they are.
    defer { OutputFile.discard(temporary) }
    guard FileSystem.rename(temporary, to: destination.path, replaces: true) == 0 else {
      throw FileError(path: copy, problem: .call("rename", errno: errno))
    }
    OutputFile.syncFolder(of: destination)
    return false
  }

  /// Whether `copy` already is what `make` makes, as a process that was ended leaves it: the same file
  /// under another name, or one of the same bytes.
  package static func isMade(of path: String, at copy: String) -> Bool {
    guard let source = FileSystem.status(path), let found = FileSystem.status(copy),
      source.st_mode & S_IFMT == S_IFREG, found.st_mode & S_IFMT == S_IFREG,
      source.st_size == found.st_size, FileSystem.resolved(path) != FileSystem.resolved(copy)
    else { return false }
    if source.st_dev == found.st_dev, source.st_ino == found.st_ino { return true }
    guard let first = try? MappedFile(path: path, isInput: false),
      let second = try? MappedFile(path: copy, isInput: false), first.count == second.count
    else { return false }
    defer { withExtendedLifetime((first, second)) {} }
    let piece = 4 << 20
    for start in stride(from: 0, to: first.count, by: piece) {
      let range = start..<min(start + piece, first.count)
      let (a, b) = (first.bytes(range), second.bytes(range))
      guard let left = a.baseAddress, let right = b.baseAddress,
        memcmp(left, right, range.count) == 0
      else { return false }
      first.release(range)
      second.release(range)
    }
    return true
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
