import VLMCommandLine

#if canImport(Glibc)
  import Glibc
#endif

/// The signal that ends the server.
enum Shutdown {
  private nonisolated(unsafe) static let arrived = {
    let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    sem_init(semaphore, 0, 0)
    return semaphore
  }()

  /// From now on the first SIGTERM, SIGINT or SIGHUP ends `wait`; a second one ends the process.
  static func prepare() {
    _ = arrived
    TerminationSignals.onShutdown { sem_post(Shutdown.arrived) }
  }

  static func wait() {
    while sem_wait(arrived) != 0 && errno == EINTR {}
  }
}
