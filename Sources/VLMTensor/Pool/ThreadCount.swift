import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// How many threads to compute with.
package enum ThreadCount {
  /// More than any machine we know has cores; keeps a typing error from starting a million threads.
  package static let maximum = 1024

  /// Processors in the affinity mask, limited by the control groups' quota, at least 1.
  package static var available: Int {
    let count = Machine.allowedProcessors ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    return limited(count, ControlGroup.current)
  }

  /// As many of `processors` as `group` has time for, rounded up.
  static func limited(_ processors: Int, _ group: ControlGroup) -> Int {
    let quota = group.processors.map { Int(min($0, Double(maximum)).rounded(.up)) } ?? maximum
    return max(1, min(processors, quota, maximum))
  }
}
