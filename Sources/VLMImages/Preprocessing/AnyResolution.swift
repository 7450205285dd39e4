import VLMFoundation

/// LLaVA-NeXT's "anyres": a picture as one small overview and the tiles of a larger version, as in
/// `LlavaNextImageProcessor` of transformers and `process_anyres_image` of LLaVA's own code.
package struct AnyResolution: Sendable, Equatable {
  /// Sizes that the larger version may have, in the model's order: sides are multiples of the tile's.
  package var sizes: [PictureExtent]
  /// Whether each of several pictures in a prompt is a square padded with the mean colour instead, as
  /// LLaVA-OneVision's are.
  package var padsSeveral: Bool

  package init(sizes: [PictureExtent], padsSeveral: Bool = false) {
    self.sizes = sizes
    self.padsSeveral = padsSeveral
  }

  /// Sizes and tiles that a configuration may ask for; LLaVA-OneVision's has 36 of each.
  package static let (maximumSizes, maximumTiles) = (1024, 256)

  /// What is wrong with the sizes for tiles of this side; nil when nothing is.
  package func defect(tile: Int) -> String? {
    guard (1...Self.maximumSizes).contains(sizes.count) else {
      return "1 to \(Self.maximumSizes) sizes"
    }
    for size in sizes {
      guard size.height > 0, size.width > 0, size.height % tile == 0, size.width % tile == 0 else {
        return "heights and widths that are multiples of \(tile), the tile's"
      }
      let (rows, columns) = (size.height / tile, size.width / tile)
      guard rows <= Self.maximumTiles, columns <= Self.maximumTiles,
        rows * columns <= Self.maximumTiles
      else { return "at most \(Self.maximumTiles) tiles in each" }
    }
    return nil
  }

  /// The size that preserves the most pixels of a picture and, among those, wastes the fewest; the
  /// first of equals.
  ///
  /// - Precondition: there is one.
  package func bestSize(height: Int, width: Int) -> PictureExtent {
    var best = sizes[0]
    var bestKept = -1
    var leastWaste = Int.max
    for size in sizes {
      let scale = min(
        Double(size.width) / Double(width), Double(size.height) / Double(height))
      let scaled = Int(Double(width) * scale) * Int(Double(height) * scale)
      let kept = min(scaled, width * height)
      let waste = size.width * size.height - kept
      if kept > bestKept || kept == bestKept && waste < leastWaste {
        (best, bestKept, leastWaste) = (size, kept, waste)
      }
    }
    return best
  }

  /// The overview first, then the grid.
  func layout(height: Int, width: Int, tile: Int) -> TileLayout {
    let size = bestSize(height: height, width: width)
    return TileLayout(
      picture: PictureExtent(height: height, width: width), rows: size.height / tile,
      columns: size.width / tile, overview: 0)
  }

  /// - Parameter steps: what becomes of the overview: a resize to a square, whatever the picture's
  ///   proportions. The larger version keeps them, centred on black.
  func prepare(
    _ source: any PixelSource, steps: Preprocessing, name: String, limits: ImageLimits
  ) throws(ImageError) -> PreparedPicture {
    var steps = steps
    steps.tiling = nil
    let tile = steps.resolution ?? 1
    let layout = layout(height: source.height, width: source.width, tile: tile)
    let canvas = PictureExtent(height: layout.rows * tile, width: layout.columns * tile)
    let fitted = Self.fitted(layout.picture, into: canvas)
    try PixelMemory.check(bytes: layout.count * tile * tile * 3 * 4, for: name)
    // Both versions are made of one decoding, whose size must do for both.
    try source.reduce(
      toShare: 2
        * max(
          Double(max(tile, fitted.width)) / Double(source.width),
          Double(max(tile, fitted.height)) / Double(source.height)))
    var tiles = [try steps.apply(source, name: name, limits: limits)]
    var larger = steps
    larger.resize = .exact(width: fitted.width, height: fitted.height)
    let image = try larger.shape(source, name: name, limits: limits)
    let (left, top) = (
      (canvas.width - fitted.width) / 2, (canvas.height - fitted.height) / 2
    )
    for row in 0..<layout.rows {
      for column in 0..<layout.columns {
        tiles.append(
          steps.values(
            of: image.cropped(
              x: column * tile - left, y: row * tile - top, width: tile, height: tile)))
      }
    }
    return PreparedPicture(tiles: tiles, layout: layout)
  }

  /// The size of a picture that fits into `canvas` with its proportions, rounded up.
  static func fitted(_ picture: PictureExtent, into canvas: PictureExtent) -> PictureExtent {
    let across = Double(canvas.width) / Double(picture.width)
    let down = Double(canvas.height) / Double(picture.height)
    func rounded(_ side: Int, _ scale: Double, _ most: Int) -> Int {
      min(Int((Double(side) * scale).rounded(.up)), most)
    }
    return across < down
      ? PictureExtent(
        height: rounded(picture.height, across, canvas.height), width: canvas.width)
      : PictureExtent(height: canvas.height, width: rounded(picture.width, down, canvas.width))
  }
}
