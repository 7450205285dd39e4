#if canImport(Glibc)
  import Glibc
#endif

/// A thread of the system's that does one piece of work. Whoever starts it joins or detaches it.
package struct WorkThread: Sendable {
  private let thread: pthread_t

  private final class Work {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
  }

  /// - Parameters:
  ///   - stackBytes: of its stack; nil for as many as the system gives by itself.
  ///   - body: runs on the thread, which alone keeps it alive from now on.
  /// - Returns: nil when no thread can be had; `body` is not run then.
  package init?(stackBytes: Int? = nil, _ body: @escaping () -> Void) {
    var attributes = pthread_attr_t()
    guard pthread_attr_init(&attributes) == 0 else { return nil }
    defer { pthread_attr_destroy(&attributes) }
    if let stackBytes, pthread_attr_setstacksize(&attributes, stackBytes) != 0 { return nil }
    let work = Unmanaged.passRetained(Work(body))
    var thread = pthread_t()
    let code = pthread_create(
      &thread, &attributes,
      { argument in
        if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
      }, work.toOpaque())
    guard code == 0 else {
      work.release()
      return nil
    }
    self.thread = thread
  }

  /// Returns when the work has ended. Once, and not for one that is detached.
  package func join() { pthread_join(thread, nil) }

  /// Lets it end by itself.
  package func detach() { pthread_detach(thread) }
}
