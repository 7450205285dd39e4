import CCodecs

/// Taps and fixed-point weights of one resampling pass, for a window of its output.
struct ResamplePass {
  private(set) var taps: [vlm_taps] = []
  /// Weights with 22 fractional bits; those of one output sample are contiguous.
  private(set) var weights: [Int32] = []
  /// Per output sample, the sum of the weights that were clipped away.
  private(set) var fillWeights: [Int32] = []

  /// Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc`, in the same order of operations.
  ///
  /// - Parameters:
  ///   - source: number of source samples.
  ///   - start: begin of the source region that is resized, Pillow's `box`.
  ///   - extent: length of that region.
  init(
    from source: Int, start: Double, extent: Double, to result: Int, window: Range<Int>,
    filter: Resampling
  ) {
    let scale = extent / Double(result)
    let filterScale = max(scale, 1)
    let support = filter.support * filterScale
    let step = 1 / filterScale
    taps.reserveCapacity(window.count)
    weights.reserveCapacity(filter.weightCount(from: source, to: result, window: window.count))
    var exact: [Double] = []
    for index in window {
      let center = start + (Double(index) + 0.5) * scale
      let first = max(Int(center - support + 0.5), 0)
      let end = min(Int(center + support + 0.5), source)
      exact.removeAll(keepingCapacity: true)
      var total = 0.0
      for tap in first..<max(first, end) {
        let weight = filter.weight((Double(tap) - center + 0.5) * step)
        exact.append(weight)
        total += weight
      }
      taps.append(
        vlm_taps(
          first: Int32(first), count: Int32(exact.count), offset: Int32(weights.count)))
      for weight in exact {
        let normal = total == 0 ? weight : weight / total
        let scaled = normal * Double(1 << 22)
        weights.append(Int32(normal < 0 ? scaled - 0.5 : scaled + 0.5))
      }
    }
    fillWeights = [Int32](repeating: 0, count: window.count)
  }

  /// The same pass for a source of `count` samples and an output in reverse order.
  func mirrored(in count: Int) -> ResamplePass {
    var result = self
    result.taps.removeAll(keepingCapacity: true)
    result.weights.removeAll(keepingCapacity: true)
    for tap in taps.reversed() {
      let range = Int(tap.offset)..<Int(tap.offset + tap.count)
      result.taps.append(
        vlm_taps(
          first: Int32(count) - tap.first - tap.count, count: tap.count,
          offset: Int32(result.weights.count)))
      result.weights.append(contentsOf: weights[range].reversed())
    }
    result.fillWeights.reverse()
    return result
  }

  /// Restricts the taps to `part` of the source, and counts them from its start.
  mutating func clip(to part: Range<Int>) {
    for index in taps.indices {
      let tap = taps[index]
      let (first, end) = (Int(tap.first), Int(tap.first + tap.count))
      let lower = min(max(first, part.lowerBound), end)
      let upper = max(lower, min(end, part.upperBound))
      for place in first..<end where !(lower..<upper).contains(place) {
        fillWeights[index] += weights[Int(tap.offset) + place - first]
      }
      taps[index] = vlm_taps(
        first: Int32(min(max(lower - part.lowerBound, 0), part.count)),
        count: Int32(upper - lower), offset: tap.offset + Int32(lower - first))
    }
  }

  /// Per output sample, the sum of all its weights, including clipped ones.
  var totals: [Int32] {
    taps.indices.map { index in
      let tap = taps[index]
      return weights[Int(tap.offset)..<Int(tap.offset + tap.count)].reduce(fillWeights[index], +)
    }
  }

  /// Shifts the taps for a source without its first `count` samples.
  mutating func dropFirst(_ count: Int) {
    for index in taps.indices where taps[index].count > 0 { taps[index].first -= Int32(count) }
  }
}

extension Resampling {
  /// Approximate number of weights of a pass.
  func weightCount(from source: Int, to result: Int, window: Int) -> Int {
    let scale = max(1, Double(source) / Double(result))
    let count = min(2 * support * scale + 1, Double(source))
    return Int(min(Double(window) * count, Double(Int32.max)))
  }

  /// Source indices of `window` under Pillow's nearest neighbour, which accumulates the step from
  /// source to result by addition, not by multiplication.
  static func nearest(_ source: Int, _ result: Int, _ window: Range<Int>) -> [Int] {
    let step = Double(source) / Double(result)
    var position = skip(window.lowerBound, from: step * 0.5, by: step).position
    return window.map { _ in
      defer { position += step }
      return min(Int(position), source - 1)
    }
  }

