import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// What the system says of this process.
struct ProcessState: Sendable {
  /// Bytes in memory, mapped files included.
  var residentBytes = 0
  /// Of these, what no file holds.
  var privateBytes = 0
  /// What is allocated and not freed: private memory without what the allocator keeps for later.
  var allocatedBytes = 0
  var virtualBytes = 0
  var openDescriptors = 0
  var threads = 0
  /// Seconds of all processors.
  var processorSeconds = 0.0

  /// Zeros where /proc is not there.
  static var current: ProcessState {
    var state = ProcessState()
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let pages = ControlGroup.content("/proc/self/statm")?.split(separator: " ").map { Int($0) ?? 0 }
    if let pages, pages.count > 2 {
      state.virtualBytes = pages[0] * page
      state.residentBytes = pages[1] * page
      state.privateBytes = (pages[1] - pages[2]) * page
    }
    state.allocatedBytes = Machine.allocatedMemory
    if let names = FileSystem.names(in: "/proc/self/fd") {
      // Not the folder's own.
      state.openDescriptors = max(0, names.count - 1)
    }
    let status = ControlGroup.content("/proc/self/status") ?? ""
    if let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Threads:") }) {
      state.threads = line.split { $0 == " " || $0 == "\t" }.last.flatMap { Int($0) } ?? 0
    }
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    for time in [usage.ru_utime, usage.ru_stime] {
      state.processorSeconds += Double(time.tv_sec) + Double(time.tv_usec) * 1e-6
    }
    return state
  }
}
