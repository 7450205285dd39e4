#if canImport(Glibc)
  import Glibc
#endif

/// Where a picture ends among bytes that go on, found in its structure and without decoding it.
///
/// Nothing is taken from a number in the bytes but a place to look at, so whatever they are the work
/// is at most a look at each.
struct PictureBoundary {
  enum Kind: Equatable {
    case jpeg
    case png
    /// Size in the header: PNM with binary samples, BMP, WebP.
    case sized
    /// Whatever follows is part of it.
    case unbounded

    /// - Parameter bytes: at least 12, unless there are no more.
    init(_ bytes: UnsafeRawBufferPointer) {
      func begins(_ signature: [UInt8], at offset: Int = 0) -> Bool {
        bytes.count >= offset + signature.count
          && signature.indices.allSatisfy { bytes[offset + $0] == signature[$0] }
      }
      let isNetpbm =
        bytes.count > 2 && bytes[0] == UInt8(ascii: "P") && (0x34...0x36).contains(bytes[1])
        && PictureBoundary.isSpace(bytes[2])
      if begins([0xff, 0xd8, 0xff]) {
        self = .jpeg
      } else if begins([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]) {
        self = .png
      } else if isNetpbm || begins([0x42, 0x4d])
        || (begins(Array("RIFF".utf8)) && begins(Array("WEBP".utf8), at: 8))
      {
        self = .sized
      } else {
        self = .unbounded
      }
    }
  }

  enum Step: Equatable {
    /// The picture's number of bytes.
    case end(Int)
    case needsMore
    /// Its structure does not tell.
    case unbounded
  }

  let kind: Kind
  /// Where the next marker or chunk is, which may be beyond the bytes that are there.
  private var position = 0
  /// Among entropy-coded data, or where nothing is as it should be.
  private var isInScan = false
  /// Where the last of the pictures ends that are part of a JPEG file, as its index says.
  private var lastPicture = 0
  /// The end of the first of them.
  private(set) var firstPicture: Int?

  init(_ kind: Kind) {
    self.kind = kind
    position = kind == .jpeg ? 2 : kind == .png ? 8 : 0
  }

  /// - Parameter bytes: from the picture's first on, those of earlier calls and more.
  mutating func step(_ bytes: UnsafeRawBufferPointer) -> Step {
    switch kind {
    case .jpeg: return jpeg(bytes)
    case .png: return png(bytes)
    case .sized:
      guard let size = Self.size(bytes) else {
        return bytes.count < Self.maximumHeader ? .needsMore : .unbounded
      }
      return size < 0 ? .unbounded : size <= bytes.count ? .end(size) : .needsMore
    case .unbounded: return .unbounded
    }
  }

  // MARK: - JPEG

  /// From marker to marker (ITU-T T.81, B.1): what a segment holds, such as a thumbnail with its own
  /// end, is stepped over.
  private mutating func jpeg(_ bytes: UnsafeRawBufferPointer) -> Step {
    if let firstPicture { return behind(firstPicture, bytes.count) }
    while true {
      if isInScan {
        guard position < bytes.count, let base = bytes.baseAddress,
          let found = memchr(base + position, 0xff, bytes.count - position)
        else {
          position = max(position, bytes.count)
          return .needsMore
        }
        position = base.distance(to: UnsafeRawPointer(found))
        guard position + 1 < bytes.count else { return .needsMore }
        switch bytes[position + 1] {
        // A byte 255 of the data, or a marker that restarts it.
        case 0, 0xd0...0xd7: position += 2
        case 0xff: position += 1
        default: isInScan = false
        }
        continue
      }
      guard position + 1 < bytes.count else { return .needsMore }
      // As decoders do where bytes are lost: on to the next marker.
      guard bytes[position] == 0xff else {
        isInScan = true
        continue
      }
      switch bytes[position + 1] {
      case 0xff: position += 1
      case 0, 1, 0xd0...0xd7: position += 2
      case 0xd9:
        firstPicture = position + 2
        return behind(position + 2, bytes.count)
      // The next picture begins, this one lost its end.
      case 0xd8: return .end(position)
      case let marker:
        guard position + 3 < bytes.count else { return .needsMore }
        let length = Int(bytes[position + 2]) << 8 | Int(bytes[position + 3])
        if marker == 0xe2, length >= 2 {
          guard position + 2 + length <= bytes.count else { return .needsMore }
          let payload = position + 4..<position + 2 + length
          noteIndex(UnsafeRawBufferPointer(rebasing: bytes[payload]), at: payload.lowerBound)
        }
        isInScan = marker == 0xda || length < 2
        position += 2 + max(length, 2)
      }
    }
  }