  /// The result of `count` rounded additions of `step`, computed in few jumps: between two powers
  /// of two, every addition but the first two adds the same number of units in the last place.
  ///
  /// - Returns: the sum, and the numbers of additions and jumps.
  static func skip(
    _ count: Int, from start: Double, by step: Double
  ) -> (position: Double, work: Int) {
    var (position, left, work) = (start, count, 0)
    while left > 0 {
      let before = position
      position += step
      left -= 1
      work += 1
      // Once a sum is rounded to this unit, ties always round the same way.
      guard before.binade == position.binade else { continue }
      let added = (position + step) - position
      // Up to this bound the sums are multiples of one unit.
      let end = 2 * position.binade
      let jumps = min(Double(left), ((end - position) / added).rounded(.down) - 1)
      guard jumps >= 1, jumps < 0x1p52 else { continue }
      position += jumps * added
      left -= Int(jumps)
      work += 1
    }
    return (position, work)
  }
}

/// The mapping along one axis from the samples of an image to a window of the result. The image may
/// have a border of one colour, which is not materialised.
struct ResampleAxis {
  enum Step {
    /// Copied source indices; -1 for the border.
    case pick([Int])
    case filter(ResamplePass)
  }

  private(set) var step: Step
  /// Number of samples of the window.
  let count: Int
  /// Samples of the window that depend on the image.
  let touched: Range<Int>
  /// For a pass, the sum of each output sample's weights.
  private let totals: [Int32]

  /// - Parameters:
  ///   - picture: the image's range within the source.
  ///   - source: number of source samples, including the border.
  ///   - shown: start and length of the source region that is resized; nil for all of it.
  ///   - result: number of samples of the whole result.
  ///   - window: the samples of the result that are computed.
  ///   - isMirrored: whether the image's samples, and so the result's, are in reverse order.
  init(
    picture: Range<Int>, in source: Int, shown: (start: Double, extent: Double)? = nil,
    to result: Int, window: Range<Int>, filter: Resampling, isMirrored: Bool
  ) {
    count = window.count
    let part =
      isMirrored ? source - picture.upperBound..<source - picture.lowerBound : picture
    if source == result || filter == .nearest {
      var places =
        source == result ? Array(window) : Resampling.nearest(source, result, window)
      if isMirrored { places = places.reversed().map { source - 1 - $0 } }
      places = places.map { part.contains($0) ? $0 - part.lowerBound : -1 }
      step = .pick(places)
      totals = []
      touched = Self.range(places.indices) { places[$0] >= 0 }
    } else {
      var pass = ResamplePass(
        from: source, start: shown?.start ?? 0, extent: shown?.extent ?? Double(source), to: result,
        window: window, filter: filter)
      if isMirrored { pass = pass.mirrored(in: source) }
      if part.count < source { pass.clip(to: part) }
      step = .filter(pass)
      totals = pass.totals
      touched = Self.range(pass.taps.indices) { pass.taps[$0].count > 0 }
    }
  }

  private static func range(_ indices: Range<Int>, _ body: (Int) -> Bool) -> Range<Int> {
    guard let first = indices.first(where: body), let last = indices.last(where: body) else {
      return 0..<0
    }
    return first..<last + 1
  }

  /// The range of image samples that are read.
  var sourceRange: Range<Int> {
    guard !touched.isEmpty else { return 0..<0 }
    switch step {
    case .pick(let places): return places[touched.lowerBound]..<places[touched.upperBound - 1] + 1
    case .filter(let pass):
      let (first, last) = (pass.taps[touched.lowerBound], pass.taps[touched.upperBound - 1])
      return Int(first.first)..<Int(last.first + last.count)
    }
  }

  /// Number of multiplications per line of the image.
  var products: Int {
    switch step {
    case .pick: touched.count
    case .filter(let pass): pass.taps.reduce(0) { $0 + Int($1.count) }
    }
  }

  mutating func dropFirst(_ count: Int) {
    switch step {
    case .pick(let places): step = .pick(places.map { $0 < 0 ? $0 : $0 - count })
    case .filter(var pass):
      pass.dropFirst(count)
      step = .filter(pass)
    }
  }

  /// The result for a sample that depends only on the border colour.
  func fill(_ sample: UInt8, at index: Int) -> UInt8 {
    guard case .filter = step else { return sample }
    return UInt8(clamping: (1 << 21 + Int32(sample) &* totals[index]) >> 22)
  }
}
