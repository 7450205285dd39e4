import CVLMSystem

#if canImport(Glibc)
  import Glibc
#endif

/// What a command does about the signals that end it. Each is installed once, by `main`.
package enum TerminationSignals {
  /// From now on SIGINT, SIGTERM and SIGHUP remove the unfinished outputs and end the process with
  /// status 130 (SIGINT) or 143, and a write to a closed pipe or past the file size limit is an
  /// error instead of a signal.
  ///
  /// - Throws: `.osError`-worthy `FileError` when no thread can be had.
  package static func install() throws(FileError) {
    let code = vlm_on_termination { signal in
      PendingOutputs.removeAllAndExit(signal == SIGINT ? .interrupted : .terminated)
    }
    if code != 0 {
      throw FileError(path: "memory for a thread", problem: .call("pthread_create", errno: code))
    }
  }
}

extension TerminationSignals {
  /// From now on SIGINT calls `callback`, on a thread of its own, instead of ending the process; nil
  /// makes it end the process again.
  package static func onInterrupt(_ callback: (@convention(c) () -> Void)?) {
    vlm_on_interrupt(callback)
  }
}

/// The last word when a mapped file is cut short or its disk fails under a read.
package enum FaultHandler {
  /// From now on such a read ends the process with status 74 and one line
  /// `<program>: <path>: changed or failed to read while in use`, and removes unfinished outputs.
  package static func install(program: String) { vlm_install_fault_handler(program) }
}

/// Processors as the system gives them.
package enum SystemProcessors {
  /// Those that this process may run on; nil where the system does not say.
  package static var allowed: Int? {
    let count = Int(vlm_allowed_processors())
    return count > 0 ? count : nil
  }
}

/// Memory as the system gives it.
package enum SystemMemory {
  /// Memory at a multiple of 64, to be given back with `deallocate`. Where it cannot be had the process
  /// ends as `FaultHandler` says, with status 71: the allocator of the standard library would abort.
  package static func allocate(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: vlm_allocate(byteCount), count: byteCount)
  }

  /// The same as a pointer.
  package static func pointer(_ byteCount: Int) -> UnsafeMutableRawPointer {
    vlm_allocate(byteCount)
  }

  /// Says early, as an error, what would otherwise end the process in the middle of its work.
  ///
  /// - Parameters:
  ///   - bytes: about to be allocated.
  ///   - limit: what the process may have at most.
  ///   - path: of the file that it is for.
  /// - Throws: `FileError` with status 71 where they cannot be had, by a limit or for want of memory.
  package static func require(
    _ bytes: Int, of limit: Int = .max, for path: String
  ) throws(FileError) {
    if bytes > limit || vlm_can_allocate(bytes) == 0 {
      throw FileError(path: path, problem: .call("allocating \(bytes >> 20) MB", errno: ENOMEM))
    }
  }
}
