/// An image that is read from top to bottom: in memory, or in a file that is decoded while it is
/// read.
package protocol PixelSource {
  /// Displayed size.
  var width: Int { get }
  var height: Int { get }

  /// The orientation to apply to the rows.
  var orientation: Orientation { get }

  /// Size of the rows as read: before the orientation is applied, after `reduce`.
  var storedSize: (width: Int, height: Int) { get }

  /// Factor by which `reduce` made each side smaller; the last sample may cover less.
  var reduction: Int { get }

  /// Memory that reading needs in addition to its output, in bytes.
  var workingBytes: Int { get }

  /// A form that would need less memory, for messages: "saved again as …".
  var lighterForm: String? { get }

  /// Requests decoding at reduced size, at least this share of each side, if allowed and supported
  /// by the format. The first request holds.
  func reduce(toShare share: Double) throws(ImageError)

  /// Calls `body` with all rows, at most `RowResampler.stripRows` at a time: 8-bit RGB and, if
  /// `alpha` is requested, alpha in three channels; nil means opaque.
  func readRows(
    alpha: Bool,
    _ body: (
      _ colors: UnsafePointer<UInt8>, _ alpha: UnsafePointer<UInt8>?, _ count: Int
    ) throws(ImageError) -> Void
  ) throws(ImageError)
}

extension PixelSource {
  package var orientation: Orientation { .upright }
  package var storedSize: (width: Int, height: Int) { (width, height) }
  package var reduction: Int { 1 }
  package var workingBytes: Int { 0 }
  package var lighterForm: String? { nil }
  package func reduce(toShare share: Double) throws(ImageError) {}
}

extension Image: PixelSource {
  package func readRows(
    alpha: Bool,
    _ body: (UnsafePointer<UInt8>, UnsafePointer<UInt8>?, Int) throws(ImageError) -> Void
  ) throws(ImageError) {
    try ImageAndAlpha(self).readRows(alpha: alpha, body)
  }
}

extension ImageAndAlpha: PixelSource {
  package var width: Int { color.width }
  package var height: Int { color.height }

  package func readRows(
    alpha: Bool,
    _ body: (UnsafePointer<UInt8>, UnsafePointer<UInt8>?, Int) throws(ImageError) -> Void
  ) throws(ImageError) {
    let step = RowResampler.stripRows(width)
    let opacity = alpha ? self.alpha?.pixels ?? [] : []
    let result = color.pixels.withUnsafeBufferPointer { colors in
      opacity.withUnsafeBufferPointer { opacity -> Result<Void, ImageError> in
        guard let base = colors.baseAddress else { return .success(()) }
        do throws(ImageError) {
          for row in stride(from: 0, to: height, by: step) {
            let offset = row * width * 3
            try body(
              base + offset, opacity.isEmpty ? nil : opacity.baseAddress.map { $0 + offset },
              min(step, height - row))
          }
          return .success(())
        } catch {
          return .failure(error)
        }
      }
    }
    try result.get()
  }
}

