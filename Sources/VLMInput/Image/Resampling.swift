import CImageCodecs

#if canImport(Glibc)
  import Glibc
#endif

/// Pillow's resampling filters.
package enum Resampling: String, Sendable, CaseIterable {
  case nearest
  case box
  case bilinear
  case hamming
  case bicubic
  case lanczos

  /// Pillow's number of the filter, as preprocessor configurations have it.
  package init?(code: Int) {
    switch code {
    case 0: self = .nearest
    case 1: self = .lanczos
    case 2: self = .bilinear
    case 3: self = .bicubic
    case 4: self = .box
    case 5: self = .hamming
    default: return nil
    }
  }

  /// Half the width of the filter, in pixels of the coarser of source and result.
  var support: Double {
    switch self {
    case .nearest: 0
    case .box: 0.5
    case .bilinear, .hamming: 1
    case .bicubic: 2
    case .lanczos: 3
    }
  }

  func weight(_ position: Double) -> Double {
    let x = abs(position)
    switch self {
    case .nearest: return 0
    case .box: return position > -0.5 && position <= 0.5 ? 1 : 0
    case .bilinear: return x < 1 ? 1 - x : 0
    case .hamming:
      if x == 0 { return 1 }
      if x >= 1 { return 0 }
      let angle = x * Double.pi
      return sin(angle) / angle * (0.54 + 0.46 * cos(angle))
    case .bicubic:
      // Keys' cubic with a = -0.5.
      let a = -0.5
      if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
    case .lanczos:
      func sinc(_ value: Double) -> Double {
        if value == 0 { return 1 }
        let angle = value * Double.pi
        return sin(angle) / angle
      }
      return position >= -3 && position < 3 ? sinc(position) * sinc(position / 3) : 0
    }
  }
}

/// The taps and fixed-point weights of one pass, for a window of its output.
struct ResamplePass {
  private(set) var taps: [vlm_taps] = []
  /// `stride` weights per output sample, with 22 fractional bits.
  private(set) var weights: [Int32] = []
  let stride: Int

  /// The source samples that any tap reads.
  var sourceRange: Range<Int> {
    let first = taps.map { Int($0.first) }.min() ?? 0
    let end = taps.map { Int($0.first) + Int($0.count) }.max() ?? 0
    return first..<max(first, end)
  }

  /// Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc`, in the same order of operations.
  init(from source: Int, to result: Int, window: Range<Int>, filter: Resampling) {
    let scale = Double(source) / Double(result)
    let filterScale = max(scale, 1)
    let support = filter.support * filterScale
    let step = 1 / filterScale
    stride = Int(support.rounded(.up)) * 2 + 1
    taps.reserveCapacity(window.count)
    weights.reserveCapacity(window.count * stride)
    for index in window {
      let center = (Double(index) + 0.5) * scale
      let first = max(Int(center - support + 0.5), 0)
      let end = min(Int(center + support + 0.5), source)
      var exact: [Double] = []
      var total = 0.0
      for tap in first..<max(first, end) {
        let weight = filter.weight((Double(tap) - center + 0.5) * step)
        exact.append(weight)
        total += weight
      }
      taps.append(vlm_taps(first: Int32(first), count: Int32(exact.count)))
      for weight in exact {
        let normal = total == 0 ? weight : weight / total
        let scaled = normal * Double(1 << 22)
        weights.append(Int32(normal < 0 ? scaled - 0.5 : scaled + 0.5))
      }
      for _ in exact.count..<stride { weights.append(0) }
    }
  }

  /// Moves the taps to a source of which the first `count` samples were left out.
  mutating func dropFirst(_ count: Int) {
    for index in taps.indices { taps[index].first -= Int32(count) }
  }
}

extension Resampling {
  /// At most how many of `source` samples `window` of `result` samples read.
  func sourceCount(from source: Int, to result: Int, window: Int) -> Int {
    let scale = Double(source) / Double(result)
    let reach = Double(window) * scale + 2 * support * max(scale, 1) + 4
    return reach < Double(source) ? Int(reach) : source
  }
}

