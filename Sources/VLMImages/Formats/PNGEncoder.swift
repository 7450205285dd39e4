import CCodecs

#if canImport(Glibc)
  import Glibc
#endif

/// Encodes PNG.
package enum PNGEncoder {
  /// The bytes of a PNG file; nil if memory cannot be allocated.
  ///
  /// - Parameter pixels: interleaved 8-bit RGB, `[height, width, 3]`.
  /// - Precondition: the sizes are positive and match the length of `pixels`.
  package static func encode(_ pixels: [UInt8], width: Int, height: Int) -> [UInt8]? {
    precondition(width > 0 && height > 0 && pixels.count == width * height * 3, "pixels fill it")
    var count = 0
    guard let bytes = vlm_png_write_rgb8(pixels, UInt32(width), UInt32(height), &count) else {
      return nil
    }
    defer { free(bytes) }
    return Array(UnsafeBufferPointer(start: bytes, count: count))
  }
}
