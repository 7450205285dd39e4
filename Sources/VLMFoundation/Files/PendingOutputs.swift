import CVLMSystem
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// The temporary files of unfinished outputs of this process: data only. A program that is killed
/// removes them on its way out, from its own signal handler or with `removeAll`.
package enum PendingOutputs {
  /// The slot of each path in the table of CVLMSystem, which a signal handler may read.
  private static let slots = Mutex<[ExactString: Int32]>([:])
  /// Whether the process is to end.
  private static let isEnding = Atomic<Bool>(false)

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
    stopIfEnding()
    return try result.get()
  }

  /// Does not return once the process is to end: a thread with little left to do could otherwise
  /// finish an output before a busy machine lets the other one end the process.
  static func stopIfEnding() {
    while isEnding.load(ordering: .acquiring) { pause() }
  }

  /// Notes a file that is there.
  package static func add(_ path: String) {
    slots.withLock { slots in
      guard slots[ExactString(path)] == nil else { return }
      slots[ExactString(path)] = path.withFileName { vlm_pending_add($0) }
    }
  }

  /// Forgets `path`, which has been renamed or unlinked.
  static func remove(_ path: String) {
    slots.withLock { slots in
      if let slot = slots.removeValue(forKey: ExactString(path)) { vlm_pending_remove(slot) }
    }
  }

  /// Takes a last step by which the files at `held`, which are noted, come to stay. Where it fails
  /// they are removed. A process that is ended removes all or nothing of them.
  ///
  /// - Parameter step: returns 0, or its `errno`; does not wait for anything.
  static func settle(_ held: [String], _ step: () -> Int32) -> Int32 {
    slots.withLock { slots in
      // A fault's handler reads the table without the lock: better that it leaves them all.
      for path in held {
        if let slot = slots.removeValue(forKey: ExactString(path)) { vlm_pending_remove(slot) }
      }
      let code = step()
      if code != 0 { for path in held { FileSystem.unlink(path) } }
      return code
    }
  }

  /// Unlinks every unfinished output, for a program that is about to end. Called from a normal
  /// thread, not from a signal handler.
  package static func removeAll() {
    slots.withLock { removeAll(&$0) }
  }

  /// As `removeAll`, and ends the process before any thread can begin or finish another output.
  package static func removeAll(_ end: () -> Never) -> Never {
    isEnding.store(true, ordering: .releasing)
    return slots.withLock { slots in
      removeAll(&slots)
      end()
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
