extension Preprocessing {
  /// Applies all steps to an image in the channels of the colour mode.
  ///
  /// - Parameter name: the image's name in messages.
  /// - Throws: `.preparedTooLarge`, `.tooMuchMemory` or `.noMemory` if a step exceeds a
  ///   limit; any error of reading the image.
  package func apply(
    _ source: any PixelSource, name: String, limits: ImageLimits = ImageLimits()
  ) throws(ImageError) -> PixelTensor {
    let picture = try shaped(source, name: name, limits: limits)
    let pixels = picture.color.width * picture.color.height
    try PixelMemory.check(bytes: pixels * color.channels * 4, for: name)
    return values(of: picture.color, alpha: picture.alpha)
  }

  /// The steps on 8-bit samples without alpha: pad, resize, crop.
  package func shape(
    _ source: any PixelSource, name: String, limits: ImageLimits = ImageLimits()
  ) throws(ImageError) -> Image {
    try shaped(source, name: name, limits: limits).color
  }

  private func shaped(
    _ source: any PixelSource, name: String, limits: ImageLimits
  ) throws(ImageError) -> ImageAndAlpha {
    let frame = Frame(width: source.width, height: source.height, isSquare: padding != nil)
    let full = resizedSize(width: frame.width, height: frame.height)
    let kept = crop.map { ($0.width, $0.height) } ?? full
    let isWhole = full == (source.width, source.height) && kept == full
    if isWhole, color == .rgb, let image = source as? Image { return ImageAndAlpha(image) }
    try limits.require(preparedWidth: kept.0, height: kept.1, of: name)
    if filter != .nearest {
      // Decoding at twice the target size preserves the quality of the resize.
      let share = max(
        Double(full.width) / Double(frame.width), Double(full.height) / Double(frame.height))
      try source.reduce(toShare: 2 * share)
    }
    // Only the crop window is computed: an image of one by a hundred thousand pixels would
    // otherwise be resized to billions of pixels.
    let left = crop?.offset(of: kept.0, in: full.width) ?? 0
    let top = crop?.offset(of: kept.1, in: full.height) ?? 0
    let window = ResampledWindow(
      width: full.width, height: full.height,
      columns: max(left, 0)..<min(left + kept.0, full.width),
      rows: max(top, 0)..<min(top + kept.1, full.height))
    let isResampled = full != (frame.width, frame.height)
    let result = try window.read(
      source, filter: filter, padding: padding, color: color,
      weighsColors: isResampled && filter != .nearest,
      // The values, four bytes each, and the crop if it is larger than the image.
      furtherBytes: kept.0 * kept.1 * (color.channels * 4 + (kept == window.size ? 0 : 6)),
      name: name, limits: limits)
    func placed(_ image: Image, over fill: RGB) -> Image {
      guard kept != window.size else { return image }
      return image.placed(
        onWidth: kept.0, height: kept.1, x: window.columns.lowerBound - left,
        y: window.rows.lowerBound - top, over: fill)
    }
    return ImageAndAlpha(
      placed(result.color, over: crop?.fill ?? .black),
      alpha: result.alpha.map { placed($0, over: .black) })
  }

  private func resizedSize(width: Int, height: Int) -> (width: Int, height: Int) {
    switch resize {
    case nil: return (width, height)
    case .exact(let width, let height): return (width, height)
    case .shortestEdge(let side):
      // Sides stay below 2^31 and `side` below 2^31, so the products fit.
      let long = side * max(width, height) / min(width, height)
      return width <= height ? (side, long) : (long, side)
    case .covering(let wide, let high):
      let (across, down) = (Double(width) / Double(wide), Double(height) / Double(high))
      return Self.divided(width, height, by: min(across, down))
    case .within(let wide, let high):
      let (across, down) = (Double(width) / Double(wide), Double(height) / Double(high))
      return Self.divided(width, height, by: max(across, down))
    case .bounded(let short, let long):
      return Self.bounded(width: width, height: height, short: short, long: long)
    case .patches(let side, let count):
      return PatchFitting.size(width: width, height: height, side: side, count: count)
    }
  }

