import CVLMSystem
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// Temporary files of unfinished outputs, so that a signal can remove them on the way out.
package enum PendingOutputs {
  /// The slot of each path in the table that the fault handler walks.
  private static let slots = Mutex<[ExactString: Int32]>([:])

  /// Opens or creates `path` and notes it, in one step as `removeAll` sees it: a signal that arrives
  /// meanwhile waits for the note.
  ///
  /// - Parameters:
  ///   - isKept: the file is not to be removed.
  ///   - body: returns the descriptor, and does not wait for anything.
  static func open(
    _ path: String, isKept: Bool = false, _ body: () throws(FileError) -> Int32
  ) throws(FileError) -> Int32 {
    let result = slots.withLock { slots in
      let result = Result { () throws(FileError) -> Int32 in try body() }
      if case .success = result, !isKept, slots[ExactString(path)] == nil {
        slots[ExactString(path)] = path.withFileName { vlm_pending_add($0) }
      }
      return result
    }
    return try result.get()
  }

  /// Forgets `path`, which has been renamed or unlinked.
  static func remove(_ path: String) {
    slots.withLock { slots in
      if let slot = slots.removeValue(forKey: ExactString(path)) { vlm_pending_remove(slot) }
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

  private static func removeAll(_ slots: inout [ExactString: Int32]) {
    for (path, slot) in slots {
      FileSystem.unlink(path.string)
      vlm_pending_remove(slot)
    }
    slots.removeAll()
  }
}
