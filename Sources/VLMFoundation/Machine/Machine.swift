import CVLMSystem

#if canImport(Glibc)
  import Glibc
#endif

/// Facts about the machine.
package enum Machine {
  /// Processors that this process may run on; nil where the system does not say.
  package static var allowedProcessors: Int? {
    let count = Int(vlm_allowed_processors())
    return count > 0 ? count : nil
  }

  /// Bytes of memory, and what they are the memory of, for messages.
  package struct Memory: Sendable, Equatable {
    package let byteCount: Int
    package let isControlGroups: Bool

    /// "1024 MiB on this machine": the share of it that models and activations may take.
    package var text: String {
      "\(planned >> 20) MiB "
        + (isControlGroups ? "under the memory limit of this control group" : "on this machine")
    }

    /// Three quarters.
    package var planned: Int { byteCount / 4 * 3 }
  }

  /// The machine's, or what control groups leave of it.
  package static var memory: Memory {
    let physical =
      max(1 << 28, Int(sysconf(Int32(_SC_PHYS_PAGES))) * Int(sysconf(Int32(_SC_PAGESIZE))))
    return memory(physical: physical, ControlGroup.current)
  }

  static func memory(physical: Int, _ group: ControlGroup) -> Memory {
    guard let limit = group.memoryLimit, limit < physical else {
      return Memory(byteCount: physical, isControlGroups: false)
    }
    return Memory(byteCount: limit, isControlGroups: true)
  }

  /// Bytes that this process may plan with beside what it has: three quarters of the memory of the
  /// machine and of each control group, less what is taken of them, and what a limit on its address
  /// space leaves. Pages of mapped files do not count as taken.
  package static var memoryLeft: Int {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    var space = rlimit()
    let isLimited =
      getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &space) == 0
      && space.rlim_cur < rlim_t(Int.max)
    let physical = Int(sysconf(Int32(_SC_PHYS_PAGES))) * page
    return left(
      physical: max(1 << 28, physical), ControlGroup.current,
      statm: ControlGroup.content("/proc/self/statm") ?? "", page: page,
      addressSpace: isLimited ? Int(space.rlim_cur) : nil)
  }

  /// Bytes that this program had in memory at most, mapped files included; nil where /proc is not
  /// there to say it.
  package static var peakMemory: Int? {
    let status = ControlGroup.content("/proc/self/status") ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    let words = line?.split { $0 == " " || $0 == "\t" } ?? []
    return words.count > 1 ? Int(words[1]).map { $0 * 1024 } : nil
  }

  /// Bytes of this process that are in memory and no file's; 0 where /proc is not there to say it.
  package static var ownMemory: Int {
    let pages = ControlGroup.content("/proc/self/statm")?.split(separator: " ").map { Int($0) ?? 0 }
    guard let pages, pages.count >= 3 else { return 0 }
    return max(0, pages[1] - pages[2]) * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// Bytes that are allocated and not freed, whatever the allocator keeps beside them; 0 where the C
  /// library does not say.
  package static var allocatedMemory: Int { Int(vlm_allocated_bytes()) }

  /// - Parameter statm: pages of address space, resident ones, and those of them that are files'.
  static func left(
    physical: Int, _ group: ControlGroup, statm: String, page: Int, addressSpace: Int?
  ) -> Int {
    let pages = statm.split(separator: " ").prefix(3).map { Int($0) ?? 0 }
    let isKnown = pages.count == 3
    let own = isKnown ? max(0, pages[1] - pages[2]) * page : 0
    var left = physical / 4 * 3 - own
    if let group = group.memoryLeft { left = min(left, group) }
    if let addressSpace { left = min(left, addressSpace - (isKnown ? pages[0] * page : 0)) }
    return max(0, left)
  }

  /// Bytes that could be taken without swapping, what caches hold included, within the limits of
  /// the control groups; without what caches hold where `/proc` is not there.
  package static var availableMemory: Int? {
    guard let file = fopen("/proc/meminfo", "re") else {
      let free = Int(sysconf(Int32(_SC_AVPHYS_PAGES))) * Int(sysconf(Int32(_SC_PAGESIZE)))
      return [free, ControlGroup.current.memoryAvailable].compactMap { $0 }.min()
    }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = fread(&bytes, 1, bytes.count, file)
    return available(
      meminfo: String(decoding: bytes.prefix(count), as: UTF8.self), ControlGroup.current)
  }

  static func available(meminfo text: String, _ group: ControlGroup) -> Int? {
    [available(meminfo: text), group.memoryAvailable].compactMap { $0 }.min()
  }

  /// What `text` says in its line "MemAvailable: 1234 kB".
  static func available(meminfo text: String) -> Int? {
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count == 3, words[0] == "MemAvailable:", words[2] == "kB" else { continue }
      let (value, overflow) = (Int(words[1]) ?? 0).multipliedReportingOverflow(by: 1024)
      return overflow || value <= 0 ? nil : value
    }
    return nil
  }
}
