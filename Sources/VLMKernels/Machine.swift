#if canImport(Glibc)
  import Glibc
#endif

/// Facts about the machine.
package enum Machine {
  /// Bytes of memory.
  package static var physicalMemory: Int {
    max(1 << 28, Int(sysconf(Int32(_SC_PHYS_PAGES))) * Int(sysconf(Int32(_SC_PAGESIZE))))
  }

  /// Bytes that could be taken without swapping, what caches hold included; nil where the system
  /// does not say.
  package static var availableMemory: Int? {
    guard let file = fopen("/proc/meminfo", "re") else { return nil }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = fread(&bytes, 1, bytes.count, file)
    return available(meminfo: String(decoding: bytes.prefix(count), as: UTF8.self))
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
