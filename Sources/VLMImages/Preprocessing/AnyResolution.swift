/// LLaVA-NeXT's "anyres": an image as one small overview and the tiles of a larger version.
package enum AnyResolution {
  /// The size among `candidates` that preserves the most pixels of the image and, among those,
  /// wastes the fewest; the first of equals.
  ///
  /// - Precondition: `candidates` is not empty.
  package static func bestSize(
    width: Int, height: Int, candidates: [(width: Int, height: Int)]
  ) -> (width: Int, height: Int) {
    var best = candidates[0]
    var bestKept = -1
    var leastWaste = Int.max
    for size in candidates {
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

  /// The overview, resized to `tile` by `tile` without keeping the aspect ratio, then the tiles in
  /// row-major order.
  package static func tiles(
    of image: Image, tile: Int, candidates: [(width: Int, height: Int)]
  ) throws(ImageError) -> [Image] {
    let size = bestSize(width: image.width, height: image.height, candidates: candidates)
    let canvas = try fitted(image, width: size.width, height: size.height)
    var tiles = [try image.resized(width: tile, height: tile, .bicubic)]
    for y in stride(from: 0, to: size.height, by: tile) {
      for x in stride(from: 0, to: size.width, by: tile) {
        tiles.append(canvas.cropped(x: x, y: y, width: tile, height: tile))
      }
    }
    return tiles
  }

  /// Resized to fit with its aspect ratio, centred on black.
  static func fitted(_ image: Image, width: Int, height: Int) throws(ImageError) -> Image {
    let across = Double(width) / Double(image.width)
    let down = Double(height) / Double(image.height)
    let newWidth: Int
    let newHeight: Int
    if across < down {
      newWidth = width
      newHeight = min(Int((Double(image.height) * across).rounded(.up)), height)
    } else {
      newHeight = height
      newWidth = min(Int((Double(image.width) * down).rounded(.up)), width)
    }
    return try image.resized(width: newWidth, height: newHeight, .bicubic).placed(
      onWidth: width, height: height, x: (width - newWidth) / 2, y: (height - newHeight) / 2,
      over: .black)
  }
}
