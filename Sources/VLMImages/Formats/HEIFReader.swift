import CCodecs

/// Decodes the primary image of HEIC and AVIF with libheif, which is loaded on demand and applies
/// the file's rotation.
final class HEIFReader: RowReader {
  let header: ImageHeader
  let workingBytes: Int
  private let file: PixelBuffer
  private let name: String
  private let format: ImageFormat
  private var decoder: OpaquePointer?
  private var isDecoded = false
  private var next = 0

  /// - Parameter format: `.heic` or `.avif`.
  init(
    _ file: PixelBuffer, format: ImageFormat, name: String, limits: ImageLimits
  ) throws(ImageError) {
    if let words = vlm_heif_load() {
      throw ImageError(
        name: name,
        problem: .missingLibrary(format, packages: ["libheif1"], String(cString: words)))
    }
    var opened: OpaquePointer?
    var found = vlm_heif_header()
    var message = vlm_image_message()
    let bytes = file.contents.bindMemory(to: UInt8.self)
    let status = vlm_heif_open(
      bytes.baseAddress, bytes.count, format == .avif, &opened, &found, &message)
    let decoder = opened
    do throws(ImageError) {
      if status == VLM_IMAGE_UNSUPPORTED, message.string.isEmpty {
        throw ImageError(
          name: name,
          problem: .missingLibrary(
            format, packages: [Self.plugin(format)], "libheif has no decoder for it"))
      }
      try status.check(format, message, name: name, bytes: 0)
      _ = try limits.pixels(width: Int(found.width), height: Int(found.height), of: name)
    } catch {
      vlm_heif_close(decoder)
      throw error
    }
    header = ImageHeader(
      width: Int(found.width), height: Int(found.height), model: found.has_alpha ? .rgba : .rgb,
      depth: 8)
    // The codec's output, three planes of up to 16 bits, plus the RGB result.
    workingBytes = header.width * header.height * (found.has_alpha ? 12 : 9)
    self.format = format
    self.file = file
    self.name = name
    self.decoder = decoder
  }

  deinit { vlm_heif_close(decoder) }

  /// The package with the format's decoder where libheif's decoders are packaged separately, as in
  /// Debian 13.
  private static func plugin(_ format: ImageFormat) -> String {
    format == .avif ? "libheif-plugin-dav1d" : "libheif-plugin-libde265"
  }

  func read(rows: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
    if !isDecoded {
      try PixelMemory.check(bytes: workingBytes, for: name)
      var message = vlm_image_message()
      let status = vlm_heif_decode(decoder, &message)
      try status.check(format, message, name: name, bytes: workingBytes)
      isDecoded = true
    }
    for index in 0..<rows {
      vlm_heif_row(
        decoder, UInt32(next + index),
        buffer.baseAddress?.advanced(by: index * header.rowBytes)
          .assumingMemoryBound(to: UInt8.self))
    }
    next += rows
  }

  func finish() throws(ImageError) {}
}
