/// Windows and OS/2 bitmaps: palettes of 1, 2, 4 and 8 bits, optionally run-length encoded, and 16,
/// 24 and 32 bits with any masks. The interpretation follows Pillow.
final class BMPReader: RowReader {
  let header: ImageHeader
  var workingBytes: Int { layout.isRunLength ? header.width * header.height : 0 }
  var notes: [DecodingNote] { lost.notes(height: header.height) }
  private let file: PixelBuffer
  private let name: String
  private let layout: BMPLayout
  private var lost: LostRows
  private var next = 0
  /// The indices of a run-length encoded image, bottom up, and the number of rows found.
  private var runs: (indices: PixelBuffer, rows: Int)?

  init(_ file: PixelBuffer, name: String, limits: ImageLimits) throws(ImageError) {
    layout = try BMPLayout(ImageBytes(bytes: file.contents), name: name)
    _ = try limits.pixels(width: layout.width, height: layout.height, of: name)
    header = ImageHeader(
      width: layout.width, height: layout.height, model: layout.hasAlpha ? .rgba : .rgb, depth: 8)
    lost = LostRows(.bmp, name: name, limits: limits)
    self.file = file
    self.name = name
  }

  func read(rows: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
    for index in 0..<rows {
      let start = index * header.rowBytes
      try readRow(
        into: UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + header.rowBytes]))
    }
  }

  func finish() throws(ImageError) { try lost.check(height: header.height) }

  private func readRow(into out: UnsafeMutableRawBufferPointer) throws(ImageError) {
    // The row's position in the file.
    let row = layout.isTopDown ? next : header.height - 1 - next
    next += 1
    let source: UnsafeRawBufferPointer
    if layout.isRunLength {
      let (indices, found) = try decodedRuns()
      if row >= found { try lost.add(1, "the runs end early") }
      source = UnsafeRawBufferPointer(
        rebasing: UnsafeRawBufferPointer(indices.bytes)[
          row * header.width..<(row + 1) * header.width])
    } else {
      let rowBytes = (header.width * layout.bits + 7) / 8
      source = ImageBytes(bytes: file.contents).slice(
        layout.pixels + row * layout.stride, rowBytes)
      guard source.count == rowBytes else {
        try lost.add(1, "the rows end early")
        layout.fill(out, pixels: header.width)
        return
      }
    }
    layout.expand(source, pixels: header.width, into: out)
  }

  private func decodedRuns() throws(ImageError) -> (indices: PixelBuffer, rows: Int) {
    if let runs { return runs }
    let indices = try PixelBuffer(byteCount: header.width * header.height, for: name)
    let data = ImageBytes(bytes: file.contents).slice(layout.pixels, .max)
    let rows = layout.decodeRuns(data, height: header.height, into: indices.bytes)
    runs = (indices, rows)
    return (indices, rows)
  }
}

/// The header of a bitmap.
struct BMPLayout {
  let width: Int
  let height: Int
  let bits: Int
  let isTopDown: Bool
  let isRunLength: Bool
  /// Offset of the rows, and their stride.
  let pixels: Int
  let stride: Int
  /// Red, green and blue per index; black beyond the palette's end.
  private var palette = [UInt8](repeating: 0, count: 256 * 3)
  /// Masks of red, green, blue and alpha, for 16, 24 and 32 bits.
  private var channels: [Channel] = []

  var hasAlpha: Bool { channels.count == 4 }

  private struct Channel {
    let mask: UInt32
    let shift: UInt32
    let maximum: UInt32

    init(_ mask: UInt32) {
      self.mask = mask
      shift = UInt32(mask == 0 ? 0 : mask.trailingZeroBitCount)
      maximum = mask >> shift
    }

    /// Scales a sample to 8 bits, rounding down as Pillow does.
    func sample(_ pixel: UInt32) -> UInt8 {
      let value = (pixel & mask) >> shift
      if maximum == 255 { return UInt8(value) }
      return maximum == 0 ? 0 : UInt8(UInt64(value) * 255 / UInt64(maximum))
    }
  }

