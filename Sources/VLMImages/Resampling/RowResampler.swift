import CCodecs

/// Resizes an image whose rows arrive from top to bottom, bit-identical to Pillow's `Image.resize`
/// on 8-bit RGB: a horizontal and a vertical pass, rounded to 8 bits in between; a pass is skipped
/// if its side does not change. Only the result and partial sums of its unfinished rows are held.
final class RowResampler {
  private let across: ResampleAxis
  private let down: ResampleAxis
  private let isDownFirst: Bool
  /// Pixels per row of the image.
  private let rowPixels: Int
  /// The columns that the vertical pass reads, if it comes first.
  private let columns: Range<Int>
  private let fill: [UInt8]
  /// A row of the border colour after the horizontal pass.
  private let fillRow: [UInt8]
  /// The contribution of border rows above and below to the vertical pass.
  private let outerRow: [UInt8]
  /// Output of the first pass: several rows of the horizontal pass, or one row of the vertical
  /// pass.
  private let between: PixelBuffer
  private let name: String

  /// Number of rows received.
  private var position = 0
  /// The first row of the result that is not finished.
  private var next = 0
  /// Partial sums of the rows from there on.
  private var open: [PixelBuffer] = []
  private var spare: [PixelBuffer] = []
  private var result: [UInt8]
  /// Multiplications so far, and copied samples.
  private(set) var products = 0

  /// Maximum rows per call for an image of this width, chosen to fit the cache.
  static func stripRows(_ width: Int) -> Int { max(1, min(1024, (1 << 19) / (3 * width))) }

  /// - Parameters:
  ///   - rowPixels: the width of the incoming rows.
  ///   - isDownFirst: whether the vertical pass comes first; matters because both passes round.
  ///   - fill: the border colour.
  init(
    across: ResampleAxis, down: ResampleAxis, isDownFirst: Bool, rowPixels: Int, fill: RGB,
    name: String
  ) throws(ImageError) {
    var isDownFirst = isDownFirst
    var columns = 0..<rowPixels
    var shifted = across
    switch down.step {
    case .pick: isDownFirst = true
    case .filter where isDownFirst:
      columns = across.sourceRange
      shifted.dropFirst(columns.lowerBound)
    case .filter: break
    }
    self.across = shifted
    self.down = down
    self.isDownFirst = isDownFirst
    self.rowPixels = rowPixels
    self.columns = columns
    self.name = name
    let color = [fill.red, fill.green, fill.blue]
    self.fill = color
    let fillRow = (0..<across.count).flatMap { index in
      color.map { across.fill($0, at: index) }
    }
    self.fillRow = fillRow
    let touched = across.touched
    outerRow =
      isDownFirst
      ? columns.flatMap { _ in color }
      : Array(fillRow[touched.lowerBound * 3..<touched.upperBound * 3])
    between = try PixelBuffer(
      byteCount: isDownFirst
        ? columns.count * 3 : Self.stripRows(rowPixels) * touched.count * 3, for: name)
    result = [UInt8](repeating: 0, count: across.count * down.count * 3)
  }

  /// Maximum memory besides the result, in bytes.
  static func workingBytes(
    across: ResampleAxis, down: ResampleAxis, isDownFirst: Bool, rowPixels: Int
  ) -> Int {
    guard case .filter(let pass) = down.step else { return 3 * rowPixels }
    let samples = 3 * (isDownFirst ? across.sourceRange.count : across.touched.count)
    // The maximum number of unfinished rows: outputs whose taps cover one source row.
    var most = 0
    var first = 0
    for index in down.touched {
      while pass.taps[first].first + pass.taps[first].count <= pass.taps[index].first { first += 1 }
      most = max(most, index - first + 1)
    }
    return samples * (4 * (most + 1) + (isDownFirst ? 1 : stripRows(rowPixels)))
  }

  /// Processes the next rows, at most `stripRows`.
  func add(_ rows: UnsafePointer<UInt8>, count: Int) throws(ImageError) {
    let end = position + count
    switch down.step {
    case .pick(let places):
      while next < places.count, places[next] < end {
        let place = places[next]
        write(row: next, place < 0 ? nil : rows + (place - position) * rowPixels * 3, fill: fill)
        next += 1
      }
    case .filter(let pass): try add(rows, count: count, pass)
    }
    position = end
  }

