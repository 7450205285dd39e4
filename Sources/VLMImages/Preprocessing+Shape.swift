extension Preprocessing {
  /// All steps, of a picture in the channels that the colour mode says.
  ///
  /// - Parameter name: what messages call the picture.
  /// - Throws: `.tooManyPixels`, `.sideTooLong`, `.tooMuchMemory` or `.noMemory` when a step would
  ///   make too much; what reading the picture throws.
  package func apply(
    _ source: any PixelSource, name: String, limits: ImageLimits = ImageLimits()
  ) throws(ImageError) -> PixelTensor {
    let picture = try shaped(source, name: name, limits: limits)
    let pixels = picture.color.width * picture.color.height
    try PixelMemory.check(bytes: pixels * color.channels * 4, for: name)
    return values(of: picture.color, alpha: picture.alpha)
  }

  /// The steps that stay in 8 bits, without opacity: pad, resize, crop.
  package func shape(
    _ source: any PixelSource, name: String, limits: ImageLimits = ImageLimits()
  ) throws(ImageError) -> Image {
    try shaped(source, name: name, limits: limits).color
  }

  private func shaped(
    _ source: any PixelSource, name: String, limits: ImageLimits
  ) throws(ImageError) -> Picture {
    let frame = Frame(width: source.width, height: source.height, isSquare: padding != nil)
    let full = resizedSize(width: frame.width, height: frame.height)
    let kept = crop.map { ($0.width, $0.height) } ?? full
    let isWhole = full == (source.width, source.height) && kept == full
    if isWhole, color == .rgb, let image = source as? Image { return Picture(image) }
    _ = try limits.pixels(width: kept.0, height: kept.1, of: name)
    if filter != .nearest {
      // Twice the size that is wanted leaves the resize something to do.
      let share = max(
        Double(full.width) / Double(frame.width), Double(full.height) / Double(frame.height))
      try source.reduce(toShare: 2 * share)
    }
    // Only the window that the crop keeps is made: a picture of one pixel by a hundred thousand
    // would be resized to billions, to be thrown away.
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
      // The values, of four bytes each, and the crop where it is larger than the picture.
      furtherBytes: kept.0 * kept.1 * (color.channels * 4 + (kept == window.size ? 0 : 6)),
      name: name, limits: limits)
    func placed(_ image: Image) -> Image {
      guard kept != window.size else { return image }
      return image.placed(
        onWidth: kept.0, height: kept.1, x: window.columns.lowerBound - left,
        y: window.rows.lowerBound - top, over: .black)
    }
    return Picture(placed(result.color), alpha: result.alpha.map(placed))
  }

  private func resizedSize(width: Int, height: Int) -> (width: Int, height: Int) {
    switch resize {
    case nil: return (width, height)
    case .exact(let width, let height): return (width, height)
    case .shortestEdge(let side):
      // Sides stay below 2^31 and `side` below 2^31, so the products fit.
      let long = side * max(width, height) / min(width, height)
      return width <= height ? (side, long) : (long, side)
    case .bounded(let short, let long):
      return Self.bounded(width: width, height: height, short: short, long: long)
    }
  }

  /// transformers' `get_size_with_aspect_ratio`, in its arithmetic: `short` becomes what keeps the
  /// long side within `long`, rounded half to even, and the long side follows, rounded down.
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

/// A picture in the middle of the square that it is padded to, or as it is.
struct Frame {
  let width: Int
  let height: Int
  /// Where the picture lies in it.
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

/// A part of a resized picture.
struct ResampledWindow {
  /// Of the whole resized picture, as it is seen.
  let width: Int
  let height: Int
  let columns: Range<Int>
  let rows: Range<Int>

  /// Of the part.
  var size: (Int, Int) { (columns.count, rows.count) }

  /// Reads a picture and makes the part, without the rest, and without holding the picture: turned,
  /// padded to a square and resized, to the bit as if that were done one after the other.
  ///
  /// What is seen across may be stored down, and the other way round: the passes then change their
  /// roles with their order, and a mirrored side its taps; sums of whole numbers do not mind. The
  /// result is turned.
  ///
  /// - Parameters:
  ///   - padding: the colour that makes a square of the picture.
  ///   - weighsColors: whether colours weigh by their opacity, where that is kept.
  ///   - furtherBytes: memory for what is made of the part.
  func read(
    _ source: any PixelSource, filter: Resampling, padding: RGB?, color: ColorMode,
    weighsColors: Bool, furtherBytes: Int = 0, name: String, limits: ImageLimits
  ) throws(ImageError) -> Picture {
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
    /// Where a side of the picture as it is lies among the samples of a reduced one, of which the
    /// last may be there in part only.
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
      advice: after > source.workingBytes
        ? "a smaller --size takes less" : source.lighterForm.map(ImageError.saved))
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
    guard let opacity = try alphas?.finish().turned(turn) else { return Picture(result) }
    return Picture(weighsColors ? result.divided(by: opacity) : result, alpha: opacity)
  }
}

extension Image {
  /// The picture at `width` by `height` pixels, to the bit as Pillow's `Image.resize` on 8-bit RGB.
  package func resized(
    width: Int, height: Int, _ filter: Resampling
  ) throws(ImageError) -> Image {
    try resized(width: width, height: height, columns: 0..<width, rows: 0..<height, filter)
  }

  /// The part `columns` by `rows` of what `resized` gives, without making the rest.
  ///
  /// - Precondition: the sizes are positive, and the window is not empty and lies inside them.
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

  /// Which pass Pillow 13 takes first, seen from its results: the vertical one when the height
  /// loses more than twice as many pixels as the width. Up to Pillow 12 the horizontal pass is
  /// always first; with either, that is so for a picture whose sides keep their ratio unless it is
  /// more than twice as high as wide.
  static func resamplesDownFirst(
    from source: (width: Int, height: Int), to result: (width: Int, height: Int)
  ) -> Bool {
    result.height < source.height
      && source.height - result.height > 2 * (source.width - result.width)
  }
}
