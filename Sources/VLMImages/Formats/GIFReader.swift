/// The first frame of a GIF on its logical screen, as Pillow shows it. Outside of the frame the
/// screen is transparent if there is a transparent colour, otherwise palette entry 0. A frame
/// larger than the screen enlarges it.
final class GIFReader: RowReader {
  let header: ImageHeader
  let workingBytes: Int
  var notes: [DecodingNote] { lost.notes(height: header.height) }
  private let file: PixelBuffer
  private let name: String
  private let frame: GIFFrame
  private var codes: LZWCodes
  private var lost: LostRows
  private var next = 0
  private var row: [UInt8]
  /// For an interlaced image: all indices, and the number of rows found, in file order.
  private var whole: (indices: PixelBuffer, found: Int)?

  init(_ file: PixelBuffer, name: String, limits: ImageLimits) throws(ImageError) {
    frame = try GIFFrame(ImageBytes(bytes: file.contents), name: name)
    _ = try limits.pixels(width: frame.canvasWidth, height: frame.canvasHeight, of: name)
    header = ImageHeader(
      width: frame.canvasWidth, height: frame.canvasHeight,
      model: frame.transparent == nil ? .rgb : .rgba, depth: 8,
      isAlphaDeclared: frame.transparent != nil)
    workingBytes = (frame.isInterlaced ? frame.width * frame.height : 0) + frame.width + 1 << 15
    codes = LZWCodes(ImageBytes(bytes: file.contents), at: frame.data, bits: frame.codeBits)
    row = [UInt8](repeating: 0, count: frame.width)
    lost = LostRows(.gif, name: name, limits: limits)
    self.file = file
    self.name = name
  }

  func finish() throws(ImageError) { try lost.check(height: header.height) }

  func read(rows: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
    let channels = header.model.channels
    for index in 0..<rows {
      let out = UnsafeMutableRawBufferPointer(
        rebasing: buffer[index * header.rowBytes..<(index + 1) * header.rowBytes])
      for x in 0..<header.width { put(frame.background, x, channels, out) }
      let y = next - frame.y
      next += 1
      guard y >= 0, y < frame.height else { continue }
      let found = try readFrameRow(y)
      for x in 0..<found { put(row[x], frame.x + x, channels, out) }
      if found < frame.width { try lost.add(1, "the picture's codes end early or are damaged") }
    }
  }

  private func put(
    _ index: UInt8, _ x: Int, _ channels: Int, _ out: UnsafeMutableRawBufferPointer
  ) {
    let entry = Int(index) * 3
    for channel in 0..<3 { out[x * channels + channel] = frame.palette[entry + channel] }
    if channels == 4 { out[x * 4 + 3] = index == frame.transparent ? 0 : 255 }
  }

  /// Fills `row` as far as the codes reach; returns the number of indices written.
  private func readFrameRow(_ y: Int) throws(ImageError) -> Int {
    guard frame.isInterlaced else {
      return row.withUnsafeMutableBytes { codes.decode(into: $0) }
    }
    if whole == nil {
      let indices = try PixelBuffer(byteCount: frame.width * frame.height, for: name)
      var found = 0
      for order in 0..<frame.height {
        let place = frame.interlacedRow(order) * frame.width
        let part = UnsafeMutableRawBufferPointer(
          rebasing: indices.bytes[place..<place + frame.width])
        let count = codes.decode(into: part)
        found += count
        if count < frame.width { break }
      }
      whole = (indices, found)
    }
    guard let whole else { return 0 }
    let count = min(max(0, whole.found - frame.orderOfRow(y) * frame.width), frame.width)
    for x in 0..<count { row[x] = whole.indices.bytes[y * frame.width + x] }
    return count
  }
}

/// The position and palette of a GIF's frame.
struct GIFFrame {
  /// What becomes of a frame before the next is painted.
  enum Disposal { case keep, background, previous }

