import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// The temporary files of outputs: how they are named and locked, and what becomes of those whose
/// process was killed before it could remove them.
package enum AbandonedOutputs {
  /// Numbers the outputs of one process.
  private static let serial = Atomic<Int>(0)
  /// The temporary files that lay in each large folder when this process first wrote there: an output
  /// beside each of many files is not to list them all each time.
  private static let listed = Mutex<[ExactString: [String]]>([:])
  /// Names that a large folder has at least.
  private static let largeCount = 1000

  /// `.<name>.<pid>-<n>.tmp`, another one with each call.
  static func temporaryName(of name: String) -> String {
    let number = serial.add(1, ordering: .relaxed).newValue
    return "\(prefix(of: name))\(getpid())-\(number)\(suffix)"
  }

  private static let suffix = ".tmp"

  private static func prefix(of name: String) -> String { ".\(shortened(name))." }

  /// At most 120 bytes, so that the temporary name is legal wherever the name is.
  private static func shortened(_ name: String) -> String {
    var kept = ""
    for scalar in name.unicodeScalars {
      if kept.utf8.count + UTF8.width(scalar) > 120 { break }
      kept.unicodeScalars.append(scalar)
    }
    return kept
  }

  /// Whether `file` has a name as unfinished outputs to `name` have.
  package static func isRest(_ file: String, of name: String) -> Bool {
    process(of: file, prefix(of: name)) != nil
  }

  /// The process in the name of an unfinished output; nil for other names.
  private static func process(of file: String, _ prefix: String) -> pid_t? {
    guard file.hasPrefix(prefix), file.hasSuffix(suffix),
      file.utf8.count > prefix.utf8.count + suffix.utf8.count
    else { return nil }
    let numbers = file.dropFirst(prefix.count).dropLast(suffix.count)
      .split(separator: "-", omittingEmptySubsequences: false)
    let isOurs =
      numbers.count == 2
      && numbers.allSatisfy { $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }
    guard isOurs, let process = pid_t(numbers[0]), process > 0, UInt64(numbers[1]) != nil else {
      return nil
    }
    return process
  }

  /// Locks a temporary file that was just made.
  ///
  /// - Returns: false where another process has it, which takes it for abandoned; it is removed.
  static func lock(_ descriptor: Int32, _ path: String) -> Bool {
    if flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
      FileSystem.unlink(path)
      return false
    }
    // A file system without locks is used without them: nobody removes anything there.
    return FileSystem.isInPlace(descriptor, path)
  }

  /// Removes what killed processes of this user left of outputs to `name`.
  ///
  /// A process is dead when it is not there and its file is not locked: of one in another container,
  /// or on another machine that shares the folder, the number says nothing, and the lock does.
  ///
  /// - Parameter folder: with the slash at its end; empty for the working directory.
  static func remove(_ name: String, in folder: String) {
    let prefix = prefix(of: name)
    for file in names(in: folder) {
      guard let process = process(of: file, prefix), kill(process, 0) != 0, errno == ESRCH else {
        continue
      }
      removeUnlocked(folder + file)
    }
  }

  private static func names(in folder: String) -> [String] {
    let key = ExactString(folder)
    if let known = listed.withLock({ $0[key] }) { return known }
    let all = FileSystem.names(in: folder.isEmpty ? "." : folder) ?? []
    let rests = all.filter { $0.hasPrefix(".") && $0.hasSuffix(suffix) }
    if all.count >= largeCount { listed.withLock { $0[key] = rests } }
    return rests
  }

  private static func removeUnlocked(_ path: String) {
    guard FileSystem.isOwnFile(path) else { return }
    let descriptor = FileSystem.open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return }
    defer { FileSystem.closeUnlocking(descriptor) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, FileSystem.isInPlace(descriptor, path) else {
      return
    }
    FileSystem.unlink(path)
  }
}
