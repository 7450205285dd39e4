import VLMFoundation

/// The entries of a zip archive, located by its central directory and checked against it.
///
/// Ambiguous archives are refused: there must be nothing before the first entry, between entries or
/// after the directory; every local header must match its directory entry; no two entries may
/// overlap. So no other program can see different content in the same file.
struct ZipArchive {
  struct Entry: Sendable {
    let name: String
    let isDeflated: Bool
    let crc: UInt32
    let flags: UInt16
    let headerOffset: Int
    /// Uncompressed size in bytes.
    let count: Int
    /// Byte range of the stored data in the file.
    var range: Range<Int>
    var hasDescriptor: Bool { flags & 8 != 0 }
    var isFolder: Bool { name.hasSuffix("/") && count == 0 }
  }

  /// Maximum number of entries. The largest models have about ten thousand.
  static let maximumEntries = 1 << 20
  static let maximumNameBytes = 1024

  let file: MappedFile
  private(set) var entries: [Entry] = []
  private var positions: [ExactString: Int] = [:]

  subscript(name: String) -> Entry? { positions[ExactString(name)].map { entries[$0] } }

  init(_ file: MappedFile) throws(CheckpointError) {
    self.file = file
    let end = try ZipEnd(file)
    try readDirectory(end)
    try checkLayout(directoryStart: end.directory.lowerBound)
  }

  private func failure(_ text: String, place: String = "") -> CheckpointError {
    CheckpointError(path: file.path, place: place, problem: .pyTorch(.zip(text)))
  }

  // MARK: Directory

  private mutating func readDirectory(_ end: ZipEnd) throws(CheckpointError) {
    guard end.count <= Self.maximumEntries else {
      throw failure("\(end.count) entries, expected at most \(Self.maximumEntries)")
    }
    var lowered: [String: String] = [:]
    var position = end.directory.lowerBound
    for _ in 0..<end.count {
      let entry = try directoryEntry(&position, end: end.directory.upperBound)
      // Entries for folders are ignored.
      if entry.isFolder {
        entries.append(entry)
        continue
      }
      if positions.updateValue(entries.count, forKey: ExactString(entry.name)) != nil {
        throw failure("the name occurs twice", place: entry.name)
      }
      if !entry.name.contains("/code/"),
        let other = lowered.updateValue(entry.name, forKey: entry.name.lowercased())
      {
        throw failure(
          "differs only by case from '\(other.escapedForDisplay())'", place: entry.name)
      }
      entries.append(entry)
    }
    guard position == end.directory.upperBound else {
      throw failure(
        "the directory has \(end.directory.upperBound - position) bytes beyond its "
          + "\(end.count) entries")
    }
  }

  private func directoryEntry(
    _ position: inout Int, end: Int
  ) throws(CheckpointError) -> Entry {
    let start = position
    guard end - start >= 46, file.little(start, UInt32.self) == 0x0201_4b50 else {
      throw failure("the directory has no entry at byte \(start), where one is expected")
    }
    let (flags, method) = (
      file.little(start + 8, UInt16.self), file.little(start + 10, UInt16.self)
    )
    let nameCount = Int(file.little(start + 28, UInt16.self))
    let extraCount = Int(file.little(start + 30, UInt16.self))
    let commentCount = Int(file.little(start + 32, UInt16.self))
    guard 46 + nameCount + extraCount + commentCount <= end - start else {
      throw failure("the directory entry at byte \(start) is longer than the directory")
    }
    position = start + 46 + nameCount + extraCount + commentCount
    let name = try name(start + 46..<start + 46 + nameCount)
    var sizes = ZipSizes(
      count: UInt64(file.little(start + 24, UInt32.self)),
      stored: UInt64(file.little(start + 20, UInt32.self)),
      offset: UInt64(file.little(start + 42, UInt32.self)))
    guard
      sizes.extend(
        file, start + 46 + nameCount..<start + 46 + nameCount + extraCount, hasOffset: true)
    else { throw failure("the 64-bit sizes are missing or malformed", place: name) }
    guard file.little(start + 34, UInt16.self) == 0 else {
      throw failure("the archive is split over several disks", place: name)
    }
    // Bits 1 and 2 state the compression level, bit 3 that sizes follow the data, bit 11 that names
    // are UTF-8.
    guard flags & ~0x080e == 0 else {
      throw failure(
        flags & 1 != 0
          ? "the entry is encrypted"
          : "the flags are 0x\(String(flags, radix: 16)), of which some are unknown", place: name)
    }
    guard method == 0 || method == 8 else {
      throw failure("compression method \(method), expected 0 (stored) or 8 (deflate)", place: name)
    }
    guard let count = Int(exactly: sizes.count), let stored = Int(exactly: sizes.stored),
      let offset = Int(exactly: sizes.offset), offset <= file.count, stored <= file.count
    else { throw failure("the entry lies outside the file", place: name) }
    if method == 0, count != stored {
      throw failure("a stored entry has \(stored) bytes but claims \(count)", place: name)
    }
    return Entry(
      name: name, isDeflated: method == 8, crc: file.little(start + 16, UInt32.self), flags: flags,
      headerOffset: offset, count: count, range: offset..<offset + stored)
  }