  init(_ file: ImageBytes, name: String) throws(ImageError) {
    func corrupt(_ text: String) -> ImageError {
      ImageError(name: name, problem: .corrupt(.bmp, text))
    }
    func unsupported(_ text: String) -> ImageError {
      ImageError(name: name, problem: .unsupported(.bmp, text))
    }
    guard let stated = file.long(14), file.count >= 26 else {
      throw corrupt("the file ends in its header")
    }
    let size = Int(stated)
    guard [12, 40, 52, 56, 64, 108, 124].contains(size) else {
      throw unsupported("a header of \(size) bytes")
    }
    guard file.count >= 14 + size else { throw corrupt("the file ends in its header") }
    func word(_ offset: Int) -> Int { file.short(offset) ?? 0 }
    func long(_ offset: Int) -> UInt32 { file.long(offset) ?? 0 }
    var compression = 0
    var colors = 0
    if size == 12 {
      (width, height) = (word(18), word(20))
      bits = word(24)
      isTopDown = false
    } else {
      width = Int(Int32(bitPattern: long(18)))
      let signed = Int(Int32(bitPattern: long(22)))
      height = abs(signed)
      isTopDown = signed < 0
      bits = word(28)
      compression = Int(long(30))
      colors = Int(long(46))
    }
    guard width > 0, height > 0 else { throw corrupt("\(width) x \(height) pixels") }
    guard [1, 2, 4, 8, 16, 24, 32].contains(bits) else { throw unsupported("\(bits) bits a pixel") }
    let masked = (compression == 3 || compression == 6) && size != 64 && bits >= 16
    isRunLength = (compression, bits) == (1, 8) || (compression, bits) == (2, 4)
    guard compression == 0 || masked || isRunLength else {
      throw unsupported("compression \(compression) of \(bits) bits a pixel")
    }
    stride = (width * bits + 31) / 32 * 4
    var end = 14 + size
    // Masks follow the header if it is too short to hold them.
    if masked, size == 40 { end += compression == 6 ? 16 : 12 }
    var start = Int(long(10))
    if bits <= 8 {
      if colors == 0 { colors = 1 << bits }
      let entry = size == 12 ? 3 : 4
      if start == end { start += entry * colors }
      let stored = file.slice(end, entry * min(colors, 256))
      for index in 0..<stored.count / entry {
        for channel in 0..<3 { palette[index * 3 + channel] = stored[index * entry + 2 - channel] }
      }
      if start == 0 { start = end + entry * colors }
    } else {
      if start == 0 { start = end }
      var masks: [UInt32] =
        bits == 16 ? [0x7C00, 0x3E0, 0x1F, 0] : [0xFF_0000, 0xFF00, 0xFF, 0]
      if masked {
        masks = (0..<4).map { long(54 + 4 * $0) }
        if !(size >= 56 || compression == 6) { masks[3] = 0 }
        if masks.allSatisfy({ $0 == 0 }) { masks = [0xFF_0000, 0xFF00, 0xFF, 0xFF00_0000] }
      }
      channels = masks.map(Channel.init)
    }
    pixels = start
    // If alpha is 0 everywhere, the writer meant an opaque image.
    if channels.last?.mask == 0 || (channels.count == 4 && isTransparentThroughout(file)) {
      channels.removeLast()
    }
  }

  private func isTransparentThroughout(_ file: ImageBytes) -> Bool {
    let alpha = channels[3]
    let rowBytes = (width * bits + 7) / 8
    for row in 0..<height {
      let source = file.slice(pixels + row * stride, rowBytes)
      guard source.count == rowBytes else { return true }
      for x in 0..<width where pixel(source, x) & alpha.mask != 0 { return false }
    }
    return true
  }

  private func pixel(_ row: UnsafeRawBufferPointer, _ x: Int) -> UInt32 {
    let size = bits / 8
    var pixel: UInt32 = 0
    for index in 0..<size { pixel |= UInt32(row[x * size + index]) << UInt32(8 * index) }
    return pixel
  }

  /// Converts a row of the file, or of indices if run-length encoded, to RGB or RGBA.
  func expand(
    _ row: UnsafeRawBufferPointer, pixels count: Int, into out: UnsafeMutableRawBufferPointer
  ) {
    if channels.isEmpty {
      let depth = isRunLength ? 8 : bits
      let mask = 1 << depth - 1
      for x in 0..<count {
        let bit = x * depth
        let index = Int(row[bit / 8]) >> (8 - depth - bit % 8) & mask
        for channel in 0..<3 { out[x * 3 + channel] = palette[index * 3 + channel] }
      }
    } else {
      for x in 0..<count {
        let pixel = pixel(row, x)
        for (index, channel) in channels.enumerated() {
          out[x * channels.count + index] = channel.sample(pixel)
        }
      }
    }
  }

  /// The fill for a lost row: index 0, or black.
  func fill(_ out: UnsafeMutableRawBufferPointer, pixels count: Int) {
    for index in 0..<out.count { out[index] = channels.isEmpty ? palette[index % 3] : 0 }
  }

  /// Decodes the runs; indices that no run reaches stay 0. Returns the number of rows begun or
  /// skipped before the runs end; all rows after an end-of-bitmap mark.
  func decodeRuns(
    _ data: UnsafeRawBufferPointer, height: Int, into out: UnsafeMutableRawBufferPointer
  ) -> Int {
    var (x, y, offset) = (0, 0, 0)
    /// Writes `count` equal indices, clipped at the end of the row.
    func put(_ count: Int, _ index: (Int) -> UInt8) {
      if x < width {
        for step in 0..<min(count, width - x) { out[y * width + x + step] = index(step) }
      }
      x += count
    }
    while y < height, offset <= data.count - 2 {
      let (count, value) = (Int(data[offset]), data[offset + 1])
      offset += 2
      if count > 0 {
        put(count) { bits == 8 ? value : $0 % 2 == 0 ? value >> 4 : value & 15 }
        continue
      }
      switch value {
      case 0:
        x = 0
        y += 1
      case 1: return height
      case 2:
        guard offset <= data.count - 2 else { return y }
        x += Int(data[offset])
        y += Int(data[offset + 1])
        offset += 2
      default:
        let length = bits == 8 ? Int(value) : (Int(value) + 1) / 2
        guard offset <= data.count - length else { return y }
        put(Int(value)) { step in
          let byte = data[offset + (bits == 8 ? step : step / 2)]
          return bits == 8 ? byte : step % 2 == 0 ? byte >> 4 : byte & 15
        }
        offset += length + length % 2
      }
    }
    // The last row may be complete without an end mark.
    return min(height, x >= width ? y + 1 : y)
  }
}
