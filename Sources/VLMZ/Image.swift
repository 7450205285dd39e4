import VLMFoundation
import VLMImages

/// A picture for a model: a file, the bytes of one, or pixels in memory.
///
/// Making one reads no more than the header; each use decodes it into what the model sees. A value:
/// it may be used from any thread and with any model. Uses of one picture at the same time take turns.
public struct Image: Sendable {
  /// How the bytes of a pixel lie in memory, 8 bits a channel, one behind the other. The raw values
  /// are those of the C interface and never change.
  public enum PixelFormat: Int32, Sendable, Hashable, CaseIterable {
    /// Red, green, blue.
    case rgb8 = 1
    /// Red, green, blue, opacity; the colours are not multiplied by it.
    case rgba8 = 2
    /// Blue, green, red.
    case bgr8 = 3
    /// Blue, green, red, opacity; the colours are not multiplied by it.
    case bgra8 = 4
    /// Gray alone.
    case gray8 = 5

    /// Bytes of a pixel: 1, 3 or 4.
    public var bytesPerPixel: Int { order.byteCount }

    fileprivate var order: PixelRows.Order {
      switch self {
      case .rgb8: .rgb
      case .rgba8: .rgba
      case .bgr8: .bgr
      case .bgra8: .bgra
      case .gray8: .gray
      }
    }
  }

  /// How a picture becomes opaque 8-bit colours, and what it may cost.
  public struct Options: Sendable, Equatable {
    /// What shines through transparent pixels: red, green and blue in 0xRRGGBB; white by default.
    public var background: UInt32
    /// Whether a file that lost rows, or whose checksums are wrong, is read all the same.
    public var acceptsDamage: Bool
    /// Pixels of the largest picture that is accepted, before and after it is resized: 1 or more.
    public var maximumPixels: Int

    /// Options that differ from the defaults where they are given.
    public init(
      background: UInt32 = 0xff_ffff, acceptsDamage: Bool = false, maximumPixels: Int = 178_956_970
    ) {
      self.background = background
      self.acceptsDamage = acceptsDamage
      self.maximumPixels = maximumPixels
    }

    func policy() throws(VLMZError) -> DecodePolicy {
      try VLMZError.require(
        background <= 0xff_ffff, "background", found: String(background, radix: 16),
        expected: "0 to ffffff")
      let (red, green) = (UInt8(background >> 16), UInt8(background >> 8 & 255))
      return .seen(background: RGB(red, green, UInt8(background & 255)))
    }

    func limits() throws(VLMZError) -> ImageLimits {
      try VLMZError.require(
        maximumPixels >= 1, "maximum of pixels", found: "\(maximumPixels)", expected: "1 or more")
      return ImageLimits(maximumPixels: maximumPixels, acceptsDamage: acceptsDamage)
    }
  }

  /// Pixels from left to right and from top to bottom, as the picture is seen: turned as its file
  /// says.
  public let width: Int
  /// See `width`.
  public let height: Int
  /// What messages call it.
  let name: String
  let limits: ImageLimits
  private let storage: Storage

  /// The picture and whose turn it is: a file's reader goes through it from the top.
  private final class Storage: @unchecked Sendable {
    let source: any PixelSource
    let lock = Lock()

    init(_ source: any PixelSource) { self.source = source }
  }

  private init(_ source: any PixelSource, name: String, limits: ImageLimits) {
    storage = Storage(source)
    width = source.width
    height = source.height
    self.name = name
    self.limits = limits
  }

  /// A file: PNG, JPEG, WebP, GIF (its first picture), BMP, PNM, TIFF, HEIC or AVIF. Its first bytes
  /// decide, not its name. The file is read whole and may change afterwards.
  ///
  /// - Parameters:
  ///   - path: of a regular file.
  ///   - options: how it is decoded.
  /// - Throws: `VLMZError`: `.notFound`, `.noPermission` or `.io` when it cannot be read, `.badData`
  ///   when it is no picture or a larger one than allowed, `.unsupported` where the library for HEIC,
  ///   AVIF or TIFF is not installed, `.noMemory`. Damage further on is thrown when it is used.
  public init(contentsOf path: String, options: Options = Options()) throws(VLMZError) {
    let (policy, limits) = (try options.policy(), try options.limits())
    // "-" is standard input to the commands alone.
    let path = path == "-" ? "./-" : path
    self.init(
      try VLMZError.wrapping { try ImageDecoder.open(path: path, policy: policy, limits: limits) },
      name: path, limits: limits)
  }

  /// The bytes of a file, which are copied.
  ///
  /// - Parameters:
  ///   - bytes: the whole file.
  ///   - name: what messages call the picture.
  ///   - options: how it is decoded.
  /// - Throws: as `init(contentsOf:options:)`, but for what concerns reading the file.
  public init(
    encoded bytes: [UInt8], name: String = "picture", options: Options = Options()
  ) throws(VLMZError) {
    let (policy, limits) = (try options.policy(), try options.limits())
    self.init(
      try VLMZError.wrapping {
        try ImageDecoder.open(bytes: bytes, name: name, policy: policy, limits: limits)
      }, name: name, limits: limits)
  }

