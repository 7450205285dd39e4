import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// Temporary files of unfinished outputs, so that a signal can remove them on the way out.
package enum PendingOutputs {
  private static let paths = Mutex<Set<String>>([])

  static func add(_ path: String) { paths.withLock { _ = $0.insert(path) } }
  static func remove(_ path: String) { paths.withLock { _ = $0.remove(path) } }

  /// Unlinks every unfinished output. Called from a normal thread when a signal arrived.
  package static func removeAll() {
    paths.withLock { pending in
      for path in pending { unlink(path) }
      pending.removeAll()
    }
  }
}
