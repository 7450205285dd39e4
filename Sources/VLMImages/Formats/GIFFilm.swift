/// The pictures of an animated GIF in their order, each on what those before it left, on the canvas of
/// the first.
package struct GIFFilm {
  /// Pictures, not more than `maximumCount`; where damage is accepted, as far as the file is whole.
  package let count: Int
  package let width: Int
  package let height: Int
  /// How long all of them are shown together, in seconds: more than 0.
  package let seconds: Double
  private let file: PixelBuffer
  private let global: [UInt8]
  private var following: GIFFrame?
  /// RGB, and whether a pixel was painted; empty before the first picture.
  private var canvas: [UInt8] = []
  private var painted: [Bool] = []
  private let pixels: Int
  private let background: RGB
  private var lost: LostRows

  /// More are no short film, nor are more pixels in all of them; the rest is left out.
  package static let maximumCount = 36_000
  private static let maximumPixels = 1 << 34

  /// Reads where the pictures are; nothing is decoded.
  ///
  /// - Parameters:
  ///   - bytes: of the file.
  ///   - background: where nothing was painted.
  /// - Throws: `ImageError` for a file without a picture, for one too large, and where damage is not
  ///   accepted for one that ends inside a picture.
  package init(
    bytes: [UInt8], name: String, background: RGB = .white, limits: ImageLimits = ImageLimits()
  ) throws(ImageError) {
    guard bytes.count <= limits.maximumFileBytes else {
      throw ImageError(name: name, problem: .fileTooLarge(limit: limits.maximumFileBytes))
    }
    file = try PixelBuffer(byteCount: bytes.count, for: name)
    file.bytes.copyBytes(from: bytes)
    lost = LostRows(.gif, name: name, limits: limits)
    let contents = ImageBytes(bytes: file.contents)
    let first = try GIFFrame(contents, name: name)
    (width, height) = (first.canvasWidth, first.canvasHeight)
    pixels = try limits.pixels(width: width, height: height, of: name)
    // The canvas, a copy where a picture is taken away again, indices, and the result.
    try limits.require(memory: pixels * 12, for: name)
    global = first.global
    var (count, hundredths) = (0, 0)
    var frame: GIFFrame? = first
    while let found = frame, count < min(Self.maximumCount, max(1, Self.maximumPixels / pixels)) {
      count += 1
      hundredths += found.delay < Self.leastDelay ? Self.usualDelay : found.delay
      frame = try Self.frame(behind: found, in: contents, pixels: pixels, lost)
    }
    self.count = count
    seconds = Double(hundredths) / 100
    self.background = background
    following = first
  }

  /// What browsers show of pictures with shorter delays than they have: a tenth of a second.
  private static let (leastDelay, usualDelay) = (2, 10)

  /// Whether a file begins as a GIF.
  package static func isGIF(_ bytes: some Collection<UInt8>) -> Bool {
    bytes.starts(with: Array("GIF8".utf8))
  }

  /// The next picture; nil behind the last. Where damage is accepted, what of its codes is missing or
  /// damaged stays as it was.
  ///
  /// - Throws: `ImageError` for a damaged one.
  package mutating func next() throws(ImageError) -> Image? {
    guard let frame = following else { return nil }
    let contents = ImageBytes(bytes: file.contents)
    following = try Self.frame(behind: frame, in: contents, pixels: pixels, lost)
    if canvas.isEmpty {
      canvas = [UInt8](repeating: 0, count: pixels * 3)
      painted = [Bool](repeating: false, count: pixels)
    }
    let before = frame.disposal == .previous ? (canvas, painted) : ([], [])
    try paint(frame, contents)
    let image = shown()
    switch frame.disposal {
    case .keep: break
    case .previous: (canvas, painted) = before
    case .background:
      Self.forEachPixel(of: frame, width: width, height: height) { place, _ in
        painted[place] = false
      }
    }
    return image
  }

  /// The next frame; nil for one of more pixels than the canvas, which would need more memory.
  ///
  /// - Parameter lost: whether damage is accepted, and whose it is.
  private static func frame(
    behind frame: GIFFrame, in contents: ImageBytes, pixels: Int, _ lost: LostRows
  ) throws(ImageError) -> GIFFrame? {
    let found: GIFFrame?
    do {
      found = try frame.next(in: contents, name: lost.name)
    } catch {
      guard lost.accepts else { throw error }
      return nil
    }
    guard let found, found.width * found.height <= pixels else { return nil }
    return found
  }

  private mutating func paint(_ frame: GIFFrame, _ contents: ImageBytes) throws(ImageError) {
    var codes = LZWCodes(contents, at: frame.data, bits: frame.codeBits)
    var indices = [UInt8](repeating: 0, count: frame.width * frame.height)
    var found = [Int](repeating: 0, count: frame.height)
    indices.withUnsafeMutableBytes { indices in
      for order in 0..<frame.height {
        let row = frame.isInterlaced ? frame.interlacedRow(order) : order
        let part = UnsafeMutableRawBufferPointer(
          rebasing: indices[row * frame.width..<(row + 1) * frame.width])
        found[row] = codes.decode(into: part)
        if found[row] < frame.width { break }
      }
    }
    let missing = found.count { $0 < frame.width }
    if missing > 0 { try lost.add(missing, "a picture's codes end early or are damaged") }
    Self.forEachPixel(of: frame, width: width, height: height) { place, source in
      let index = indices[source]
      guard source % frame.width < found[source / frame.width], index != frame.transparent else {
        return
      }
      for channel in 0..<3 {
        canvas[place * 3 + channel] = frame.palette[Int(index) * 3 + channel]
      }
      painted[place] = true
    }
  }

  /// Calls `body(place on the canvas, place in the picture)` for what lies on the canvas.
  private static func forEachPixel(
    of frame: GIFFrame, width: Int, height: Int, _ body: (Int, Int) -> Void
  ) {
    for y in 0..<max(0, min(frame.height, height - frame.y)) {
      for x in 0..<max(0, min(frame.width, width - frame.x)) {
        body((frame.y + y) * width + frame.x + x, y * frame.width + x)
      }
    }
  }

  private func shown() -> Image {
    var pixels = canvas
    for place in painted.indices where !painted[place] {
      (pixels[place * 3], pixels[place * 3 + 1], pixels[place * 3 + 2]) = (
        background.red, background.green, background.blue
      )
    }
    return Image(width: width, height: height, pixels: pixels)
  }
}