  /// Python's `round` of both sides, and at least 1.
  private static func divided(
    _ width: Int, _ height: Int, by ratio: Double
  ) -> (width: Int, height: Int) {
    // Sides below 2^31 by a ratio above 2^-31.
    func side(_ extent: Int) -> Int {
      max(1, Int((Double(extent) / ratio).rounded(.toNearestOrEven)))
    }
    return (side(width), side(height))
  }

  /// transformers' `get_size_with_aspect_ratio`, with its arithmetic: `short` is reduced if the
  /// long side would exceed `long`, rounded half to even; the long side follows, rounded down.
  private static func bounded(
    width: Int, height: Int, short: Int, long: Int
  ) -> (width: Int, height: Int) {
    let (least, most) = (Double(min(width, height)), Double(max(width, height)))
    var (side, exact) = (short, Double(short))
    if most / least * Double(short) > Double(long) {
      exact = Double(long) * least / most
      side = max(1, Int(exact.rounded(.toNearestOrEven)))
    }
    if min(width, height) == side { return (width, height) }
    let other = max(1, Int(exact * most / least))
    return width < height ? (side, other) : (other, side)
  }
}

/// An image centred in the square that it is padded to, or unpadded.
struct Frame {
  let width: Int
  let height: Int
  /// Position of the image in it.
  let columns: Range<Int>
  let rows: Range<Int>

  init(width: Int, height: Int, isSquare: Bool) {
    let side = max(width, height)
    self.width = isSquare ? side : width
    self.height = isSquare ? side : height
    let (x, y) = ((self.width - width) / 2, (self.height - height) / 2)
    columns = x..<x + width
    rows = y..<y + height
  }
}

/// A window of a resized image.
struct ResampledWindow {
  /// Size of the whole resized image, as displayed.
  let width: Int
  let height: Int
  let columns: Range<Int>
  let rows: Range<Int>

  /// Bounds of the window.
  var size: (Int, Int) { (columns.count, rows.count) }

