extension Preprocessing {
  /// The short side of the result, if it is fixed.
  package var resolution: Int? {
    if let crop { return min(crop.width, crop.height) }
    switch resize {
    case .exact(let width, let height), .covering(let width, let height): return min(width, height)
    case .shortestEdge(let side), .bounded(let side, _): return side
    case .within, .patches, nil: return nil
    }
  }

  /// The same steps for a square of `side` pixels. The crop keeps its share of the resized image.
  package func resized(toSide side: Int) -> Preprocessing {
    var result = self
    switch resize {
    case .exact: result.resize = .exact(width: side, height: side)
    case .shortestEdge(let short):
      let kept = crop.map { min($0.width, $0.height) } ?? short
      result.resize = .shortestEdge(Self.shortSide(of: side, as: kept, of: short))
    case .covering(_, let height):
      result.resize = .shortestEdge(
        Self.shortSide(of: side, as: crop?.height ?? height, of: height))
    case .within(_, let height):
      let scaled = Self.shortSide(of: side, as: crop?.height ?? height, of: height)
      result.resize = .within(width: scaled, height: scaled)
    case .bounded, .patches, nil: result.resize = .shortestEdge(side)
    }
    let rounding = crop?.rounding ?? .halfEven
    result.crop = Crop(
      width: side, height: side, rounding: rounding, fill: crop?.fill ?? .black)
    return result
  }

  /// The same crop as a `share` of the resized image; timm rounds the resize target down.
  package func cropping(share: Double) -> Preprocessing {
    var result = self
    guard let crop else { return result }
    let (width, height) = (
      Self.bounded(Double(crop.width) / share), Self.bounded(Double(crop.height) / share)
    )
    switch resize {
    case .covering: result.resize = .covering(width: width, height: height)
    case .within: result.resize = .within(width: width, height: height)
    default: result.resize = .shortestEdge(min(width, height))
    }
    return result
  }

  /// The short side for a crop of `side`, in the same proportion as `short` for a crop of `kept`:
  /// timm's `floor(side / crop_pct)`. Its `crop_pct` is the decimal with the fewest digits for
  /// which `kept` gives `short`, as people write it; if there is none, the exact ratio.
  static func shortSide(of side: Int, as kept: Int, of short: Int) -> Int {
    for parts in [10.0, 20, 100, 200, 1000, 2000, 10_000] {
      let share = (Double(kept) / Double(short) * parts + 1e-9).rounded(.down) / parts
      if share > 0, Int(Double(kept) / share) == short { return bounded(Double(side) / share) }
    }
    let (product, overflows) = side.multipliedReportingOverflow(by: short)
    return overflows ? maximumShortSide : bounded(Double(product / kept))
  }

  /// A longer side would overflow the long side of the most elongated image.
  private static let maximumShortSide = 1 << 30

  /// Rounds down.
  private static func bounded(_ side: Double) -> Int {
    max(1, Int(min(side, Double(maximumShortSide))))
  }

  /// The whole image with its aspect ratio, neither padded nor cropped: the short side becomes
  /// `side`, the long one `side * long / short`, both rounded down to a multiple of `step`; an
  /// encoder of that stride drops the remainder anyway. (ConvLLaVA, section 4.3.)
  ///
  /// - Parameters:
  ///   - width, height: of the decoded image; at least 1.
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
