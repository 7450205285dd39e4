import Synchronization
import Testing
import VLMImages
import VLMTensor

/// Pixels in memory, compared with a PNG that has the same.
@Suite("Pixels in memory")
struct PixelRowsTests {
  private static let (width, height) = (7, 5)

  /// Samples of a pixel in the order of a PNG, different in every place.
  private static func samples(_ channels: Int) -> [UInt8] {
    (0..<width * height * channels).map { UInt8(truncatingIfNeeded: $0 * 37 + $0 / 11) }
  }

  private static func png(_ channels: Int) -> [UInt8] {
    let samples = samples(channels)
    let color = channels == 1 ? 0 : channels == 3 ? 2 : 6
    let rowBytes = width * channels
    let rows = (0..<height).flatMap { [0] + samples[$0 * rowBytes..<($0 + 1) * rowBytes] }
    return PNGBuilder.file(
      PNGBuilder.header(UInt32(width), UInt32(height), depth: 8, color: UInt8(color)), rows: rows)
  }

  /// The samples in another order, with `gap` bytes of something else behind each row but the last.
  private static func pixels(_ order: PixelRows.Order, gap: Int) -> [UInt8] {
    let channels = order.byteCount
    var samples = samples(channels)
    if order == .bgr || order == .bgra {
      for pixel in stride(from: 0, to: samples.count, by: channels) {
        samples.swapAt(pixel, pixel + 2)
      }
    }
    var bytes: [UInt8] = []
    for row in 0..<height {
      bytes += samples[row * width * channels..<(row + 1) * width * channels]
      if row + 1 < height { bytes += [UInt8](repeating: 0xa5, count: gap) }
    }
    return bytes
  }

  private static func read(
    _ source: any PixelSource, alpha: Bool
  ) throws -> (colors: [UInt8], alpha: [UInt8]) {
    var result: (colors: [UInt8], alpha: [UInt8]) = ([], [])
    try source.readRows(alpha: alpha) { colors, alpha, count throws(ImageError) in
      let samples = count * source.width * 3
      result.colors += UnsafeBufferPointer(start: colors, count: samples)
      if let alpha { result.alpha += UnsafeBufferPointer(start: alpha, count: samples) }
    }
    return result
  }

  private static let policies: [DecodePolicy] = [
    .seen, .seen(background: RGB(10, 200, 30)), .pillow,
  ]

  @Test(
    "are what a PNG of the same pixels is, in every order, with and without gaps between rows",
    arguments: PixelRows.Order.allCases, [0, 1, 13])
  func likePNG(_ order: PixelRows.Order, _ gap: Int) throws {
    let bytes = Self.pixels(order, gap: gap)
    let stride = Self.width * order.byteCount + gap
    for policy in Self.policies {
      for alpha in [false, true] {
        let file = try ImageDecoder.open(
          bytes: Self.png(order.byteCount), name: "f", policy: policy)
        let rows = PixelRows(
          .array(bytes), width: Self.width, height: Self.height, stride: stride, order: order,
          name: "p", policy: policy)
        let (want, found) = (
          try Self.read(file, alpha: alpha), try Self.read(rows, alpha: alpha)
        )
        #expect(found.colors == want.colors, "\(policy)")
        #expect(found.alpha == want.alpha, "\(policy)")
        let again = try Self.read(rows, alpha: alpha)
        #expect(again.colors == want.colors)
      }
    }
  }

  @Test("of somebody else are read where they lie, and let go once")
  func borrowed() throws {
    final class Count: Sendable { let value = Atomic<Int>(0) }
    let count = Count()
    let bytes = Self.pixels(.rgb, gap: 0)
    try bytes.withUnsafeBytes { memory in
      let base = try #require(memory.baseAddress)
      let rows = PixelRows(
        .pointer(base, release: { count.value.add(1, ordering: .relaxed) }), width: Self.width,
        height: Self.height, stride: Self.width * 3, order: .rgb, name: "p")
      var places: [UnsafeRawPointer] = []
      try rows.readRows(alpha: false) { colors, _, _ throws(ImageError) in
        places.append(UnsafeRawPointer(colors))
      }
      #expect(places == [base])
      withExtendedLifetime(rows) { #expect(count.value.load(ordering: .relaxed) == 0) }
    }
    #expect(count.value.load(ordering: .relaxed) == 1)
  }
}
