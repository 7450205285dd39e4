import CVLMSystem

#if canImport(Glibc)
  import Glibc
#endif

/// Memory as the system gives it.
///
/// Work that needs much of it calls `require` first, which throws. Where an allocation fails after
/// that, it is a trap, as it is for the arrays of the standard library; a command may end the
/// process with a message of its own instead (`vlm_on_exhausted_memory`).
package enum SystemMemory {
  /// Memory at a multiple of 64, to be given back with `deallocate`.
  ///
  /// - Precondition: it can be had.
  package static func allocate(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: pointer(byteCount), count: byteCount)
  }

  /// The same as a pointer.
  package static func pointer(_ byteCount: Int) -> UnsafeMutableRawPointer {
    guard let memory = vlm_allocate(byteCount) else { preconditionFailure("memory exhausted") }
    return memory
  }

  /// Whether the system has so many more bytes for this process at this moment.
  package static func has(_ bytes: Int) -> Bool { bytes == 0 || vlm_can_allocate(bytes) != 0 }

  /// Tells early, as an error, that memory for a piece of work cannot be had.
  ///
  /// - Parameters:
  ///   - bytes: about to be allocated.
  ///   - limit: what the process may have at most.
  ///   - path: of the file that it is for.
  /// - Throws: `FileError` with status 71 where they exceed a limit or the system refuses them.
  package static func require(
    _ bytes: Int, of limit: Int = .max, for path: String
  ) throws(FileError) {
    if bytes > limit || !has(bytes) {
      throw FileError(path: path, problem: .call("allocating \(bytes >> 20) MB", errno: ENOMEM))
    }
  }
}
