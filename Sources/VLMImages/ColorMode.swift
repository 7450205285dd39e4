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

/// What is done to samples on the way into a resize and out of it.
enum SampleArithmetic {
  /// Gray in all three channels.
  static func gray(
    _ colors: UnsafePointer<UInt8>, pixels: Int, into out: UnsafeMutablePointer<UInt8>
  ) {
    for offset in stride(from: 0, to: 3 * pixels, by: 3) {
      let sum =
        19_595 * UInt32(colors[offset]) + 38_470 * UInt32(colors[offset + 1])
        + 7471 * UInt32(colors[offset + 2]) + 0x8000
      let gray = UInt8(sum >> 16)
      out[offset] = gray
      out[offset + 1] = gray
      out[offset + 2] = gray
    }
  }

  /// Each sample times its opacity, over 255: Pillow's RGBA to RGBa.
  static func multiply(
    _ colors: UnsafePointer<UInt8>, by alpha: UnsafePointer<UInt8>, count: Int,
    into out: UnsafeMutablePointer<UInt8>
  ) {
    for index in 0..<count {
      let product = UInt32(colors[index]) * UInt32(alpha[index]) + 128
      out[index] = UInt8(((product >> 8) + product) >> 8)
    }
  }
}

extension Image {
  /// Pillow's RGBa to RGBA.
  func divided(by alpha: Image) -> Image {
    precondition(width == alpha.width && height == alpha.height, "pictures of one size")
    let result = zip(pixels, alpha.pixels).map { sample, alpha in
      alpha == 0 || alpha == 255
        ? sample : UInt8(min(255, 255 * UInt32(sample) / UInt32(alpha)))
    }
    return Image(width: width, height: height, pixels: result)
  }
}