  /// The end of a JPEG file whose first picture ends at `end`.
  private func behind(_ end: Int, _ available: Int) -> Step {
    let last = max(end, lastPicture)
    return last <= available ? .end(last) : .needsMore
  }

  /// CIPA DC-007's index of several pictures in one file, with which phones add depth and gain maps
  /// behind the picture.
  private mutating func noteIndex(_ payload: UnsafeRawBufferPointer, at offset: Int) {
    guard payload.starts(with: Array("MPF\0".utf8)), payload.count >= 12 else { return }
    let index = UnsafeRawBufferPointer(rebasing: payload[4...])
    let isLittle = index[0] == 0x49
    func number(_ offset: Int, _ count: Int) -> Int? {
      guard offset >= 0, offset + count <= index.count else { return nil }
      let bytes = index[offset..<offset + count]
      return isLittle
        ? bytes.reversed().reduce(0) { $0 << 8 | Int($1) } : bytes.reduce(0) { $0 << 8 | Int($1) }
    }
    guard let directory = number(4, 4), let count = number(directory, 2) else { return }
    for entry in 0..<min(count, 16) {
      let field = directory + 2 + 12 * entry
      // The list of pictures, 16 bytes each: attributes, size, offset, others.
      guard number(field, 2) == 0xb002, let bytes = number(field + 4, 4),
        let list = number(field + 8, 4)
      else { continue }
      for picture in 0..<min(bytes / 16, 64) {
        guard let size = number(list + 16 * picture + 4, 4),
          let start = number(list + 16 * picture + 8, 4), start > 0
        else { continue }
        lastPicture = max(lastPicture, offset + 4 + start + size)
      }
    }
  }

  // MARK: - Others

  /// From chunk to chunk.
  private mutating func png(_ bytes: UnsafeRawBufferPointer) -> Step {
    while position + 8 <= bytes.count {
      let length = bytes[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
      let type = bytes[position + 4..<position + 8]
      guard length <= Int(Int32.max),
        type.allSatisfy({ (0x41...0x5a).contains($0 & 0xdf) })
      else { return .unbounded }
      let end = position + 12 + length
      if type.elementsEqual(Array("IEND".utf8)) {
        return end <= bytes.count ? .end(end) : .needsMore
      }
      position = end
    }
    return .needsMore
  }

  /// Bytes that a header is looked for in.
  private static let maximumHeader = 1 << 16

  /// Bytes of the picture as its header says; nil for one that has not come yet, -1 for one that says
  /// nothing.
  private static func size(_ bytes: UnsafeRawBufferPointer) -> Int? {
    guard bytes.count >= 12 else { return nil }
    func little(_ offset: Int) -> Int {
      bytes[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | Int($1) }
    }
    switch bytes[0] {
    case UInt8(ascii: "B"): return little(2) >= 26 ? little(2) : -1
    case UInt8(ascii: "R"): return 8 + little(4) + little(4) % 2
    default: return netpbmSize(bytes)
    }
  }

  /// "P6", width, height and, of all but bitmaps, the largest sample, with comments from # to the end
  /// of a line anywhere between; a single space goes before the samples.
  private static func netpbmSize(_ bytes: UnsafeRawBufferPointer) -> Int? {
    let wanted = bytes[1] == 0x34 ? 2 : 3
    var numbers: [Int] = []
    var offset = 2
    while numbers.count < wanted {
      while offset < bytes.count, isSpace(bytes[offset]) || bytes[offset] == UInt8(ascii: "#") {
        if bytes[offset] == UInt8(ascii: "#") {
          while offset < bytes.count, bytes[offset] != 0x0a, bytes[offset] != 0x0d { offset += 1 }
        } else {
          offset += 1
        }
      }
      let start = offset
      var number = 0
      while offset < bytes.count, (0x30...0x39).contains(bytes[offset]), offset - start < 10 {
        number = number * 10 + Int(bytes[offset] - 0x30)
        offset += 1
      }
      if offset >= bytes.count { return nil }
      guard offset > start, isSpace(bytes[offset]) else { return -1 }
      numbers.append(number)
    }
    let (width, height) = (numbers[0], numbers[1])
    let channels = bytes[1] == 0x36 ? 3 : 1
    let row = wanted == 2 ? (width + 7) / 8 : width * channels * (numbers[2] > 255 ? 2 : 1)
    let (samples, overflow) = row.multipliedReportingOverflow(by: height)
    return overflow || samples > Int.max / 2 ? -1 : offset + 1 + samples
  }

  fileprivate static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || (0x09...0x0d).contains(byte)
  }
}
