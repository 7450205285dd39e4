#if canImport(Glibc)
  import Glibc
#endif

/// How many threads to compute with.
package enum ThreadCount {
  /// More than any machine we know has cores; keeps a typing error from starting a million threads.
  package static let maximum = 1024

  /// `VLM_THREADS` if set, else `OMP_NUM_THREADS` if it is a number, else the processors this
  /// process may run on, within its cgroup quota.
  package static func selected() throws(KernelError) -> Int {
    if let text = getenv("VLM_THREADS").map({ String(cString: $0) }), !text.isEmpty {
      guard let count = Int(text), (1...maximum).contains(count) else {
        throw KernelError(problem: .threadCount(text))
      }
      return count
    }
    if let text = getenv("OMP_NUM_THREADS").map({ String(cString: $0) }), let count = Int(text),
      (1...maximum).contains(count)
    {
      return count
    }
    return available
  }

  /// Processors in the affinity mask, limited by the CPU quota of the cgroup, at least 1.
  package static var available: Int {
    var count = allowedProcessors() ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    if let quota = cgroupQuota() { count = min(count, max(1, Int(quota.rounded(.up)))) }
    return max(1, min(count, maximum))
  }

  /// Processors that the affinity mask of this process allows.
  private static func allowedProcessors() -> Int? {
    guard let file = fopen("/proc/self/status", "r") else { return nil }
    defer { fclose(file) }
    var buffer = [CChar](repeating: 0, count: 4096)
    while fgets(&buffer, Int32(buffer.count), file) != nil {
      let line = text(of: buffer)
      guard line.hasPrefix("Cpus_allowed:") else { continue }
      let mask = line.dropFirst("Cpus_allowed:".count)
      let count = mask.reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) }
      return count > 0 ? count : nil
    }
    return nil
  }

  /// CPUs' worth of time that cgroup v2 or v1 grants, nil when unlimited or unknown.
  private static func cgroupQuota() -> Double? {
    if let fields = words(of: "/sys/fs/cgroup/cpu.max"), fields.count == 2,
      let quota = Double(fields[0]), let period = Double(fields[1]), period > 0
    {
      return quota / period
    }
    if let quota = words(of: "/sys/fs/cgroup/cpu/cpu.cfs_quota_us")?.first.flatMap(Double.init),
      let period = words(of: "/sys/fs/cgroup/cpu/cpu.cfs_period_us")?.first.flatMap(Double.init),
      quota > 0, period > 0
    {
      return quota / period
    }
    return nil
  }

  private static func words(of path: String) -> [String]? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var buffer = [CChar](repeating: 0, count: 128)
    guard fgets(&buffer, Int32(buffer.count), file) != nil else { return nil }
    return text(of: buffer).split { $0 == " " || $0 == "\n" }.map(String.init)
  }

  private static func text(of buffer: [CChar]) -> String {
    String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
