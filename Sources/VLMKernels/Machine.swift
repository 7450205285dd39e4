#if canImport(Glibc)
  import Glibc
#endif

/// Facts about the machine.
package enum Machine {
  /// Bytes of memory.
  package static var physicalMemory: Int {
    max(1 << 28, Int(sysconf(Int32(_SC_PHYS_PAGES))) * Int(sysconf(Int32(_SC_PAGESIZE))))
  }
}
