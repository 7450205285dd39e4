#if canImport(Glibc)
  import Glibc
#endif

/// What the control groups of this process, version 2 or 1, leave it of processors and memory.
///
/// A group's limits hold for all below it, so every group on the way to the root counts. In a
/// container the root that is mounted is often the process's own group, while `/proc/self/cgroup`
/// still has the path from outside: a group whose files are not there is passed over.
package struct ControlGroup: Sendable {
  /// Processors' worth of time, nil when unlimited or unknown.
  package let processors: Double?
  /// Bytes that the group may have, nil when unlimited or unknown.
  package let memoryLimit: Int?
  /// Bytes of the limit that are not taken, page cache counting as free.
  package let memoryAvailable: Int?
  /// Bytes of three quarters of the limit that are not taken, counted alike; none where more is.
  package let memoryLeft: Int?

  /// This process's, as they are now.
  package static var current: ControlGroup { ControlGroup(read: Self.content) }

  /// - Parameter read: the content of a file, nil where there is none.
  package init(read: (String) -> String?) {
    let groups = Groups(read("/proc/self/cgroup") ?? "")
    processors = groups.processors.compactMap { Self.quota($0, read) }.min()
    let memory = groups.memory.compactMap { Self.memory($0, read) }
    memoryLimit = memory.map(\.limit).min()
    memoryAvailable = memory.map(\.available).min()
    memoryLeft = memory.map { max(0, $0.available - $0.limit / 4) }.min()
  }

  /// Folders whose files count, nearest first.
  private struct Groups {
    var processors: [String] = []
    var memory: [String] = []

    private static let mount = "/sys/fs/cgroup"

    /// - Parameter text: lines `number:controllers:path`; version 2 has no controllers.
    init(_ text: String) {
      var (unified, cpu, memoryPath) = ("/", "/", "/")
      for line in text.split(separator: "\n") {
        let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard fields.count == 3 else { continue }
        let controllers = fields[1].split(separator: ",")
        if fields[1].isEmpty { unified = String(fields[2]) }
        if controllers.contains("cpu") { cpu = String(fields[2]) }
        if controllers.contains("memory") { memoryPath = String(fields[2]) }
      }
      let both = Self.folders(Self.mount, unified) + Self.folders(Self.mount + "/unified", unified)
      processors =
        both + Self.folders(Self.mount + "/cpu", cpu)
        + Self.folders(Self.mount + "/cpu,cpuacct", cpu)
      memory = both + Self.folders(Self.mount + "/memory", memoryPath)
    }

    /// `root/a/b`, `root/a` and `root` for `/a/b`.
    private static func folders(_ root: String, _ path: String) -> [String] {
      let parts = path.split(separator: "/")
      // A group above the mounted root is "/../name": its files are not to be seen.
      guard parts.count <= 64, !parts.contains("..") else { return [root] }
      return (0...parts.count).reversed().map { count in
        parts.prefix(count).reduce(root) { $0 + "/" + $1 }
      }
    }
  }

  private static func quota(_ folder: String, _ read: (String) -> String?) -> Double? {
    if let words = read(folder + "/cpu.max").map(words), words.count == 2 {
      return ratio(words[0], words[1])
    }
    guard let quota = read(folder + "/cpu.cfs_quota_us").map(words)?.first,
      let period = read(folder + "/cpu.cfs_period_us").map(words)?.first
    else { return nil }
    return ratio(quota, period)
  }

  /// "max" and -1 are no limits.
  private static func ratio(_ quota: Substring, _ period: Substring) -> Double? {
    guard let quota = Int(quota), let period = Int(period), quota > 0, period > 0 else {
      return nil
    }
    return Double(quota) / Double(period)
  }

  private static func memory(
    _ folder: String, _ read: (String) -> String?
  ) -> (limit: Int, available: Int)? {
    func number(_ name: String) -> Int? {
      read(folder + "/" + name).map(words)?.first.flatMap { Int($0) }
    }
    let limit: Int
    var caches: Set<Substring> = ["inactive_file", "active_file"]
    let used: Int?
    // Beyond `memory.high` the system takes memory back, which is slow: it counts as a limit.
    if let found = [number("memory.max"), number("memory.high")].compactMap({ $0 }).min() {
      (limit, used) = (found, number("memory.current"))
    } else if let found = number("memory.limit_in_bytes") {
      (limit, used) = (found, number("memory.usage_in_bytes"))
      caches = ["total_inactive_file", "total_active_file"]
    } else {
      return nil
    }
    // Version 1 writes the largest number of pages where it means none.
    guard limit > 0, limit < 1 << 60 else { return nil }
    var cached = 0
    for line in (read(folder + "/memory.stat") ?? "").split(separator: "\n") {
      let words = words(line)
      guard words.count == 2, caches.contains(words[0]), let bytes = Int(words[1]), bytes > 0 else {
        continue
      }
      cached = min(limit, cached + min(bytes, limit))
    }
    let taken = max(0, min(used ?? 0, limit) - cached)
    return (limit, limit - taken)
  }

  private static func words(_ text: some StringProtocol) -> [Substring] {
    Substring(text).split { $0 == " " || $0 == "\n" }
  }

  private static let maximumBytes = 1 << 16

  package static func content(_ path: String) -> String? {
    guard let file = fopen(path, "re") else { return nil }
    defer { fclose(file) }
    // Little at a time: an array that there is no room for would end the process.
    var bytes: [UInt8] = []
    withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { block in
      while bytes.count < maximumBytes {
        let count = fread(block.baseAddress, 1, block.count, file)
        guard count > 0 else { break }
        bytes.append(contentsOf: block[..<count])
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
