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

  /// Bytes that one call asks a disk for: systems cut longer ones to what the device takes at a time,
  /// and leave the rest unread.
  private static let request = 512 << 10

  /// Bytes that the system reads ahead by itself of a file that is read in order, often 128 KiB; 0 where
  /// it does not say.
  package func readAheadByteCount(
    read: (String) -> String? = ControlGroup.content
  ) -> Int {
    // As Linux packs them; the macros of <sys/sysmacros.h> are not to be had in Swift.
    let major = device >> 8 & 0xfff | device >> 32 & ~0xfff
    let minor = device & 0xff | device >> 12 & ~0xff
    let folder = "/sys/dev/block/\(major):\(minor)/"
    // A partition's is that of its disk.
    let text =
      read(folder + "queue/read_ahead_kb") ?? read(folder + "../queue/read_ahead_kb")
    let kilobytes = text.flatMap { Int($0.filter { !$0.isWhitespace }) } ?? 0
    return (0...1 << 30).contains(kilobytes) ? kilobytes << 10 : 0
  }

  /// Asks for a range to be read and does not wait for it.
  package func beginLoad(_ range: Range<Int>) {
    for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.request) {
      advise(start..<min(range.upperBound, start + Self.request), MADV_WILLNEED)
    }
  }

  /// Reads a range into memory and waits for it, on every system: where none of its calls maps it, by
  /// reading it into the page cache.
  package func finishLoad(_ range: Range<Int>) {
    if load(range) || descriptor < 0 { return }
    withUnsafeTemporaryAllocation(byteCount: Self.request, alignment: 64) { buffer in
      var position = range.lowerBound
      while position < range.upperBound {
        let size = min(buffer.count, range.upperBound - position)
        let count = pread(descriptor, buffer.baseAddress, size, off_t(position))
        // Whoever computes with it finds out what is wrong with the file.
        guard count > 0 else { return }
        position += count
      }
    }
  }

  /// Drops the pages that lie wholly in a range from this process's memory and, where no other process
  /// has them mapped, from the page cache; a hint. They are read again when they are used.
  package func discard(_ range: Range<Int>) {
    guard descriptor >= 0, let base = bytes(0..<count).baseAddress else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let start = (range.lowerBound + page - 1) / page * page
    // The last page of a file is a whole one.
    let end = range.upperBound == count ? count : range.upperBound / page * page
    guard end > start else { return }
    // The cache keeps what is mapped, so the order matters.
    madvise(UnsafeMutableRawPointer(mutating: base + start), end - start, MADV_DONTNEED)
    posix_fadvise(descriptor, off_t(start), off_t(end - start), POSIX_FADV_DONTNEED)
  }
}
