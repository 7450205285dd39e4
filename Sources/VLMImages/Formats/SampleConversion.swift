/// Converts decoded samples to 8-bit RGB and alpha, a few rows at a time.
struct SampleConversion {
  let header: ImageHeader
  let policy: DecodePolicy
  /// Whether colours are kept separate from alpha, instead of composited over a background.
  let dropsAlpha: Bool

  init(_ header: ImageHeader, _ policy: DecodePolicy, keepsAlpha: Bool) {
    self.header = header
    self.policy = policy
    dropsAlpha = keepsAlpha || policy == .pillow
  }

  /// - Parameters:
  ///   - samples: `pixels` pixels; 16-bit samples are overwritten with 8-bit ones.
  ///   - colors: output, 3 samples per pixel.
  ///   - alpha: output for alpha, repeated in 3 samples per pixel; nil if not needed.
  func convert(
    _ samples: UnsafeMutableRawPointer, pixels: Int, colors: UnsafeMutablePointer<UInt8>,
    alpha: UnsafeMutablePointer<UInt8>?
  ) {
    let bytes = eightBit(samples, count: pixels * header.model.channels)
    convert(bytes, pixels, colors)
    guard let alpha else { return }
    guard header.model.hasAlpha else { return alpha.update(repeating: 255, count: 3 * pixels) }
    let last = header.model.channels - 1
    expand(bytes, pixels, alpha) { ($0[last], $0[last], $0[last]) }
  }

  private func convert(
    _ bytes: UnsafePointer<UInt8>, _ pixels: Int, _ out: UnsafeMutablePointer<UInt8>
  ) {
    switch (header.model, policy) {
    case (.rgb, _): out.update(from: bytes, count: pixels * 3)
    case (.gray, _):
      expand(bytes, pixels, out) { gray in (gray[0], gray[0], gray[0]) }
    case (.grayAlpha, _) where dropsAlpha:
      expand(bytes, pixels, out) { gray in (gray[0], gray[0], gray[0]) }
    case (.rgba, _) where dropsAlpha:
      expand(bytes, pixels, out) { color in (color[0], color[1], color[2]) }
    case (.grayAlpha, .seen(let background)):
      expand(bytes, pixels, out) { gray in
        let alpha = gray[1]
        return (
          Self.blend(gray[0], alpha, over: background.red),
          Self.blend(gray[0], alpha, over: background.green),
          Self.blend(gray[0], alpha, over: background.blue)
        )
      }
    case (.rgba, .seen(let background)):
      expand(bytes, pixels, out) { color in
        let alpha = color[3]
        return (
          Self.blend(color[0], alpha, over: background.red),
          Self.blend(color[1], alpha, over: background.green),
          Self.blend(color[2], alpha, over: background.blue)
        )
      }
    case (.invertedCMYK, _):
      // Pillow's formula on inks that are not inverted.
      expand(bytes, pixels, out) { ink in
        let light = UInt32(ink[3])
        func channel(_ inverted: UInt8) -> UInt8 {
          UInt8(light - Self.dividedBy255((255 - UInt32(inverted)) * light))
        }
        return (channel(ink[0]), channel(ink[1]), channel(ink[2]))
      }
    // Handled above: Pillow drops alpha.
    case (.grayAlpha, .pillow), (.rgba, .pillow): return
    }
  }

  private func eightBit(_ samples: UnsafeMutableRawPointer, count: Int) -> UnsafePointer<UInt8> {
    let bytes = samples.assumingMemoryBound(to: UInt8.self)
    guard header.depth == 16 else { return UnsafePointer(bytes) }
    // Converting in place is safe: each result is written before the next sample is read.
    func store(_ convert: (UInt16) -> UInt8) {
      for index in 0..<count {
        bytes[index] = convert(
          UnsafeRawPointer(samples).loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
      }
    }
    let isGray =
      header.model == .gray || header.model == .grayAlpha && header.isAlphaDeclared
    switch policy {
    case .seen: store(DecodedImage.scaledToEight)
    // Pillow opens 16-bit gray in a separate mode whose conversion clips. A transparent colour does
    // not change the mode, an alpha channel does.
    case .pillow where isGray: store { UInt8(min($0, 255)) }
    case .pillow: store { UInt8($0 >> 8) }
    }
    return UnsafePointer(bytes)
  }

  /// `round(value / 255)`, exactly, for `value` up to 255 * 255.
  private static func dividedBy255(_ value: UInt32) -> UInt32 {
    let sum = value + 128
    return (sum + (sum >> 8)) >> 8
  }

  /// Composites over the background; the sum is rounded once, to nearest.
  private static func blend(_ color: UInt8, _ alpha: UInt8, over background: UInt8) -> UInt8 {
    let opacity = UInt32(alpha)
    return UInt8(dividedBy255(UInt32(color) * opacity + UInt32(background) * (255 - opacity)))
  }

  @inline(__always)
  private func expand(
    _ bytes: UnsafePointer<UInt8>, _ pixels: Int, _ out: UnsafeMutablePointer<UInt8>,
    _ convert: (UnsafePointer<UInt8>) -> (UInt8, UInt8, UInt8)
  ) {
    let channels = header.model.channels
    for pixel in 0..<pixels {
      let (red, green, blue) = convert(bytes + pixel * channels)
      out[pixel * 3] = red
      out[pixel * 3 + 1] = green
      out[pixel * 3 + 2] = blue
    }
  }
}

extension DecodedImage {
  /// The image as 8-bit RGB.
  package func image(_ policy: DecodePolicy) -> Image { picture(policy, keepsAlpha: false).color }

  /// The image as 8-bit RGB, not premultiplied, with its alpha plane.
  package func picture(_ policy: DecodePolicy) -> ImageAndAlpha {
    picture(policy, keepsAlpha: true)
  }

  private func picture(_ policy: DecodePolicy, keepsAlpha: Bool) -> ImageAndAlpha {
    let header = ImageHeader(
      width: width, height: height, model: model, depth: samples.depth,
      isAlphaDeclared: isAlphaDeclared,
      orientation: policy.turn(orientation, always: isAlwaysTurned))
    let conversion = SampleConversion(header, policy, keepsAlpha: keepsAlpha)
    var raw = samples.bytes
    var colors = [UInt8](repeating: 0, count: width * height * 3)
    var alpha = [UInt8](repeating: 0, count: keepsAlpha && model.hasAlpha ? colors.count : 0)
    raw.withUnsafeMutableBytes { raw in
      colors.withUnsafeMutableBufferPointer { colors in
        alpha.withUnsafeMutableBufferPointer { alpha in
          guard let from = raw.baseAddress, let to = colors.baseAddress else { return }
          conversion.convert(
            from, pixels: width * height, colors: to,
            alpha: alpha.isEmpty ? nil : alpha.baseAddress)
        }
      }
    }
    func turned(_ pixels: [UInt8]) -> Image {
      Image(width: width, height: height, pixels: pixels).turned(header.orientation)
    }
    return ImageAndAlpha(turned(colors), alpha: alpha.isEmpty ? nil : turned(alpha))
  }
}

extension DecodedImage.Samples {
  fileprivate var depth: Int { if case .sixteen = self { 16 } else { 8 } }

  fileprivate var bytes: [UInt8] {
    switch self {
    case .eight(let bytes): bytes
    case .sixteen(let words): words.withUnsafeBytes { Array($0) }
    }
  }
}
