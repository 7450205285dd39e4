import CVLMSystem
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// Temporary files of unfinished outputs, so that a signal can remove them on the way out.
package enum PendingOutputs {
  /// The slot of each path in the table that the fault handler walks.
  private static let slots = Mutex<[String: Int32]>([:])

  /// Creates `path`, which must not exist, and notes it, in one step as `removeAll` sees it.
  ///
  /// - Returns: the descriptor, open for reading and writing, or the errno of `open`.
  static func create(_ path: String) -> Result<Int32, CreateFailure> {
    slots.withLock { slots in
      // The mode is what the umask leaves, as for any file a shell makes.
      let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
      guard descriptor >= 0 else { return .failure(CreateFailure(code: errno)) }
      slots[path] = vlm_pending_add(path)
      return .success(descriptor)
    }
  }

  struct CreateFailure: Error { let code: Int32 }

  /// Notes a file that exists already.
  static func add(_ path: String) {
    slots.withLock { slots in
      if slots[path] == nil { slots[path] = vlm_pending_add(path) }
    }
  }

  /// Forgets `path`, which has been renamed or unlinked.
  static func remove(_ path: String) {
    slots.withLock { slots in
      if let slot = slots.removeValue(forKey: path) { vlm_pending_remove(slot) }
    }
  }

  /// Unlinks every unfinished output. Called from a normal thread.
  package static func removeAll() {
    slots.withLock { slots in removeAll(&slots) }
  }

  /// Unlinks every unfinished output and ends the process. Other threads may be running: none can
  /// begin another output meanwhile, and no exit handler of theirs is run.
  package static func removeAllAndExit(_ status: ExitStatus) -> Never {
    slots.withLock { slots in
      removeAll(&slots)
      _exit(status.rawValue)
    }
  }

  private static func removeAll(_ slots: inout [String: Int32]) {
    for (path, slot) in slots {
      unlink(path)
      vlm_pending_remove(slot)
    }
    slots.removeAll()
  }
}
