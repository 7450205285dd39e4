import VLMFoundation

/// Runs deeply recursive work on a thread with a large stack, so that the nesting limits hold on
/// any calling thread.
enum JinjaStack {
  /// Twice the need of the deepest template in a debug build. Only the used part occupies memory.
  private static let bytes = 4 << 20

  /// Runs `body` on another thread and waits for it.
  static func run<T>(_ body: () throws(JinjaError) -> T) throws(JinjaError) -> T {
    var result: Result<T, JinjaError>?
    let isDone = withoutActuallyEscaping({ () -> Void in
      do throws(JinjaError) {
        result = .success(try body())
      } catch {
        result = .failure(error)
      }
    }) { (work: @escaping () -> Void) -> Bool in
      let thread = WorkThread(stackBytes: bytes, work)
      thread?.join()
      return thread != nil
    }
    guard isDone, let result else {
      throw JinjaError(line: 1, .noThread)
    }
    return try result.get()
  }
}
