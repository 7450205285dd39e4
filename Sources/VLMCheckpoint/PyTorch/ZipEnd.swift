import VLMFoundation

/// The end record of a zip archive: the directory's location and the number of entries.
struct ZipEnd {
  let directory: Range<Int>
  let count: Int

  /// Finds the end record, which must end exactly at the end of the file.
  init(_ file: MappedFile) throws(CheckpointError) {
    func failure(_ text: String) -> CheckpointError {
      CheckpointError(path: file.path, problem: .pyTorch(.zip(text)))
    }
    let starts = Self.candidates(file)
    guard let start = starts.last(where: { Self.endsFile(file, $0) }) else {
      throw failure(
        starts.isEmpty
          ? "the zip archive has no end record" + CheckpointError.cutShort
          : "bytes follow the end of the zip archive, or its end is cut off; download it again")
    }
    guard starts.allSatisfy({ $0 <= start }), starts.filter({ Self.endsFile(file, $0) }).count == 1
    else { throw failure("the zip archive has two ends") }
    guard file.little(start + 4, UInt32.self) == 0,
      file.little(start + 8, UInt16.self) == file.little(start + 10, UInt16.self)
    else { throw failure("the archive is split over several disks") }
    var (entries, bytes, offset) = (
      UInt64(file.little(start + 10, UInt16.self)), UInt64(file.little(start + 12, UInt32.self)),
      UInt64(file.little(start + 16, UInt32.self))
    )
    var end = start
    let hasLocator = start >= 20 && file.little(start - 20, UInt32.self) == 0x0706_4b50
    if hasLocator {
      let place = file.little(start - 12, UInt64.self)
      guard start >= 76, place == UInt64(start - 76), file.little(start - 16, UInt32.self) == 0,
        file.little(start - 4, UInt32.self) <= 1
      else { throw failure("the 64-bit end record is not where its locator says") }
      let record = start - 76
      guard file.little(record, UInt32.self) == 0x0606_4b50,
        file.little(record + 4, UInt64.self) == 44, file.little(record + 16, UInt64.self) == 0,
        file.little(record + 24, UInt64.self) == file.little(record + 32, UInt64.self)
      else { throw failure("the 64-bit end record is malformed") }
      let wide = (
        file.little(record + 32, UInt64.self), file.little(record + 40, UInt64.self),
        file.little(record + 48, UInt64.self)
      )
      guard entries == 0xffff || entries == wide.0, bytes == 0xffff_ffff || bytes == wide.1,
        offset == 0xffff_ffff || offset == wide.2
      else { throw failure("the 64-bit end record contradicts the 32-bit one") }
      (entries, bytes, offset) = wide
      end = record
    } else if entries == 0xffff || bytes == 0xffff_ffff || offset == 0xffff_ffff {
      throw failure("the 64-bit end record is missing")
    }
    guard let first = Int(exactly: offset), let length = Int(exactly: bytes), first <= end,
      length == end - first
    else {
      throw failure(
        "the directory has \(bytes) bytes at byte \(offset), expected to end at byte \(end)")
    }
    // A directory entry takes at least 46 bytes.
    guard entries <= UInt64(length / 46) else {
      throw failure("the directory of \(length) bytes cannot have \(entries) entries")
    }
    directory = first..<end
    count = Int(entries)
  }

  /// Offsets of the signature in the part of the file that can hold an end record.
  private static func candidates(_ file: MappedFile) -> [Int] {
    guard file.count >= 22 else { return [] }
    let first = max(0, file.count - 22 - 0xffff)
    let signature: [UInt8] = [0x50, 0x4b, 5, 6]
    return file.withBytes(first..<file.count) { bytes in
      (0...bytes.count - 22).filter { index in
        bytes[index] == 0x50 && bytes[index..<index + 4].elementsEqual(signature)
      }.map { first + $0 }
    }
  }

  private static func endsFile(_ file: MappedFile, _ start: Int) -> Bool {
    start + 22 + Int(file.little(start + 20, UInt16.self)) == file.count
  }
}

/// The sizes and offset of an entry, any of which may be in the zip64 extra field.
struct ZipSizes {
  var count: UInt64
  var stored: UInt64
  var offset: UInt64

  var isLeftOpen: Bool { count == 0xffff_ffff && stored == 0xffff_ffff }

  /// Replaces fields that are all ones by their 64-bit values.
  ///
  /// - Returns: whether the extra fields in `range` are well-formed and complete.
  mutating func extend(_ file: MappedFile, _ range: Range<Int>, hasOffset: Bool) -> Bool {
    var position = range.lowerBound
    var needed = [count, stored].filter { $0 == 0xffff_ffff }.count
    if hasOffset, offset == 0xffff_ffff { needed += 1 }
    while range.upperBound - position >= 4 {
      let (kind, length) = (
        file.little(position, UInt16.self), Int(file.little(position + 2, UInt16.self))
      )
      position += 4
      guard length <= range.upperBound - position else { return false }
      if kind == 1, needed > 0 {
        guard length >= 8 * needed else { return false }
        var next = position
        func take() -> UInt64 {
          defer { next += 8 }
          return file.little(next, UInt64.self)
        }
        if count == 0xffff_ffff { count = take() }
        if stored == 0xffff_ffff { stored = take() }
        if hasOffset, offset == 0xffff_ffff { offset = take() }
        needed = 0
      }
      position += length
    }
    return needed == 0
  }
}
