import CVLMCommandLine
import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// What a command does about SIGINT, SIGTERM, SIGHUP and SIGQUIT.
package enum TerminationSignals {
  /// From now on SIGINT, SIGTERM and SIGHUP remove the unfinished outputs and end the process with
  /// status 130 (SIGINT) or 143, SIGQUIT (Ctrl-\) does so by its default action, and a write to a closed pipe or past the file size limit is an
  /// error instead of a signal. Called once, by `main`.
  ///
  /// - Throws: `FileError` with status 71 when no thread can be had.
  package static func install() throws(FileError) {
    let code = vlm_on_termination { signal in
      if signal == SIGQUIT { PendingOutputs.removeAll { vlm_end_by_signal(SIGQUIT) } }
      TerminationSignals.exit(signal == SIGINT ? .interrupted : .terminated)
    }
    if code != 0 {
      throw FileError(path: "memory for a thread", problem: .call("pthread_create", errno: code))
    }
  }

  /// From now on SIGINT calls `callback`, on a thread of its own, instead of ending the process; nil
  /// makes it end the process again.
  package static func onInterrupt(_ callback: (@convention(c) () -> Void)?) {
    vlm_on_interrupt(callback)
  }

  /// The next SIGINT, SIGTERM or SIGHUP calls `callback`, on a thread of its own, instead of ending the
  /// process; the one after it ends the process.
  package static func onShutdown(_ callback: @convention(c) () -> Void) {
    vlm_on_shutdown(callback)
  }

  /// Removes the unfinished outputs and ends the process. No exit handler is run, since other threads
  /// may be running.
  package static func exit(_ status: ExitStatus) -> Never {
    PendingOutputs.removeAll { _exit(status.rawValue) }
  }
}
