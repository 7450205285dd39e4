import VLMFoundation

/// Idefics3's image splitting: a picture as the tiles of a larger version and an overview behind them,
/// as in `Idefics3ImageProcessor` and `SmolVLMImageProcessor` of transformers (its Pillow back end).
///
/// The picture is resized so often in 8 bits: to the longest edge, to a multiple of the tile, and of that
/// the overview.
package struct ImageSplitting: Sendable, Equatable {
  /// Pixels that the long side is resized to first, `size`; more than `maximumEdge` count as that.
  package var longestEdge: Int
  /// `do_image_splitting`; without it a picture is one tile.
  package var splits: Bool
  /// What becomes of a film; nil for a model that was not trained on any.
  package var film: FrameSampling?

  package init(longestEdge: Int, splits: Bool, film: FrameSampling? = nil) {
    self.longestEdge = longestEdge
    self.splits = splits
    self.film = film
  }

  /// No picture is resized to more, whatever is configured.
  private static let maximumEdge = 4096

  /// What is wrong with the edge for tiles of this side; nil when nothing is.
  func defect(tile: Int) -> String? {
    // An odd short side is rounded up.
    let tiles = (min(longestEdge, Self.maximumEdge) + tile) / tile
    guard tiles * tiles <= AnyResolution.maximumTiles else {
      return "one that makes at most \(AnyResolution.maximumTiles) tiles of \(tile)"
    }
    return nil
  }

  /// The grid first, then the overview; a picture that becomes one tile has no grid.
  func layout(height: Int, width: Int, tile: Int) -> TileLayout {
    let picture = PictureExtent(height: height, width: width)
    let whole = TileLayout.whole(height: height, width: width)
    guard splits else { return whole }
    let canvas = Self.multiple(of: tile, Self.resized(picture, longestEdge: longestEdge))
    let (rows, columns) = (canvas.height / tile, canvas.width / tile)
    guard rows * columns > 1 else { return whole }
    return TileLayout(picture: picture, rows: rows, columns: columns, overview: rows * columns)
  }

  /// - Parameters:
  ///   - steps: what becomes of a tile: a resize to a square, whatever the picture's proportions.
  ///   - isFrame: whether the picture is one of a film, which is never split.
  func prepare(
    _ source: any PixelSource, steps: Preprocessing, isFrame: Bool, name: String,
    limits: ImageLimits
  ) throws(ImageError) -> PreparedPicture {
    var steps = steps
    steps.tiling = nil
    let tile = steps.fixedSize?.width ?? 1
    let picture = PictureExtent(height: source.height, width: source.width)
    let edge = isFrame ? film?.longestEdge ?? longestEdge : longestEdge
    let layout =
      isFrame
      ? TileLayout.whole(height: picture.height, width: picture.width)
      : layout(height: picture.height, width: picture.width, tile: tile)
    let size = Self.resized(picture, longestEdge: edge)
    try PixelMemory.check(bytes: layout.count * tile * tile * 3 * 5, for: name)
    var first = steps
    first.resize = .exact(width: size.width, height: size.height)
    let image = try first.shape(source, name: name, limits: limits)
    guard !layout.isWhole else {
      let only = try image.resized(width: tile, height: tile, steps.filter)
      return PreparedPicture(tiles: [steps.values(of: only)], layout: layout)
    }
    let canvas = try image.resized(
      width: layout.columns * tile, height: layout.rows * tile, steps.filter)
    var tiles: [PixelTensor] = []
    for row in 0..<layout.rows {
      for column in 0..<layout.columns {
        tiles.append(
          steps.values(
            of: canvas.cropped(x: column * tile, y: row * tile, width: tile, height: tile)))
      }
    }
    tiles.append(
      steps.values(of: try canvas.resized(width: tile, height: tile, steps.filter)))
    return PreparedPicture(tiles: tiles, layout: layout)
  }

  // MARK: - Sizes

  /// The size with this long side; the short one follows, rounded down and then up to an even number.
  /// Both are made smaller again where the edge is longer than is allowed.
  static func resized(_ picture: PictureExtent, longestEdge edge: Int) -> PictureExtent {
    let aspect = Double(picture.width) / Double(picture.height)
    func follow(_ side: Double) -> Int {
      let size = Int(side)
      return max(1, size % 2 == 0 ? size : size + 1)
    }
    var size =
      picture.width >= picture.height
      ? PictureExtent(height: follow(Double(edge) / aspect), width: edge)
      : PictureExtent(height: edge, width: follow(Double(edge) * aspect))
    let exact = Double(size.width) / Double(size.height)
    if size.width >= size.height, size.width > maximumEdge {
      size = PictureExtent(
        height: max(1, Int(Double(maximumEdge) / exact)), width: maximumEdge)
    } else if size.height > size.width, size.height > maximumEdge {
      size = PictureExtent(
        height: maximumEdge, width: max(1, Int(Double(maximumEdge) * exact)))
    }
    return size
  }

  /// The size of whole tiles: the long side rounded up, the short one in proportion to that, rounded up
  /// too.
  static func multiple(of tile: Int, _ size: PictureExtent) -> PictureExtent {
    let aspect = Double(size.width) / Double(size.height)
    func rounded(_ side: Int) -> Int { max(1, (side + tile - 1) / tile) * tile }
    if size.width >= size.height {
      let width = rounded(size.width)
      return PictureExtent(height: rounded(Int(Double(width) / aspect)), width: width)
    }
    let height = rounded(size.height)
    return PictureExtent(height: height, width: rounded(Int(Double(height) * aspect)))
  }
}
