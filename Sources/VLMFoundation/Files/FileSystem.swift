import CVLMSystem

#if canImport(Glibc)
  import Glibc
#endif

/// The calls of the system that take names of files, which are bytes: see `String.withFileName`.
/// Each leaves its `errno`.
package enum FileSystem {
  /// - Returns: a descriptor, -1 for an error.
  package static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o666) -> Int32 {
    call(path) { Glibc.open($0, flags | O_CLOEXEC, mode) }
  }

  /// - Parameter followsLinks: false for what is known of a link itself.
  package static func status(_ path: String, followsLinks: Bool = true) -> stat? {
    var status = stat()
    let result = call(path) { followsLinks ? stat($0, &status) : lstat($0, &status) }
    return result == 0 ? status : nil
  }

  /// Whether an open file still has its path: it was neither moved nor replaced.
  package static func isInPlace(_ descriptor: Int32, _ path: String) -> Bool {
    var opened = stat()
    guard fstat(descriptor, &opened) == 0, let named = status(path, followsLinks: false) else {
      return false
    }
    return opened.st_dev == named.st_dev && opened.st_ino == named.st_ino
  }

  /// Closes a file and gives up a lock on it, also where a child process, started by another thread, still
  /// has the descriptor: until it runs its program, the lock would stay with it.
  package static func closeUnlocking(_ descriptor: Int32) {
    flock(descriptor, LOCK_UN)
    close(descriptor)
  }

  /// "directory", "pipe" …, or nil for a regular file.
  package static func irregularKind(_ status: stat) -> String? {
    FileStamp.irregularKind(status)
  }

  /// `S_IFMT` of what is at `path`, links followed; nil when nothing is.
  package static func kind(_ path: String) -> mode_t? { status(path).map { $0.st_mode & S_IFMT } }

  package static func isFolder(_ path: String) -> Bool { kind(path) == S_IFDIR }

  /// Whether a regular file of this process's user is at `path`, and no link.
  package static func isOwnFile(_ path: String) -> Bool {
    guard let status = status(path, followsLinks: false) else { return false }
    return status.st_mode & S_IFMT == S_IFREG && status.st_uid == geteuid()
  }

  /// Whether something is at `path`, links followed.
  package static func exists(_ path: String) -> Bool { call(path) { access($0, F_OK) } == 0 }

  /// Whether this process may make files in a folder.
  package static func canWrite(in folder: String) -> Bool {
    call(folder) { access($0, W_OK | X_OK) } == 0
  }

  /// The names in a folder but for `.` and `..`, in no order, `limit` at most; nil where it cannot be
  /// read.
  package static func names(in folder: String, limit: Int = .max) -> [String]? {
    guard let directory = call(folder, { opendir($0) }) else { return nil }
    defer { closedir(directory) }
    var names: [String] = []
    while names.count < limit, let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(fileName: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  /// The path without links; nil when nothing is there.
  package static func resolved(_ path: String) -> String? {
    guard let resolved = call(path, { realpath($0, nil) }) else { return nil }
    defer { free(resolved) }
    return String(fileName: resolved)
  }

  /// What a link says; nil for anything else.
  package static func target(ofLink path: String) -> String? {
    var text = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = text.withUnsafeMutableBytes { bytes -> Int in
      guard let start = bytes.bindMemory(to: CChar.self).baseAddress else { return -1 }
      return call(path) { readlink($0, start, bytes.count) }
    }
    return count < 0 ? nil : String(fileName: Array(text.prefix(count)))
  }

  @discardableResult
  package static func unlink(_ path: String) -> Int32 { call(path) { Glibc.unlink($0) } }

  /// Gives the file at `from` another name.
  package static func link(_ from: String, to: String) -> Int32 {
    call(from) { from in call(to) { to in Glibc.link(from, to) } }
  }

  /// - Parameter replaces: false for `EEXIST` where something is at `to`.
  package static func rename(_ from: String, to: String, replaces: Bool) -> Int32 {
    call(from) { from in
      call(to) { to in replaces ? Glibc.rename(from, to) : vlm_rename_new(from, to) }
    }
  }

  /// Frees memory before it returns, which may not cost the error of the call.
  private static func call<R>(_ path: String, _ body: (UnsafePointer<CChar>) -> R) -> R {
    let (result, code) = path.withFileName { name in
      let result = body(name)
      return (result, errno)
    }
    errno = code
    return result
  }
}
