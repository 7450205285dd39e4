#if canImport(Glibc)
  import Glibc
#endif

/// Finds the end of an image in a stream of bytes from its structure, without decoding it.
///
/// Numbers in the bytes are only used as offsets to look at, so the work is at most one look at
/// each byte.
struct ImageBoundary {
  enum Kind: Equatable {
    case jpeg
    case png
    case gif
    /// Formats that state their size in the header: PNM with binary samples, BMP, WebP.
    case sized
    /// Formats without a recognisable end; everything that follows belongs to the image.
    case unbounded

    /// - Parameter bytes: at least 12 bytes, unless the stream ends earlier.
    init(_ bytes: UnsafeRawBufferPointer) {
      func begins(_ signature: [UInt8], at offset: Int = 0) -> Bool {
        bytes.count >= offset + signature.count
          && signature.indices.allSatisfy { bytes[offset + $0] == signature[$0] }
      }
      let isNetpbm =
        bytes.count > 2 && bytes[0] == UInt8(ascii: "P") && (0x34...0x36).contains(bytes[1])
        && ImageBoundary.isSpace(bytes[2])
      if begins([0xff, 0xd8, 0xff]) {
        self = .jpeg
      } else if begins([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]) {
        self = .png
      } else if begins(Array("GIF8".utf8)) {
        self = .gif
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
    /// The image's size in bytes.
    case end(Int)
    case needsMore
    /// The structure does not reveal the end.
    case unbounded
  }

  let kind: Kind
  /// Offset of the next marker, chunk or block, which may be beyond the available bytes.
  private var position = 0
  /// Whether the scan is inside entropy-coded data or damaged data; of a GIF, among a block's parts.
  private var isInScan = false
  /// End of the last image of a JPEG file, according to its multi-image index.
  private var lastPicture = 0
  /// End of the first of these images.
  private(set) var firstPicture: Int?

  init(_ kind: Kind) {
    self.kind = kind
    position = kind == .jpeg ? 2 : kind == .png ? 8 : 0
  }

  /// - Parameter bytes: all bytes from the image's first on: those of earlier calls and further
  ///   ones.
  mutating func step(_ bytes: UnsafeRawBufferPointer) -> Step {
    switch kind {
    case .jpeg: return jpeg(bytes)
    case .png: return png(bytes)
    case .gif: return gif(bytes)
    case .sized:
      guard let size = Self.size(bytes) else {
        return bytes.count < Self.maximumHeader ? .needsMore : .unbounded
      }
      return size < 0 ? .unbounded : size <= bytes.count ? .end(size) : .needsMore
    case .unbounded: return .unbounded
    }
  }

  // MARK: - JPEG

  /// Scans markers (ITU-T T.81, B.1). The contents of segments are skipped, such as a thumbnail
  /// with its own end marker.
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
        // An escaped byte 255 of the data, or a restart marker.
        case 0, 0xd0...0xd7: position += 2
        case 0xff: position += 1
        default: isInScan = false
        }
        continue
      }
      guard position + 1 < bytes.count else { return .needsMore }
      // Like decoders after lost bytes, continue at the next marker.
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
      // The next image begins; this one has no end marker.
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

  /// The end of a JPEG file whose first image ends at `end`.
  private func behind(_ end: Int, _ available: Int) -> Step {
    let last = max(end, lastPicture)
    return last <= available ? .end(last) : .needsMore
  }

  /// CIPA DC-007's index of several images in one file, which phones use to append depth and gain
  /// maps.
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
      // The list of images, 16 bytes each: attributes, size, offset, dependent images.
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

  /// Scans chunks.
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

  /// Scans blocks (GIF89a, appendix B), whose data comes in parts of up to 255 bytes.
  private mutating func gif(_ bytes: UnsafeRawBufferPointer) -> Step {
    /// Bytes of the palette that a byte of flags announces.
    func palette(_ flags: UInt8) -> Int { flags & 0x80 != 0 ? 3 << (Int(flags & 7) + 1) : 0 }
    if position == 0 {
      guard bytes.count >= 13 else { return .needsMore }
      position = 13 + palette(bytes[10])
    }
    while position < bytes.count {
      if isInScan {
        isInScan = bytes[position] > 0
        position += 1 + Int(bytes[position])
        continue
      }
      switch bytes[position] {
      case 0x3b: return .end(position + 1)
      case 0x21:
        position += 2
        isInScan = true
      case 0x2c:
        guard position + 9 < bytes.count else { return .needsMore }
        // Behind the palette stands the size of the first codes.
        position += 11 + palette(bytes[position + 9])
        isInScan = true
      default:
        // Cut off before its last byte, and the next picture begins.
        guard bytes.count >= position + 12 else { return .needsMore }
        let next = Kind(UnsafeRawBufferPointer(rebasing: bytes[position...]))
        return next == .unbounded ? .unbounded : .end(position)
      }
    }
    return .needsMore
  }

  /// Maximum bytes searched for a header.
  private static let maximumHeader = 1 << 16

  /// The image's size according to its header; nil if the header is incomplete, -1 if it does not
  /// state a size.
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

  /// "P6", width, height and, except for bitmaps, the maximum sample, with comments from # to the
  /// end of a line anywhere between; a single space precedes the samples.
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
