#if canImport(Glibc)
  import Glibc
#endif

extension MappedFile {
  /// The share of a range's pages that are in the system's memory, found by asking for some of them:
  /// asking for all takes a tenth of a second for a file of some gigabytes.
  ///
  /// - Returns: 0 to 1; 1 where the system does not say.
  package func residentShare(_ range: Range<Int>, samples: Int = 512) -> Double {
    guard !range.isEmpty, let base = bytes(range).baseAddress else { return 1 }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let first = UInt(bitPattern: base) / UInt(page)
    let count = Int((UInt(bitPattern: base) + UInt(range.count) - 1) / UInt(page) - first) + 1
    let step = max(1, count / max(1, samples))
    var (asked, resident) = (0, 0)
    var flag: UInt8 = 0
    for index in stride(from: 0, to: count, by: step) {
      let address = UnsafeMutableRawPointer(bitPattern: (first + UInt(index)) * UInt(page))
      guard mincore(address, page, &flag) == 0 else { return 1 }
      asked += 1
      resident += Int(flag & 1)
    }
    return Double(resident) / Double(asked)
  }

  /// Reads a range into the system's memory and waits for it; the piece behind it is read on.
  ///
  /// - Parameter next: bytes behind the range that will be asked for next.
  /// - Returns: whether the system could.
  package func load(_ range: Range<Int>, next: Int = 0) -> Bool {
    advise(range.upperBound..<min(count, range.upperBound + next), MADV_WILLNEED)
    guard let base = bytes(range).baseAddress else { return true }
    let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
    let start = UInt(bitPattern: base) / page * page
    let end = UInt(bitPattern: base) + UInt(range.count)
    let populateRead: Int32 = 22
    for _ in 0..<100 {
      let address = UnsafeMutableRawPointer(bitPattern: start)
      if madvise(address, Int(end - start), populateRead) == 0 { return true }
      guard errno == EINTR || errno == EAGAIN else { return false }
    }
    return false
  }
}
