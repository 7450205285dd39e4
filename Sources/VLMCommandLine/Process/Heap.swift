import CVLMCommandLine

/// What the allocator may keep of memory that was freed.
package enum Heap {
  /// Bounds it for a program that answers for days: each arena keeps what a burst of requests left in
  /// pieces, and by itself the C library makes eight for each processor.
  ///
  /// - Parameter threads: that compute; more arenas than that gain nothing. 2 to 8 are made.
  package static func limit(threads: Int) { vlm_limit_heap(Int32(min(8, max(2, threads)))) }
}