  private func name(_ range: Range<Int>) throws(CheckpointError) -> String {
    let (string, isUTF8) = file.withBytes(range) { bytes in
      let string = String(decoding: bytes, as: UTF8.self)
      return (string, string.utf8.elementsEqual(bytes))
    }
    let parts = string.split(separator: "/", omittingEmptySubsequences: false)
    // PyTorch names the folder after the output file, so it may have any name.
    let inner = parts.count > 1 ? string.utf8.dropFirst(parts[0].utf8.count) : string.utf8[...]
    let isPlain =
      isUTF8 && !string.isEmpty && range.count <= Self.maximumNameBytes
      && inner.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
      && string.utf8.allSatisfy { $0 != 0 && $0 != UInt8(ascii: "\\") }
      && parts.indices.allSatisfy { index in
        let part = parts[index]
        let isEnd = index == parts.count - 1 && parts.count > 1
        return (!part.isEmpty || isEnd) && part != "." && part != ".." && !part.hasSuffix(".")
          && !(index == 0 && part.count == 2 && part.hasSuffix(":"))
      }
    guard isPlain else {
      throw failure("'\(string.escapedForDisplay(limit: 80))' is no plain relative name")
    }
    return string
  }

  // MARK: Layout

  /// Locates each entry's data after its local header, and checks that entries cover the file
  /// exactly once from its first byte to the directory.
  private mutating func checkLayout(directoryStart: Int) throws(CheckpointError) {
    let order = entries.indices.sorted { entries[$0].headerOffset < entries[$1].headerOffset }
    var end = 0
    var previous: Entry?
    for index in order {
      let entry = entries[index]
      if entry.headerOffset < end {
        throw failure("overlaps the entry before it in the file", place: entry.name)
      }
      try checkGap(end..<entry.headerOffset, after: previous)
      let data = try localData(entry, limit: directoryStart)
      entries[index].range = data
      end = data.upperBound
      previous = entry
    }
    guard directoryStart >= end else { throw failure("the directory overlaps an entry") }
    try checkGap(end..<directoryStart, after: previous)
  }

  /// Between entries only the data descriptor of the previous one is allowed: its checksum and
  /// sizes.
  private func checkGap(_ gap: Range<Int>, after entry: Entry?) throws(CheckpointError) {
    if gap.isEmpty { return }
    guard let entry, entry.hasDescriptor, [12, 16, 20, 24].contains(gap.count) else {
      throw failure("\(gap.count) bytes at byte \(gap.lowerBound) belong to no entry")
    }
    var position = gap.lowerBound
    var isSound = true
    if gap.count == 16 || gap.count == 24 {
      isSound = file.little(position, UInt32.self) == 0x0807_4b50
      position += 4
    }
    isSound = isSound && file.little(position, UInt32.self) == entry.crc
    position += 4
    let (stored, count) =
      gap.count < 20
      ? (UInt64(file.little(position, UInt32.self)), UInt64(file.little(position + 4, UInt32.self)))
      : (file.little(position, UInt64.self), file.little(position + 8, UInt64.self))
    guard isSound, stored == UInt64(entry.range.count), count == UInt64(entry.count) else {
      throw failure("the sizes after the data differ from the directory's", place: entry.name)
    }
  }

  private func localData(_ entry: Entry, limit: Int) throws(CheckpointError) -> Range<Int> {
    let start = entry.headerOffset
    guard limit - start >= 30, file.little(start, UInt32.self) == 0x0403_4b50 else {
      throw failure("no entry begins at byte \(start)", place: entry.name)
    }
    let nameCount = Int(file.little(start + 26, UInt16.self))
    let extraCount = Int(file.little(start + 28, UInt16.self))
    guard 30 + nameCount + extraCount <= limit - start else {
      throw failure("the local header is longer than the file", place: entry.name)
    }
    let isSameName = file.withBytes(start + 30..<start + 30 + nameCount) {
      $0.elementsEqual(entry.name.utf8)
    }
    guard isSameName else {
      throw failure("the local header has another name than the directory", place: entry.name)
    }
    guard file.little(start + 8, UInt16.self) == (entry.isDeflated ? 8 : 0),
      file.little(start + 6, UInt16.self) == entry.flags
    else { throw failure("the local header differs from the directory", place: entry.name) }
    let data = start + 30 + nameCount + extraCount
    try checkSizes(entry, start: start, extra: data - extraCount..<data)
    guard entry.range.count <= limit - data else {
      throw failure("the data runs past its end at byte \(limit)", place: entry.name)
    }
    return data..<data + entry.range.count
  }

  /// The local header may leave its sizes to a data descriptor. If it states them, they must agree.
  private func checkSizes(
    _ entry: Entry, start: Int, extra: Range<Int>
  ) throws(CheckpointError) {
    let crc = file.little(start + 14, UInt32.self)
    var sizes = ZipSizes(
      count: UInt64(file.little(start + 22, UInt32.self)),
      stored: UInt64(file.little(start + 18, UInt32.self)), offset: 0)
    if entry.hasDescriptor, crc == 0, sizes.count == 0, sizes.stored == 0 { return }
    if entry.hasDescriptor, crc == 0, sizes.isLeftOpen { return }
    guard sizes.extend(file, extra, hasOffset: false), sizes.count == UInt64(entry.count),
      sizes.stored == UInt64(entry.range.count), crc == entry.crc
    else {
      throw failure(
        "the local header's sizes or checksum differ from the directory's", place: entry.name)
    }
  }
}

extension MappedFile {
  /// - Precondition: the bytes are in the file.
  func little<T: FixedWidthInteger>(_ offset: Int, _: T.Type) -> T {
    withBytes(offset..<offset + MemoryLayout<T>.size) {
      T(littleEndian: $0.loadUnaligned(as: T.self))
    }
  }
}