  let canvasWidth: Int
  let canvasHeight: Int
  let x: Int
  let y: Int
  let width: Int
  let height: Int
  let isInterlaced: Bool
  let transparent: UInt8?
  /// 256 colours: the file's palette padded with black, or a gray ramp if it has none.
  let palette: [UInt8]
  /// The same of the file, for frames without one of their own.
  let global: [UInt8]
  let disposal: Disposal
  /// How long it is shown, in hundredths of a second, as the file says: 0 where it says nothing.
  let delay: Int
  /// Offset of the code sub-blocks, and the minimum code size.
  let data: Int
  let codeBits: Int

  var background: UInt8 { transparent ?? 0 }

  /// The frame behind this one; nil behind the last.
  ///
  /// - Throws: `.damaged` for a file that ends inside a frame, or has one that is none.
  func next(in file: ImageBytes, name: String) throws(ImageError) -> GIFFrame? {
    var offset = data
    while let size = file.byte(offset), size > 0 { offset += size + 1 }
    do {
      return try GIFFrame(file, name: name, behind: (offset + 1, global))
    } catch {
      if case .damaged = error.problem { throw error }
      return nil
    }
  }

  /// - Parameter behind: where the last frame ends, and the file's palette; nil for the first frame.
  init(
    _ file: ImageBytes, name: String, behind: (offset: Int, global: [UInt8])? = nil
  ) throws(ImageError) {
    func corrupt(_ text: String) -> ImageError {
      ImageError(name: name, problem: .corrupt(.gif, text))
    }
    // Behind the first one there is something to show without it.
    func damaged(_ text: String) -> ImageError {
      ImageError(name: name, problem: .damaged(.gif, text))
    }
    let early = corrupt("the file ends before its first picture")
    guard let screenWidth = file.short(6), let screenHeight = file.short(8),
      let flags = file.byte(10)
    else { throw early }
    var offset = 13
    var palette: [UInt8] = (0..<768).map { UInt8($0 / 3) }
    func readPalette(_ flags: Int) {
      guard flags & 0x80 != 0 else { return }
      let size = 3 << (flags & 7 + 1)
      palette = [UInt8](repeating: 0, count: 768)
      for (index, sample) in file.slice(offset, size).enumerated() { palette[index] = sample }
      offset += size
    }
    if let behind {
      (offset, palette) = behind
    } else {
      readPalette(flags)
    }
    global = palette
    var transparent: UInt8?
    var disposal = Disposal.keep
    var delay = 0
    while true {
      switch file.byte(offset) {
      case 0x21:
        // An extension: a label and sub-blocks. Only the first sub-block of a graphic control
        // extension matters.
        if file.byte(offset + 1) == 0xF9, let size = file.byte(offset + 2), size >= 4,
          let control = file.byte(offset + 3), let index = file.byte(offset + 6)
        {
          delay = file.short(offset + 4) ?? 0
          if control & 1 == 1 { transparent = UInt8(index) }
          disposal = [2: .background, 3: .previous][control >> 2 & 7] ?? .keep
        }
        offset += 2
        while let size = file.byte(offset), size > 0 { offset += size + 1 }
        offset += 1
      case 0x2C:
        guard let x = file.short(offset + 1), let y = file.short(offset + 3),
          let width = file.short(offset + 5), let height = file.short(offset + 7),
          let flags = file.byte(offset + 9)
        else { throw behind == nil ? early : damaged("the file ends inside a picture") }
        offset += 10
        readPalette(flags)
        guard let bits = file.byte(offset) else {
          throw behind == nil ? early : damaged("the file ends inside a picture")
        }
        guard width > 0, height > 0 else {
          throw behind == nil
            ? corrupt("the first picture has no pixels") : damaged("a picture has no pixels")
        }
        guard (1...11).contains(bits) else {
          let text = "codes of \(bits) bits, expected 2 to 8"
          throw behind == nil ? corrupt(text) : damaged(text)
        }
        (self.x, self.y, self.width, self.height) = (x, y, width, height)
        isInterlaced = flags & 0x40 != 0
        canvasWidth = max(screenWidth, x + width)
        canvasHeight = max(screenHeight, y + height)
        codeBits = bits
        data = offset + 1
        self.transparent = transparent
        self.palette = palette
        self.disposal = disposal
        self.delay = delay
        return
      case 0x3B: throw corrupt("the file has no picture")
      case nil: throw early
      // Ignore stray bytes between blocks.
      default: offset += 1
      }
    }
  }