  /// Reads an image and computes only the window, without holding the image. The result is
  /// bit-identical to applying the orientation, padding to a square and resizing one after the
  /// other.
  ///
  /// If the orientation exchanges the axes, the two passes exchange their roles and order; for a
  /// mirrored axis the taps are reversed, which leaves sums of integers unchanged. The orientation
  /// is then applied to the result.
  ///
  /// - Parameters:
  ///   - padding: the colour for padding to a square.
  ///   - weighsColors: whether colours are weighted by alpha, if that is kept.
  ///   - furtherBytes: memory that later steps need for the window.
  func read(
    _ source: any PixelSource, filter: Resampling, padding: RGB?, color: ColorMode,
    weighsColors: Bool, furtherBytes: Int = 0, name: String, limits: ImageLimits
  ) throws(ImageError) -> ImageAndAlpha {
    let (storedWidth, storedHeight) = source.storedSize
    let turn = source.orientation
    let swaps = turn.swapsSides
    let frame = Frame(
      width: swaps ? storedHeight : storedWidth, height: swaps ? storedWidth : storedHeight,
      isSquare: padding != nil)
    let weights =
      filter.weightCount(from: frame.width, to: width, window: columns.count)
      + filter.weightCount(from: frame.height, to: height, window: rows.count)
    try limits.require(memory: weights * 4 + (columns.count + rows.count) * 64, for: name)
    let whole = Frame(width: source.width, height: source.height, isSquare: padding != nil)
    /// Maps an extent of the full-size image to samples of the reduced one, whose last sample may
    /// be partial.
    func shown(_ side: Range<Int>, of extent: Int, among samples: Range<Int>, isMirrored: Bool) -> (
      start: Double, extent: Double
    )? {
      let factor = Double(source.reduction)
      guard factor > 1 else { return nil }
      let missing = isMirrored ? Double(samples.count) - Double(side.count) / factor : 0
      return (
        Double(samples.lowerBound) + missing - Double(side.lowerBound) / factor,
        Double(extent) / factor
      )
    }
    let seenAcross = ResampleAxis(
      picture: frame.columns, in: frame.width,
      shown: shown(
        whole.columns, of: whole.width, among: frame.columns, isMirrored: turn.mirrorsAcross),
      to: width, window: columns, filter: filter, isMirrored: turn.mirrorsAcross)
    let seenDown = ResampleAxis(
      picture: frame.rows, in: frame.height,
      shown: shown(whole.rows, of: whole.height, among: frame.rows, isMirrored: turn.mirrorsDown),
      to: height, window: rows, filter: filter, isMirrored: turn.mirrorsDown)
    let across = swaps ? seenDown : seenAcross
    let down = swaps ? seenAcross : seenDown
    let isDownFirst =
      Image.resamplesDownFirst(from: (frame.width, frame.height), to: (width, height)) != swaps
    let keepsAlpha = color == .rgba
    let working = RowResampler.workingBytes(
      across: across, down: down, isDownFirst: isDownFirst, rowPixels: storedWidth)
    let made = columns.count * rows.count * (turn == .upright ? 3 : 6)
    let after = made * (keepsAlpha ? 2 : 1) + furtherBytes
    try limits.require(
      memory: source.workingBytes + working * (keepsAlpha ? 2 : 1) + after, for: name,
      remedy: after > source.workingBytes
        ? .smallerSize : source.lighterForm.map { .saveAgain($0) })
    func resampler() throws(ImageError) -> RowResampler {
      try RowResampler(
        across: across, down: down, isDownFirst: isDownFirst, rowPixels: storedWidth,
        fill: padding ?? .black, name: name)
    }
    let colors = try resampler()
    let alphas = keepsAlpha ? try resampler() : nil
    let strip = RowResampler.stripRows(storedWidth) * storedWidth * 3
    let scratch = color == .rgb ? nil : try PixelBuffer(byteCount: strip, for: name)
    let opaque = keepsAlpha ? try PixelBuffer(byteCount: strip, for: name) : nil
    opaque?.samples.update(repeating: 255, count: strip)
    try source.readRows(alpha: keepsAlpha) { rows, alpha, count throws(ImageError) in
      let samples = count * storedWidth * 3
      guard let scratch else { return try colors.add(rows, count: count) }
      guard let alphas, let opaque else {
        SampleArithmetic.gray(rows, pixels: samples / 3, into: scratch.samples)
        return try colors.add(UnsafePointer(scratch.samples), count: count)
      }
      let opacity = alpha ?? UnsafePointer(opaque.samples)
      try alphas.add(opacity, count: count)
      guard weighsColors else { return try colors.add(rows, count: count) }
      SampleArithmetic.multiply(rows, by: opacity, count: samples, into: scratch.samples)
      try colors.add(UnsafePointer(scratch.samples), count: count)
    }
    let result = try colors.finish().turned(turn)
    guard let opacity = try alphas?.finish().turned(turn) else { return ImageAndAlpha(result) }
    return ImageAndAlpha(weighsColors ? result.divided(by: opacity) : result, alpha: opacity)
  }
}

extension Image {
  /// The image resized to `width` by `height` pixels, bit-identical to Pillow's `Image.resize` on
  /// 8-bit RGB.
  package func resized(
    width: Int, height: Int, _ filter: Resampling
  ) throws(ImageError) -> Image {
    try resized(width: width, height: height, columns: 0..<width, rows: 0..<height, filter)
  }

  /// The window `columns` by `rows` of the result of `resized`, without computing the rest.
  ///
  /// - Precondition: the sizes are positive, and the window is not empty and inside of them.
  package func resized(
    width: Int, height: Int, columns: Range<Int>, rows: Range<Int>, _ filter: Resampling
  ) throws(ImageError) -> Image {
    precondition(width > 0 && height > 0, "a positive size")
    precondition(
      !columns.isEmpty && !rows.isEmpty && columns.lowerBound >= 0 && rows.lowerBound >= 0
        && columns.upperBound <= width && rows.upperBound <= height, "a window inside the size")
    let window = ResampledWindow(width: width, height: height, columns: columns, rows: rows)
    return try window.read(
      self, filter: filter, padding: nil, color: .rgb, weighsColors: false, name: "picture",
      limits: ImageLimits()
    ).color
  }

  /// Which pass Pillow 13 does first, inferred from its results: the vertical one if the height
  /// shrinks by more than twice as many pixels as the width. Pillow 12 and older always do the
  /// horizontal pass first. The two agree for images that keep their aspect ratio, unless they are
  /// more than twice as high as wide.
  static func resamplesDownFirst(
    from source: (width: Int, height: Int), to result: (width: Int, height: Int)
  ) -> Bool {
    result.height < source.height
      && source.height - result.height > 2 * (source.width - result.width)
  }
}
