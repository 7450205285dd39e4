#if canImport(Glibc)
  import Glibc
#endif

/// Runs deeply recursive work on a thread with a large stack, so that the nesting limits hold on
/// any calling thread.
enum JinjaStack {
  /// Twice the need of the deepest template in a debug build. Only the used part occupies memory.
  private static let bytes = 4 << 20

  private final class Job {
    let work: () -> Void

    init(_ work: @escaping () -> Void) { self.work = work }
  }

  /// Runs `body` on another thread and waits for it.
  static func run<T>(_ body: () throws(JinjaError) -> T) throws(JinjaError) -> T {
    var result: Result<T, JinjaError>?
    let isDone = withoutActuallyEscaping({ () -> Void in
      do throws(JinjaError) {
        result = .success(try body())
      } catch {
        result = .failure(error)
      }
    }) { (work: @escaping () -> Void) -> Bool in perform(work) }
    guard isDone, let result else {
      throw JinjaError(line: 1, .noThread)
    }
    return try result.get()
  }

  private static func perform(_ work: @escaping () -> Void) -> Bool {
    var attributes = pthread_attr_t()
    guard pthread_attr_init(&attributes) == 0 else { return false }
    defer { pthread_attr_destroy(&attributes) }
    guard pthread_attr_setstacksize(&attributes, bytes) == 0 else { return false }
    let job = Unmanaged.passRetained(Job(work))
    var thread = pthread_t()
    let status = pthread_create(
      &thread, &attributes,
      { context in
        if let context { Unmanaged<Job>.fromOpaque(context).takeRetainedValue().work() }
        return nil
      }, job.toOpaque())
    guard status == 0 else {
      job.release()
      return false
    }
    pthread_join(thread, nil)
    return true
  }
}
