import CCodecs

/// Expands raw PNG samples, palette indices and transparent colours to channels.
struct PNGExpansion {
  let model: DecodedImage.Model
  /// Bits per sample: 8 or 16.
  let depth: Int
  let isAlphaDeclared: Bool
  /// Raw samples per pixel.
  let channels: Int
  /// Whether the raw samples need expansion.
  let changes: Bool
  private let header: vlm_png_header

  /// Raw bytes per pixel.
  var sampleBytes: Int { channels * depth / 8 }

  init(_ header: vlm_png_header) {
    self.header = header
    depth = header.bit_depth == 16 ? 16 : 8
    isAlphaDeclared = header.color_type == 3 ? header.palette_alpha_count > 0 : header.has_key
    switch header.color_type {
    case 0:
      channels = 1
      model = header.has_key ? .grayAlpha : .gray
      changes = header.has_key || header.bit_depth < 8
    case 2:
      channels = 3
      model = header.has_key ? .rgba : .rgb
      changes = header.has_key
    case 3:
      channels = 1
      model = header.palette_alpha_count > 0 ? .rgba : .rgb
      changes = true
    case 4:
      channels = 2
      model = .grayAlpha
      changes = false
    default:
      channels = 4
      model = .rgba
      changes = false
    }
  }

  func expand(
    _ raw: UnsafeRawBufferPointer, pixels: Int, into out: UnsafeMutableRawBufferPointer
  ) {
    if header.color_type == 3 {
      return colors(of: raw, pixels: pixels, into: out)
    }
    if depth == 16 {
      keyed(
        raw.assumingMemoryBound(to: UInt16.self), scale: 1, pixels: pixels,
        into: out.assumingMemoryBound(to: UInt16.self))
    } else {
      let scale = UInt8(255 / (1 << min(Int(header.bit_depth), 8) - 1))
      keyed(
        raw.assumingMemoryBound(to: UInt8.self), scale: scale, pixels: pixels,
        into: out.assumingMemoryBound(to: UInt8.self))
    }
  }

  /// Scales samples below 8 bits to 8, and adds alpha if there is a transparent colour: 0 for
  /// pixels of that colour.
  private func keyed<T: FixedWidthInteger & UnsignedInteger>(
    _ raw: UnsafeBufferPointer<T>, scale: T, pixels: Int, into out: UnsafeMutableBufferPointer<T>
  ) {
    let key = [header.key.0, header.key.1, header.key.2].prefix(channels).map { UInt32($0) }
    let hasKey = header.has_key
    var to = 0
    for pixel in 0..<pixels {
      var isKey = true
      for channel in 0..<channels {
        let sample = raw[pixel * channels + channel]
        out[to] = sample &* scale
        to += 1
        if UInt32(sample) != key[channel] { isKey = false }
      }
      if hasKey {
        out[to] = isKey ? 0 : .max
        to += 1
      }
    }
  }

  /// An index beyond the palette's end is opaque black.
  private func colors(
    of raw: UnsafeRawBufferPointer, pixels: Int, into out: UnsafeMutableRawBufferPointer
  ) {
    let channels = model.channels
    withUnsafeBytes(of: header.palette) { palette in
      for pixel in 0..<pixels {
        let entry = Int(raw[pixel]) * 4
        for channel in 0..<channels { out[pixel * channels + channel] = palette[entry + channel] }
      }
    }
  }
}