extension Image {
  /// The picture at `width` by `height` pixels, to the bit as Pillow's `Image.resize` on 8-bit
  /// RGB: one pass across, one down, rounded to 8 bits in between; a pass is left out when its side
  /// stays as it is.
  package func resized(width: Int, height: Int, _ filter: Resampling) -> Image {
    resized(width: width, height: height, columns: 0..<width, rows: 0..<height, filter)
  }

  /// The part `columns` by `rows` of what `resized` gives, without making the rest.
  ///
  /// - Precondition: the sizes are positive, and the window is not empty and lies inside them.
  package func resized(
    width: Int, height: Int, columns: Range<Int>, rows: Range<Int>, _ filter: Resampling
  ) -> Image {
    precondition(width > 0 && height > 0, "a positive size")
    precondition(
      !columns.isEmpty && !rows.isEmpty && columns.lowerBound >= 0 && rows.lowerBound >= 0
        && columns.upperBound <= width && rows.upperBound <= height, "a window inside the size")
    if filter == .nearest {
      return nearest(width: width, height: height, columns: columns, rows: rows)
    }
    var across: ResamplePass?
    var down: ResamplePass?
    var sourceColumns = columns
    var sourceRows = rows
    if width != self.width {
      var pass = ResamplePass(from: self.width, to: width, window: columns, filter: filter)
      sourceColumns = pass.sourceRange
      pass.dropFirst(sourceColumns.lowerBound)
      across = pass
    }
    if height != self.height {
      var pass = ResamplePass(from: self.height, to: height, window: rows, filter: filter)
      sourceRows = pass.sourceRange
      pass.dropFirst(sourceRows.lowerBound)
      down = pass
    }
    var result = cropped(
      x: sourceColumns.lowerBound, y: sourceRows.lowerBound, width: sourceColumns.count,
      height: sourceRows.count)
    let isDownFirst = Self.resamplesDownFirst(
      from: (self.width, self.height), to: (width, height))
    if isDownFirst, let down { result = result.resampledColumns(height: rows.count, down) }
    if let across { result = result.resampledRows(width: columns.count, across) }
    if !isDownFirst, let down { result = result.resampledColumns(height: rows.count, down) }
    return result
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

  private func resampledRows(width: Int, _ pass: ResamplePass) -> Image {
    let size = width * height * 3
    let out = [UInt8](unsafeUninitializedCapacity: size) { destination, count in
      pixels.withUnsafeBufferPointer { source in
        vlm_resample_rows_rgb8(
          source.baseAddress, self.width, destination.baseAddress, width, height, pass.taps,
          pass.weights, pass.stride)
      }
      count = size
    }
    return Image(width: width, height: height, pixels: out)
  }

  private func resampledColumns(height: Int, _ pass: ResamplePass) -> Image {
    let size = width * height * 3
    let out = [UInt8](unsafeUninitializedCapacity: size) { destination, count in
      pixels.withUnsafeBufferPointer { source in
        vlm_resample_columns_rgb8(
          source.baseAddress, width, destination.baseAddress, height, pass.taps, pass.weights,
          pass.stride)
      }
      count = size
    }
    return Image(width: width, height: height, pixels: out)
  }

  /// Pillow walks the source in steps of source over result, adding up rather than multiplying.
  private func nearest(width: Int, height: Int, columns: Range<Int>, rows: Range<Int>) -> Image {
    func positions(_ source: Int, _ result: Int, _ window: Range<Int>) -> [Int] {
      let step = Double(source) / Double(result)
      var position = step * 0.5
      var indices: [Int] = []
      for index in 0..<window.upperBound {
        if index >= window.lowerBound { indices.append(min(Int(position), source - 1)) }
        position += step
      }
      return indices
    }
    let columnIndices = positions(self.width, width, columns)
    var out: [UInt8] = []
    out.reserveCapacity(columns.count * rows.count * 3)
    for row in positions(self.height, height, rows) {
      for column in columnIndices {
        let offset = (row * self.width + column) * 3
        out.append(pixels[offset])
        out.append(pixels[offset + 1])
        out.append(pixels[offset + 2])
      }
    }
    return Image(width: columns.count, height: rows.count, pixels: out)
  }
}
