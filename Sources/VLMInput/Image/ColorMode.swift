/// Which channels of a picture a model sees.
package enum ColorMode: String, Sendable, CaseIterable {
  case rgb
  /// Pillow's mode L: `(19595 r + 38470 g + 7471 b + 2^15) >> 16`.
  case gray
  /// Colour and opacity; the resampling weighs colours by their opacity, as Pillow's does.
  case rgba

  package var channels: Int {
    switch self {
    case .rgb: 3
    case .gray: 1
    case .rgba: 4
    }
  }

  /// The mode of pictures with so many channels; nil where pictures have none such.
  package init?(channels: Int) {
    switch channels {
    case 3: self = .rgb
    case 1: self = .gray
    case 4: self = .rgba
    default: return nil
    }
  }

  /// One number per channel: as many as there are, or one for all of them, which as in timm is the
  /// mean where they are neither.
  func numbers(_ stated: [Double]) -> [Double] {
    if stated.count == channels { return stated }
    let mean = stated.reduce(0, +) / Double(max(1, stated.count))
    return [Double](repeating: mean, count: channels)
  }
}

/// A picture with what is beside its colours.
package struct Picture: Sendable, Equatable {
  package var color: Image
  /// The opacity in all three channels, where the model sees it.
  package var alpha: Image?

  package init(_ color: Image, alpha: Image? = nil) {
    self.color = color
    self.alpha = alpha
  }
}

extension Image {
  /// Gray in all three channels.
  func grayed() -> Image {
    mapped { red, green, blue in
      let sum = 19_595 * UInt32(red) + 38_470 * UInt32(green) + 7471 * UInt32(blue) + 0x8000
      let gray = UInt8(sum >> 16)
      return (gray, gray, gray)
    }
  }

  private func mapped(
    _ body: (UInt8, UInt8, UInt8) -> (UInt8, UInt8, UInt8)
  ) -> Image {
    var result = pixels
    for offset in stride(from: 0, to: result.count, by: 3) {
      (result[offset], result[offset + 1], result[offset + 2]) = body(
        result[offset], result[offset + 1], result[offset + 2])
    }
    return Image(width: width, height: height, pixels: result)
  }

  /// Each sample times the other picture's, over 255: Pillow's RGBA to RGBa.
  func multiplied(by alpha: Image) -> Image {
    combined(with: alpha) { sample, alpha in
      let product = UInt32(sample) * UInt32(alpha) + 128
      return UInt8(((product >> 8) + product) >> 8)
    }
  }

  /// Pillow's RGBa to RGBA.
  func divided(by alpha: Image) -> Image {
    combined(with: alpha) { sample, alpha in
      alpha == 0 || alpha == 255
        ? sample : UInt8(min(255, 255 * UInt32(sample) / UInt32(alpha)))
    }
  }

  private func combined(with other: Image, _ body: (UInt8, UInt8) -> UInt8) -> Image {
    precondition(width == other.width && height == other.height, "pictures of one size")
    let result = zip(pixels, other.pixels).map { body($0, $1) }
    return Image(width: width, height: height, pixels: result)
  }
}

extension Preprocessing {
  /// All steps, of a picture in the channels that `color` says.
  ///
  /// - Parameter name: what messages call the picture.
  /// - Throws: `.tooManyPixels`, `.sideTooLong` or `.noMemory` when a step would make too much.
  package func apply(
    _ picture: Picture, name: String, limits: ImageLimits = ImageLimits()
  ) throws(ImageError) -> PixelTensor {
    let pixels = picture.color.pixels.count
    switch color {
    case .rgb: return try applySteps(picture.color, name: name, limits: limits)
    case .gray:
      try PixelMemory.check(bytes: pixels, for: name)
      return try applySteps(picture.color.grayed(), name: name, limits: limits)
    case .rgba:
      try PixelMemory.check(bytes: 4 * pixels, for: name)
      let source = picture.color
      let opaque = Image(width: source.width, height: source.height, filledWith: .white)
      let alpha = picture.alpha ?? opaque
      let isResampled = resamples(source) && filter != .nearest
      let weighted = isResampled ? source.multiplied(by: alpha) : source
      let opacity = try shape(alpha, name: name, limits: limits)
      let shaped = try shape(weighted, name: name, limits: limits)
      try PixelMemory.check(bytes: 6 * shaped.pixels.count, for: name)
      return values(of: isResampled ? shaped.divided(by: opacity) : shaped, alpha: opacity)
    }
  }
}