  /// Step and first row of each of the four passes.
  private static let passes = [(8, 0), (8, 4), (4, 2), (2, 1)]

  /// The image row at position `order` in the file.
  func interlacedRow(_ order: Int) -> Int {
    var rest = order
    for (step, first) in Self.passes {
      let rows = height > first ? (height - first - 1) / step + 1 : 0
      if rest < rows { return first + rest * step }
      rest -= rows
    }
    return height - 1
  }

  /// The position in the file of an image row.
  func orderOfRow(_ row: Int) -> Int {
    var before = 0
    for (step, first) in Self.passes {
      if row % step == first { return before + row / step }
      before += height > first ? (height - first - 1) / step + 1 : 0
    }
    return before
  }
}

/// GIF's variant of LZW, decoded incrementally.
struct LZWCodes {
  private let file: ImageBytes
  private var offset: Int
  private var blockRest = 0
  private let bits: Int
  private var width: Int
  private var bitBuffer: UInt32 = 0
  private var bitCount = 0
  private var previous: Int?
  private var nextCode: Int
  private var isOver = false
  /// For each code: its prefix code and its last index.
  private var prefixes = [UInt16](repeating: 0, count: 4096)
  private var suffixes = [UInt8](repeating: 0, count: 4096)
  /// Decoded indices not yet returned, in reverse order.
  private var pending: [UInt8] = []
  private var first: UInt8 = 0

  init(_ file: ImageBytes, at offset: Int, bits: Int) {
    self.file = file
    self.offset = offset
    self.bits = bits
    width = bits + 1
    nextCode = 1 << bits + 2
    pending.reserveCapacity(4097)
  }

  /// Fills `out` until the codes end or are invalid; returns the number of indices written.
  mutating func decode(into out: UnsafeMutableRawBufferPointer) -> Int {
    var count = 0
    while count < out.count {
      while count < out.count, let index = pending.popLast() {
        out[count] = index
        count += 1
      }
      if count == out.count || !expandNextCode() { break }
    }
    return count
  }

  /// Decodes the next code into `pending`; false at the end.
  private mutating func expandNextCode() -> Bool {
    let clear = 1 << bits
    while !isOver {
      guard let code = readCode() else { break }
      if code == clear {
        width = bits + 1
        nextCode = clear + 2
        previous = nil
        continue
      }
      guard code != clear + 1, code <= nextCode, code < nextCode || previous != nil else { break }
      guard let before = previous else {
        guard code < clear else { break }
        first = UInt8(truncatingIfNeeded: code)
        pending.append(first)
        previous = code
        return true
      }
      var rest = code
      if code == nextCode {
        // A code used while it is being defined: the previous string followed by its own first
        // index.
        pending.append(first)
        rest = before
      }
      while rest > clear {
        pending.append(suffixes[rest])
        rest = Int(prefixes[rest])
      }
      first = UInt8(truncatingIfNeeded: rest)
      pending.append(first)
      if nextCode < 4096 {
        prefixes[nextCode] = UInt16(before)
        suffixes[nextCode] = first
        nextCode += 1
        if nextCode == 1 << width, width < 12 { width += 1 }
      }
      previous = code
      return true
    }
    isOver = true
    return false
  }

  private mutating func readCode() -> Int? {
    while bitCount < width {
      if blockRest == 0 {
        // Like Pillow, ignore a truncated sub-block.
        guard let size = file.byte(offset), size > 0, offset + size < file.count else {
          return nil
        }
        blockRest = size
        offset += 1
      }
      guard let byte = file.byte(offset) else { return nil }
      bitBuffer |= UInt32(byte) << UInt32(bitCount)
      bitCount += 8
      offset += 1
      blockRest -= 1
    }
    let code = Int(bitBuffer & (1 << UInt32(width) - 1))
    bitBuffer >>= UInt32(width)
    bitCount -= width
    return code
  }
}
