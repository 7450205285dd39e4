import VLMFoundation

/// A picture as a model's tower takes it: one input, or several with their places in the picture.
package struct PreparedPicture: Sendable, Equatable {
  /// Each with its own height and width.
  package let tiles: [PixelTensor]
  package let layout: TileLayout

  /// - Precondition: as many tiles as the layout has, at least one.
  package init(tiles: [PixelTensor], layout: TileLayout) {
    precondition(!tiles.isEmpty && tiles.count == layout.count, "as many tiles as the layout has")
    self.tiles = tiles
    self.layout = layout
  }

  /// A picture that is one input.
  package init(_ pixels: PixelTensor) {
    self.init(tiles: [pixels], layout: .whole(height: pixels.height, width: pixels.width))
  }

  /// What shows the whole picture, the first tile where none does.
  package var overview: PixelTensor { tiles[layout.overview ?? 0] }

  /// Pixels in a column of what is encoded, the grid's tiles side by side.
  package var height: Int {
    layout.isWhole ? tiles[0].height : tiles[layout.grid[0]].height * layout.rows
  }
  /// Pixels in a row; see `height`.
  package var width: Int {
    layout.isWhole ? tiles[0].width : tiles[layout.grid[0]].width * layout.columns
  }
}

extension Preprocessing {
  /// Applies all steps, and cuts the picture up where the model wants it.
  ///
  /// - Parameters:
  ///   - name: the picture's name in messages.
  ///   - isOneOfSeveral: whether it shares its prompt with other pictures.
  ///   - isFrame: whether it is a frame of a film.
  /// - Throws: as `apply`.
  package func prepare(
    _ source: any PixelSource, name: String, limits: ImageLimits = ImageLimits(),
    isOneOfSeveral: Bool = false, isFrame: Bool = false
  ) throws(ImageError) -> PreparedPicture {
    switch tiling {
    case .splitting(let splitting):
      return try splitting.prepare(
        source, steps: self, isFrame: isFrame, name: name, limits: limits)
    case nil: return PreparedPicture(try apply(source, name: name, limits: limits))
    case .anyResolution(let candidates):
      if isOneOfSeveral, candidates.padsSeveral {
        let pixels = try paddedWithMean().apply(source, name: name, limits: limits)
        return PreparedPicture(
          tiles: [pixels], layout: .whole(height: source.height, width: source.width))
      }
      return try candidates.prepare(source, steps: self, name: name, limits: limits)
    }
  }

  /// What `prepare` would make of a picture of this size; nil where it would be one input.
  package func layout(height: Int, width: Int) -> TileLayout? {
    switch tiling {
    case nil: nil
    case .splitting(let splitting):
      fixedSize.map { splitting.layout(height: height, width: width, tile: $0.width) }
    case .anyResolution(let candidates):
      fixedSize.map { candidates.layout(height: height, width: width, tile: $0.width) }
    }
  }
}