  private func add(
    _ rows: UnsafePointer<UInt8>, count: Int, _ pass: ResamplePass
  ) throws(ImageError) {
    let end = position + count
    // The rows that are summed: their start and length.
    var source = rows + columns.lowerBound * 3
    var (first, stride, samples) = (position, rowPixels * 3, columns.count * 3)
    if !isDownFirst {
      let range = down.sourceRange.clamped(to: position..<end)
      if !range.isEmpty {
        acrossRows(rows + (range.lowerBound - position) * stride, count: range.count)
      }
      source = UnsafePointer(between.samples)
      first = range.lowerBound
      samples = across.touched.count * 3
      stride = samples
    }
    let carried = open.count
    var (index, closed, done) = (next, 0, 0)
    while index < pass.taps.count, Int(pass.taps[index].first) < end {
      let tap = pass.taps[index]
      let isCarried = index - next < carried
      let sums: PixelBuffer =
        try isCarried ? open[index - next] : begin(samples, pass.fillWeights[index])
      let lower = max(Int(tap.first), position)
      let upper = min(Int(tap.first + tap.count), end)
      if lower < upper {
        pass.weights.withUnsafeBufferPointer { weights in
          guard let base = weights.baseAddress else { return }
          vlm_resample_add(
            sums.sums, samples, source + (lower - first) * stride, stride, upper - lower,
            base + Int(tap.offset) + lower - Int(tap.first))
        }
        products += (upper - lower) * samples
      }
      if upper == Int(tap.first + tap.count) {
        finish(row: index, sums, samples)
        spare.append(sums)
        done += 1
        if isCarried { closed += 1 }
      } else if !isCarried {
        open.append(sums)
      }
      index += 1
    }
    open.removeFirst(closed)
    next += done
  }

  /// The result, after all rows have been received.
  func finish() throws(ImageError) -> Image {
    while next < down.count {
      switch down.step {
      case .pick: write(row: next, nil, fill: fill)
      case .filter(let pass):
        let samples = isDownFirst ? columns.count * 3 : across.touched.count * 3
        let sums = try begin(samples, pass.fillWeights[next])
        finish(row: next, sums, samples)
        spare.append(sums)
      }
      next += 1
    }
    return Image(width: across.count, height: down.count, pixels: result)
  }

  // MARK: - Rows

  /// Initial sums with the contribution of the border rows above and below.
  private func begin(_ samples: Int, _ weight: Int32) throws(ImageError) -> PixelBuffer {
    let sums: PixelBuffer
    if let last = spare.popLast() {
      sums = last
    } else {
      sums = try PixelBuffer(byteCount: samples * 4, for: name)
    }
    vlm_resample_begin(sums.sums, samples, outerRow, weight)
    return sums
  }

  private func finish(row: Int, _ sums: PixelBuffer, _ samples: Int) {
    let isPadded = across.touched.count < across.count
    if isDownFirst {
      let line = between.samples
      vlm_resample_end(sums.sums, samples, line)
      let around = isPadded ? fill.map { down.fill($0, at: row) } : fill
      return write(row: row, UnsafePointer(line), fill: around)
    }
    let width = across.count
    let touched = across.touched
    result.withUnsafeMutableBufferPointer { result in
      guard let base = result.baseAddress else { return }
      let to = base + row * width * 3
      vlm_resample_end(sums.sums, samples, to + touched.lowerBound * 3)
      guard isPadded else { return }
      for x in 0..<width * 3 where !touched.contains(x / 3) {
        to[x] = down.fill(fillRow[x], at: row)
      }
    }
  }

  /// The horizontal pass of a row into the result; nil is a row of the border colour.
  private func write(row: Int, _ line: UnsafePointer<UInt8>?, fill: [UInt8]) {
    let width = across.count
    let touched = line == nil ? 0..<0 : across.touched
    result.withUnsafeMutableBufferPointer { result in
      guard let base = result.baseAddress else { return }
      let to = base + row * width * 3
      if let line {
        acrossRow(line, rows: 1, pixels: 0, into: to + touched.lowerBound * 3, fill: fill)
      }
      guard touched.count < width else { return }
      for x in 0..<width where !touched.contains(x) {
        for channel in 0..<3 { to[3 * x + channel] = across.fill(fill[channel], at: x) }
      }
    }
    products += across.products * 3
  }

  /// The horizontal pass of image rows into `between`, for the samples that depend on them.
  private func acrossRows(_ rows: UnsafePointer<UInt8>, count: Int) {
    acrossRow(rows, rows: count, pixels: rowPixels, into: between.samples, fill: fill)
    products += across.products * count * 3
  }

  /// - Parameter pixels: row stride in pixels.
  private func acrossRow(
    _ line: UnsafePointer<UInt8>, rows: Int, pixels: Int, into out: UnsafeMutablePointer<UInt8>,
    fill: [UInt8]
  ) {
    let touched = across.touched
    switch across.step {
    case .filter(let pass):
      pass.taps.withUnsafeBufferPointer { taps in
        pass.fillWeights.withUnsafeBufferPointer { fillWeights in
          guard let taps = taps.baseAddress, let around = fillWeights.baseAddress else { return }
          vlm_resample_rows_rgb8(
            line, pixels, out, touched.count, rows, taps + touched.lowerBound, pass.weights,
            around + touched.lowerBound, fill)
        }
      }
    case .pick(let places):
      for row in 0..<rows {
        let from = line + row * pixels * 3
        let to = out + row * touched.count * 3
        guard let first = touched.first.map({ places[$0] }) else { continue }
        if places[touched.upperBound - 1] - first == touched.count - 1 {
          // Each index equals or follows the previous one, so these are neighbours.
          to.update(from: from + first * 3, count: touched.count * 3)
          continue
        }
        for (index, column) in touched.enumerated() {
          let pixel = from + places[column] * 3
          to[3 * index] = pixel[0]
          to[3 * index + 1] = pixel[1]
          to[3 * index + 2] = pixel[2]
        }
      }
    }
  }
}
