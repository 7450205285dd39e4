/// A decoded image before any colour conversion: not scaled, composited or rotated. Only palettes
/// and transparent colours are expanded, and gray below 8 bits is stretched to 8.
package struct DecodedImage: Sendable, Equatable {
  package enum Model: Int, Sendable {
    case gray = 1
    case grayAlpha = 2
    case rgb = 3
    case rgba = 4
    /// Adobe's convention: 255 means no ink.
    case invertedCMYK = 5

    package var channels: Int { self == .invertedCMYK ? 4 : rawValue }
    var hasAlpha: Bool { self == .grayAlpha || self == .rgba }
  }

  /// Interleaved samples, `[height, width, channels]`, rows from top to bottom.
  package enum Samples: Sendable, Equatable {
    case eight([UInt8])
    case sixteen([UInt16])
  }

  package let width: Int
  package let height: Int
  package let model: Model
  package let samples: Samples
  /// Whether alpha comes from a transparent colour or palette entry, not from a channel.
  package let isAlphaDeclared: Bool
  package let orientation: Orientation
  /// Whether the orientation is applied even under Pillow's policy, as Pillow does for TIFF.
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

/// How alpha, depths beyond 8 bits and EXIF orientation are treated.
package enum DecodePolicy: Sendable, Equatable {
  /// As displayed: alpha is composited over the background, 16 bits are scaled to 8, the
  /// orientation is applied.
  case seen(background: RGB)
  /// As Pillow's `Image.open(path).convert("RGB")`: alpha is dropped, 16-bit gray is clipped to
  /// 255, 16-bit colour is truncated to its upper byte, the orientation is ignored.
  case pillow

  /// The orientation to apply under the policy.
  func turn(_ orientation: Orientation, always: Bool) -> Orientation {
    self == .pillow && !always ? .upright : orientation
  }

  /// As displayed over white.
  package static let seen = DecodePolicy.seen(background: .white)
}

extension DecodedImage {
  /// `round(value * 255 / 65535)`, exactly.
  static func scaledToEight(_ value: UInt16) -> UInt8 {
    UInt8((UInt32(value) * 255 + 32_895) >> 16)
  }
}
