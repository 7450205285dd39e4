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

  /// Over white.
  package static let seen = DecodePolicy.seen(background: .white)
}

extension DecodedImage {
  /// The picture as 8-bit RGB with its opacity beside it, which the colours are free of.
  package func picture(_ policy: DecodePolicy) -> Picture {
    let color = image(policy, dropsAlpha: true)
    guard model.hasAlpha else { return Picture(color) }
    let last = model.channels - 1
    let alpha = Image(
      width: width, height: height,
      pixels: expand(eightBitSamples(policy)) { ($0[last], $0[last], $0[last]) })
    return Picture(color, alpha: alpha.turned(turn(policy)))
  }

  /// The picture as 8-bit RGB.
  package func image(_ policy: DecodePolicy) -> Image {
    image(policy, dropsAlpha: policy == .pillow)
  }

  private func image(_ policy: DecodePolicy, dropsAlpha: Bool) -> Image {
    let bytes = eightBitSamples(policy)
    let pixels: [UInt8]
    switch (model, policy) {
    case (.rgb, _): pixels = bytes
    case (.gray, _): pixels = expand(bytes) { gray in (gray[0], gray[0], gray[0]) }
    case (.grayAlpha, _) where dropsAlpha:
      pixels = expand(bytes) { gray in (gray[0], gray[0], gray[0]) }
    case (.rgba, _) where dropsAlpha:
      pixels = expand(bytes) { color in (color[0], color[1], color[2]) }
    case (.grayAlpha, .seen(let background)):
      pixels = expand(bytes) { gray in
        let alpha = gray[1]
        return (
          Self.blend(gray[0], alpha, over: background.red),
          Self.blend(gray[0], alpha, over: background.green),
          Self.blend(gray[0], alpha, over: background.blue)
        )
      }
    case (.rgba, .seen(let background)):
      pixels = expand(bytes) { color in
        let alpha = color[3]
        return (
          Self.blend(color[0], alpha, over: background.red),
          Self.blend(color[1], alpha, over: background.green),
          Self.blend(color[2], alpha, over: background.blue)
        )
      }
    case (.grayAlpha, .pillow), (.rgba, .pillow): return image(policy, dropsAlpha: true)
    case (.invertedCMYK, _):
      // Pillow's formula on its un-inverted inks: black less ink times black.
      pixels = expand(bytes) { ink in
        let light = UInt32(ink[3])
        func channel(_ inverted: UInt8) -> UInt8 {
          UInt8(light - Self.dividedBy255((255 - UInt32(inverted)) * light))
        }
        return (channel(ink[0]), channel(ink[1]), channel(ink[2]))
      }
    }
    let image = Image(width: width, height: height, pixels: pixels)
    return image.turned(turn(policy))
  }

  private func turn(_ policy: DecodePolicy) -> Orientation {
    policy == .pillow && !isAlwaysTurned ? .upright : orientation
  }

  private func eightBitSamples(_ policy: DecodePolicy) -> [UInt8] {
    switch samples {
    case .eight(let bytes): return bytes
    case .sixteen(let words):
      switch policy {
      case .seen:
        return words.map(Self.scaledToEight)
      case .pillow:
        // Pillow opens 16-bit gray in a mode of its own, whose conversion clips; a transparent
        // colour does not change the mode, an alpha channel does.
        if model == .gray { return words.map { UInt8(min($0, 255)) } }
        if model == .grayAlpha, isAlphaDeclared { return words.map { UInt8(min($0, 255)) } }
        return words.map { UInt8($0 >> 8) }
      }
    }
  }

  /// `round(value * 255 / 65535)`, exactly.
  static func scaledToEight(_ value: UInt16) -> UInt8 {
    UInt8((UInt32(value) * 255 + 32_895) >> 16)
  }

  /// `round(value / 255)`, exactly, for `value` up to 255 * 255.
  private static func dividedBy255(_ value: UInt32) -> UInt32 {
    let sum = value + 128
    return (sum + (sum >> 8)) >> 8
  }

  /// The sum is rounded once, to nearest.
  private static func blend(_ color: UInt8, _ alpha: UInt8, over background: UInt8) -> UInt8 {
    let opacity = UInt32(alpha)
    return UInt8(dividedBy255(UInt32(color) * opacity + UInt32(background) * (255 - opacity)))
  }

  @inline(__always)
  private func expand(
    _ bytes: [UInt8], _ convert: (UnsafePointer<UInt8>) -> (UInt8, UInt8, UInt8)
  ) -> [UInt8] {
    let pixelCount = width * height
    let channels = model.channels
    return bytes.withUnsafeBufferPointer { source in
      [UInt8](unsafeUninitializedCapacity: pixelCount * 3) { destination, count in
        guard let from = source.baseAddress else { return }
        for pixel in 0..<pixelCount {
          let (red, green, blue) = convert(from + pixel * channels)
          destination[pixel * 3] = red
          destination[pixel * 3 + 1] = green
          destination[pixel * 3 + 2] = blue
        }
        count = pixelCount * 3
      }
    }
  }
}
