/// A picture that is in memory, 8 bits a channel, read where it lies.
///
/// It becomes what a PNG of the same pixels would: where a policy shows transparent pixels over a
/// background, so does this. Only rows that do not lie as the models take them are converted, a strip
/// at a time.
package final class PixelRows: PixelSource, @unchecked Sendable {
  /// How the bytes of a pixel lie, one behind the other.
  package enum Order: Sendable, Equatable, CaseIterable {
    case rgb, rgba, bgr, bgra, gray

    package var byteCount: Int {
      switch self {
      case .gray: 1
      case .rgb, .bgr: 3
      case .rgba, .bgra: 4
      }
    }

    var model: DecodedImage.Model {
      switch self {
      case .gray: .gray
      case .rgb, .bgr: .rgb
      case .rgba, .bgra: .rgba
      }
    }

    var beginsWithBlue: Bool { self == .bgr || self == .bgra }
  }

  package let width: Int
  package let height: Int
  private let order: Order
  private let stride: Int
  private let memory: Memory
  private let policy: DecodePolicy
  private let limits: ImageLimits
  private let name: String

  /// Where the rows lie, from the first byte of the top one.
  package enum Memory {
    case array([UInt8])
    /// Somebody else's, unchanged until `release` is called.
    case pointer(UnsafeRawPointer, release: @Sendable () -> Void)
  }

  /// - Parameter stride: bytes from a row's first byte to the next row's, at least those of a row.
  /// - Precondition: sizes above 0, whose bytes can be counted, and memory for all rows.
  package init(
    _ memory: Memory, width: Int, height: Int, stride: Int, order: Order, name: String,
    policy: DecodePolicy = .seen, limits: ImageLimits = ImageLimits()
  ) {
    precondition(
      width > 0 && height > 0 && stride >= width * order.byteCount, "rows that fill the size")
    if case .array(let bytes) = memory {
      precondition(
        bytes.count >= stride * (height - 1) + width * order.byteCount, "memory for all rows")
    }
    self.memory = memory
    self.width = width
    self.height = height
    self.stride = stride
    self.order = order
    self.name = name
    self.policy = policy
    self.limits = limits
  }

  deinit { if case .pointer(_, let release) = memory { release() } }

  package var workingBytes: Int {
    RowResampler.stripRows(width) * width * (order.byteCount + 6)
  }

  package func readRows(
    alpha: Bool,
    _ body: (UnsafePointer<UInt8>, UnsafePointer<UInt8>?, Int) throws(ImageError) -> Void
  ) throws(ImageError) {
    switch memory {
    case .pointer(let base, _): try readRows(base, alpha: alpha, body)
    case .array(let bytes):
      let result = bytes.withUnsafeBytes { bytes -> Result<Void, ImageError> in
        guard let base = bytes.baseAddress else { return .success(()) }
        do throws(ImageError) {
          return .success(try readRows(base, alpha: alpha, body))
        } catch {
          return .failure(error)
        }
      }
      try result.get()
    }
  }

  private func readRows(
    _ base: UnsafeRawPointer, alpha: Bool,
    _ body: (UnsafePointer<UInt8>, UnsafePointer<UInt8>?, Int) throws(ImageError) -> Void
  ) throws(ImageError) {
    let step = min(RowResampler.stripRows(width), height)
    let (rowBytes, samples) = (width * order.byteCount, step * width * 3)
    if order == .rgb, stride == rowBytes, !alpha {
      for row in Swift.stride(from: 0, to: height, by: step) {
        let rows = (base + row * stride).assumingMemoryBound(to: UInt8.self)
        try body(rows, nil, min(step, height - row))
      }
      return
    }
    let header = ImageHeader(width: width, height: height, model: order.model, depth: 8)
    let conversion = SampleConversion(header, policy, keepsAlpha: alpha)
    let hasAlpha = alpha && order.model.hasAlpha
    let raw = try PixelBuffer(byteCount: step * rowBytes, for: name)
    let colors = try PixelBuffer(byteCount: samples, for: name)
    let opacity = hasAlpha ? try PixelBuffer(byteCount: samples, for: name) : nil
    for row in Swift.stride(from: 0, to: height, by: step) {
      let count = min(step, height - row)
      for index in 0..<count {
        (raw.start + index * rowBytes).copyMemory(
          from: base + (row + index) * stride, byteCount: rowBytes)
      }
      if order.beginsWithBlue { swapBlueAndRed(raw.samples, pixels: count * width) }
      conversion.convert(
        raw.start, pixels: count * width, colors: colors.samples, alpha: opacity?.samples)
      try body(UnsafePointer(colors.samples), opacity.map { UnsafePointer($0.samples) }, count)
    }
  }

  private func swapBlueAndRed(_ samples: UnsafeMutablePointer<UInt8>, pixels: Int) {
    var pixel = samples
    for _ in 0..<pixels {
      (pixel[0], pixel[2]) = (pixel[2], pixel[0])
      pixel += order.byteCount
    }
  }
}
