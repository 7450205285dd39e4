/// An image as its file has it: nothing scaled, dropped, composited or turned, only palettes and
/// transparent colours expanded and gray below 8 bits stretched to 8.
package struct DecodedImage: Sendable, Equatable {
  package enum Model: Int, Sendable {
    case gray = 1
    case grayAlpha = 2
    case rgb = 3
    case rgba = 4
    /// As Adobe writes it, 255 meaning no ink.
    case invertedCMYK = 5

    package var channels: Int { self == .invertedCMYK ? 4 : rawValue }
    var hasAlpha: Bool { self == .grayAlpha || self == .rgba }
  }

  /// `height * width * channels`, rows top down.
  package enum Samples: Sendable, Equatable {
    case eight([UInt8])
    case sixteen([UInt16])
  }

  package let width: Int
  package let height: Int
  package let model: Model
  package let samples: Samples
  /// The alpha comes from a colour or a palette entry declared transparent, not from a channel.
  package let isAlphaDeclared: Bool
  package let orientation: Orientation
  /// Even where the policy is Pillow's, which turns a TIFF itself.
  package let isAlwaysTurned: Bool

  package init(
    width: Int, height: Int, model: Model, samples: Samples, isAlphaDeclared: Bool = false,
    orientation: Orientation = .upright, isAlwaysTurned: Bool = false
  ) {
    self.width = width
    self.height = height
    self.model = model
    self.samples = samples
    self.isAlphaDeclared = isAlphaDeclared
    self.orientation = orientation
    self.isAlwaysTurned = isAlwaysTurned
  }
}

/// What becomes of alpha, of depth beyond 8 bits and of EXIF orientation.
package enum DecodePolicy: Sendable, Equatable {
  /// What a person sees: alpha over the background, 16 bits scaled, the picture turned upright.
  case seen(background: RGB)
  /// What Pillow's `Image.open(path).convert("RGB")` gives: alpha dropped, 16-bit gray clipped to
  /// 255, 16-bit colour cut to its upper byte, orientation ignored.
  case pillow

  /// How a picture is turned under the policy.
  func turn(_ orientation: Orientation, always: Bool) -> Orientation {
    self == .pillow && !always ? .upright : orientation
  }

  /// Over white.
  package static let seen = DecodePolicy.seen(background: .white)
}

extension DecodedImage {
  /// `round(value * 255 / 65535)`, exactly.
  static func scaledToEight(_ value: UInt16) -> UInt8 {
    UInt8((UInt32(value) * 255 + 32_895) >> 16)
  }
}
