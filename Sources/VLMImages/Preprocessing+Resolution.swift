extension Preprocessing {
  /// The short side of what the steps give, when they say so.
  package var resolution: Int? {
    if let crop { return min(crop.width, crop.height) }
    switch resize {
    case .exact(let width, let height): return min(width, height)
    case .shortestEdge(let side), .bounded(let side, _): return side
    case nil: return nil
    }
  }

  /// The same steps to a square of `side` pixels; the crop keeps its share of the resized picture.
  package func resized(toSide side: Int) -> Preprocessing {
    var result = self
    switch resize {
    case .exact: result.resize = .exact(width: side, height: side)
    case .shortestEdge(let short):
      let kept = crop.map { min($0.width, $0.height) } ?? short
      result.resize = .shortestEdge(Self.shortSide(of: side, as: kept, of: short))
    case .bounded, nil: result.resize = .shortestEdge(side)
    }
    let rounding = crop?.rounding ?? .halfEven
    result.crop = Crop(width: side, height: side, rounding: rounding)
    return result
  }

  /// The same crop out of a picture of which it is `share`; timm rounds the resize down.
  package func cropping(share: Double) -> Preprocessing {
    var result = self
    guard let crop else { return result }
    result.resize = .shortestEdge(Self.bounded(Double(min(crop.width, crop.height)) / share))
    return result
  }

  /// The short side of which `side` is kept as `kept` is of `short`: timm's `floor(side / crop_pct)`,
  /// whose `crop_pct` is the roundest decimal with which `kept` gives `short`, as people write them.
  /// Without one it is the ratio, exactly.
  static func shortSide(of side: Int, as kept: Int, of short: Int) -> Int {
    for parts in [10.0, 20, 100, 200, 1000, 2000, 10_000] {
      let share = (Double(kept) / Double(short) * parts + 1e-9).rounded(.down) / parts
      if share > 0, Int(Double(kept) / share) == short { return bounded(Double(side) / share) }
    }
    let (product, overflows) = side.multipliedReportingOverflow(by: short)
    return overflows ? maximumShortSide : bounded(Double(product / kept))
  }

  /// With a longer one the long side of the longest picture could not be counted.
  private static let maximumShortSide = 1 << 30

  /// Rounded down.
  private static func bounded(_ side: Double) -> Int {
    max(1, Int(min(side, Double(maximumShortSide))))
  }

  /// The whole picture in its own proportions, neither padded nor cropped: the short side to
  /// `side`, the long one to `side * long / short`, both rounded down to a multiple of `step`, of
  /// which an encoder of that stride drops the rest anyway. (ConvLLaVA, section 4.3.)
  ///
  /// - Parameters:
  ///   - width, height: of the picture as decoded; at least 1.
  ///   - side: at most 2^16, so that no product overflows.
  package func keepingAspect(
    ofWidth width: Int, height: Int, side: Int, step: Int
  ) -> Preprocessing {
    let (short, long) = (min(width, height), max(width, height))
    func fitted(_ extent: Int) -> Int { max(step, extent / step * step) }
    let (first, second) = (fitted(side), fitted(side * long / short))
    var result = self
    result.padding = nil
    result.crop = nil
    result.resize =
      width <= height
      ? .exact(width: first, height: second) : .exact(width: second, height: first)
    return result
  }
}