/// An image file in memory whose header has been parsed. Nothing is decoded before its rows are
/// requested.
package final class LazyImage: PixelSource {
  package let width: Int
  package let height: Int
  package let orientation: Orientation
  private let file: PixelBuffer
  private let name: String
  private let policy: DecodePolicy
  private let limits: ImageLimits
  private let isFast: Bool
  private let report: (DecodingNote) -> Void
  private var reader: any RowReader
  private var isRead = false
  /// Whether a size was requested.
  private var isAsked = false
  private var share = 1.0
  package private(set) var reduction = 1

  /// - Parameters:
  ///   - isFast: whether the image may be decoded at reduced size, see `reduce`.
  ///   - report: receives notes about accepted damage, once.
  init(
    _ file: PixelBuffer, name: String, policy: DecodePolicy, limits: ImageLimits, isFast: Bool,
    report: @escaping (DecodingNote) -> Void
  ) throws(ImageError) {
    let reader = try RowReaders.open(file, name: name, limits: limits)
    let header = reader.header
    orientation = policy.turn(header.orientation, always: header.isAlwaysTurned)
    (width, height) =
      orientation.swapsSides ? (header.height, header.width) : (header.width, header.height)
    self.file = file
    self.name = name
    self.policy = policy
    self.limits = limits
    self.isFast = isFast
    self.report = report
    self.reader = reader
  }

  package var storedSize: (width: Int, height: Int) { (reader.header.width, reader.header.height) }

  package var workingBytes: Int {
    let width = reader.header.width
    return reader.workingBytes
      + RowResampler.stripRows(width) * (reader.header.rowBytes + 6 * width)
  }

  package var lighterForm: String? { reader.lighterForm }

  /// What its file is called if it has more pictures than this one; see `Animation.several`.
  package var severalPictures: String? { Animation.several(in: file.contents, limits: limits) }

  package func reduce(toShare share: Double) throws(ImageError) {
    guard isFast, !isAsked else { return }
    isAsked = true
    guard share < 1 else { return }
    self.share = share
    reduction = try reader.reduce(toShare: share)
  }

  package func readRows(
    alpha: Bool,
    _ body: (UnsafePointer<UInt8>, UnsafePointer<UInt8>?, Int) throws(ImageError) -> Void
  ) throws(ImageError) {
    if isRead {
      reader = try RowReaders.open(file, name: name, limits: limits)
      if share < 1 { _ = try reader.reduce(toShare: share) }
    }
    let isFirst = !isRead
    isRead = true
    let header = reader.header
    let conversion = SampleConversion(header, policy, keepsAlpha: alpha)
    let step = min(RowResampler.stripRows(header.width), header.height)
    let isReady = header.model == .rgb && header.depth == 8
    let raw = try PixelBuffer(byteCount: step * header.rowBytes, for: name)
    let samples = step * header.width * 3
    let colors = isReady ? raw : try PixelBuffer(byteCount: samples, for: name)
    let hasAlpha = alpha && header.model.hasAlpha
    let opacity = hasAlpha ? try PixelBuffer(byteCount: samples, for: name) : nil
    for row in stride(from: 0, to: header.height, by: step) {
      let count = min(step, header.height - row)
      try reader.read(
        rows: count,
        into: UnsafeMutableRawBufferPointer(rebasing: raw.bytes[..<(count * header.rowBytes)]))
      if !isReady {
        conversion.convert(
          raw.start, pixels: count * header.width, colors: colors.samples,
          alpha: opacity?.samples)
      }
      try body(UnsafePointer(colors.samples), opacity.map { UnsafePointer($0.samples) }, count)
    }
    try reader.finish()
    if isFirst { reader.notes.forEach(report) }
    if reader.workingBytes > PixelMemory.small { PixelMemory.release() }
  }

  /// Decodes the whole image and applies its orientation.
  func picture(keepsAlpha: Bool) throws(ImageError) -> ImageAndAlpha {
    let hasAlpha = keepsAlpha && reader.header.model.hasAlpha
    let count = width * height * 3
    // An image and its rotated copy, twice if alpha is kept.
    try limits.require(
      memory: workingBytes + count * (hasAlpha ? 4 : 2), for: name,
      remedy: lighterForm.map { .saveAgain($0) })
    var colors: [UInt8] = []
    var alphas: [UInt8] = []
    colors.reserveCapacity(count)
    if hasAlpha { alphas.reserveCapacity(count) }
    let (width, height) = storedSize
    try readRows(alpha: keepsAlpha) { rows, alpha, rowCount throws(ImageError) in
      let samples = rowCount * width * 3
      colors.append(contentsOf: UnsafeBufferPointer(start: rows, count: samples))
      if let alpha { alphas.append(contentsOf: UnsafeBufferPointer(start: alpha, count: samples)) }
    }
    func turned(_ pixels: [UInt8]) -> Image {
      Image(width: width, height: height, pixels: pixels).turned(orientation)
    }
    return ImageAndAlpha(turned(colors), alpha: hasAlpha ? turned(alphas) : nil)
  }
}