  /// Pixels in an array, which is shared, not copied.
  ///
  /// - Parameters:
  ///   - pixels: rows from the top, each from the left.
  ///   - width: pixels of a row, 1 or more.
  ///   - height: rows, 1 or more.
  ///   - bytesPerRow: from a row's first byte to the next row's, at least those of its pixels; nil
  ///     for exactly those. The last row needs no bytes behind its pixels.
  ///   - format: how the bytes of a pixel lie.
  ///   - name: what messages call the picture.
  ///   - options: what shines through, and how large it may be.
  /// - Throws: `VLMZError` with `.invalidArgument` for sizes out of range, rows that overlap, or fewer
  ///   bytes than the rows have; `.badData` for a picture larger than allowed.
  public init(
    pixels: [UInt8], width: Int, height: Int, bytesPerRow: Int? = nil, format: PixelFormat,
    name: String = "picture", options: Options = Options()
  ) throws(VLMZError) {
    let stride = try Self.check(width, height, bytesPerRow, format)
    let needed = stride * (height - 1) + width * format.bytesPerPixel
    try VLMZError.require(
      pixels.count >= needed, "pixels", found: "\(pixels.count) bytes",
      expected: "\(needed) or more")
    try self.init(
      .array(pixels), width: width, height: height, stride: stride, format: format, name: name,
      options: options)
  }

  /// Pixels in memory that somebody else owns, read where they lie.
  ///
  /// - Parameters:
  ///   - pixels: the first byte of the top row. All rows stay there, unchanged, until `release` is
  ///     called.
  ///   - width: pixels of a row, 1 or more.
  ///   - height: rows, 1 or more.
  ///   - bytesPerRow: from a row's first byte to the next row's, at least those of its pixels; nil
  ///     for exactly those. The last row needs no bytes behind its pixels.
  ///   - format: how the bytes of a pixel lie. `.rgb8` without gaps is not copied at all, anything
  ///     else a strip of rows at a time.
  ///   - name: what messages call the picture.
  ///   - options: what shines through, and how large it may be.
  ///   - release: called once, from any thread, when the last copy of the image is gone; not when
  ///     this throws.
  /// - Throws: `VLMZError` with `.invalidArgument` for nil, sizes out of range, or rows that overlap;
  ///   `.badData` for a picture larger than allowed.
  public init(
    noCopy pixels: UnsafeRawPointer?, width: Int, height: Int, bytesPerRow: Int? = nil,
    format: PixelFormat, name: String = "picture", options: Options = Options(),
    release: @escaping @Sendable () -> Void = {}
  ) throws(VLMZError) {
    guard let pixels else {
      throw VLMZError(.invalidArgument, "pixels: found no pointer, expected the first row's")
    }
    let stride = try Self.check(width, height, bytesPerRow, format)
    try self.init(
      .pointer(pixels, release: release), width: width, height: height, stride: stride,
      format: format, name: name, options: options)
  }

  private init(
    _ memory: PixelRows.Memory, width: Int, height: Int, stride: Int, format: PixelFormat,
    name: String, options: Options
  ) throws(VLMZError) {
    let (policy, limits) = (try options.policy(), try options.limits())
    try VLMZError.wrapping { try limits.require(width: width, height: height, of: name) }
    self.init(
      PixelRows(
        memory, width: width, height: height, stride: stride, order: format.order, name: name,
        policy: policy, limits: limits),
      name: name, limits: limits)
  }

  /// More than any limit of pixels allows, and little enough to be multiplied.
  package static let maximumBytesPerRow = 1 << 36

  /// - Returns: bytes from row to row.
  private static func check(
    _ width: Int, _ height: Int, _ bytesPerRow: Int?, _ format: PixelFormat
  ) throws(VLMZError) -> Int {
    // More than any limit allows, and little enough to be multiplied.
    let sides = 1...(1 << 24)
    try VLMZError.require(
      sides.contains(width), "width", found: "\(width)", expected: "1 to \(sides.upperBound)")
    try VLMZError.require(
      sides.contains(height), "height", found: "\(height)", expected: "1 to \(sides.upperBound)")
    let least = width * format.bytesPerPixel
    let stride = bytesPerRow ?? least
    try VLMZError.require(
      stride >= least, "bytes per row", found: "\(stride)",
      expected: "\(least) or more, those of \(width) pixels")
    try VLMZError.require(
      stride <= maximumBytesPerRow, "bytes per row", found: "\(stride)",
      expected: "at most \(maximumBytesPerRow)")
    return stride
  }

  /// What its file is, if it has several pictures, of which this is the first; nil for others.
  package var severalPictures: String? { withSource { ($0 as? LazyImage)?.severalPictures } }

  /// Reads the picture while nobody else does.
  func withSource<R>(_ body: (any PixelSource) throws -> R) rethrows -> R {
    try storage.lock.withLock { try body(storage.source) }
  }
}
