/// The channels that a model takes as input.
package enum ColorMode: String, Sendable, CaseIterable {
  case rgb
  /// Pillow's mode L: `(19595 r + 38470 g + 7471 b + 2^15) >> 16`.
  case gray
  /// Colour and alpha. Resampling weights colours by alpha, as Pillow does.
  case rgba

  package var channels: Int {
    switch self {
    case .rgb: 3
    case .gray: 1
    case .rgba: 4
    }
  }

  /// The mode with this number of channels; nil if there is none.
  package init?(channels: Int) {
    switch channels {
    case 3: self = .rgb
    case 1: self = .gray
    case 4: self = .rgba
    default: return nil
    }
  }

  /// Expands `stated` to one number per channel. One per channel is kept; otherwise the mean is
  /// repeated, as in timm.
  func numbers(_ stated: [Double]) -> [Double] {
    if stated.count == channels { return stated }
    let mean = stated.reduce(0, +) / Double(max(1, stated.count))
    return [Double](repeating: mean, count: channels)
  }
}

/// An image with an optional alpha plane.
package struct ImageAndAlpha: Sendable, Equatable {
  package var color: Image
  /// Alpha, repeated in all three channels; nil if the model does not take it.
  package var alpha: Image?

  package init(_ color: Image, alpha: Image? = nil) {
    self.color = color
    self.alpha = alpha
  }
}

/// Conversions of samples before and after resizing.
enum SampleArithmetic {
  /// Luma, repeated in all three channels.
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

  /// Premultiplies by alpha, as Pillow's conversion from RGBA to RGBa.
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
  /// Undoes premultiplication, as Pillow's conversion from RGBa to RGBA.
  func divided(by alpha: Image) -> Image {
    precondition(width == alpha.width && height == alpha.height, "pictures of one size")
    let result = zip(pixels, alpha.pixels).map { sample, alpha in
      alpha == 0 || alpha == 255
        ? sample : UInt8(min(255, 255 * UInt32(sample) / UInt32(alpha)))
    }
    return Image(width: width, height: height, pixels: result)
  }
}
