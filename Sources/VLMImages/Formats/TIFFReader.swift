import CCodecs

/// Decodes the first page of a TIFF with libtiff, which is loaded on demand.
final class TIFFReader: RowReader {
  let header: ImageHeader
  let workingBytes: Int
  var notes: [DecodingNote] {
    lost == 0 ? [] : [.lostRows(.tiff, Int(lost), of: header.height, reason)]
  }
  private let file: PixelBuffer
  private let name: String
  private let acceptsDamage: Bool
  private var decoder: OpaquePointer?
  private var lost: UInt32 = 0
  private let reason = "strips or tiles cannot be read"

  init(_ file: PixelBuffer, name: String, limits: ImageLimits) throws(ImageError) {
    if let words = vlm_tiff_load() {
      throw ImageError(
        name: name,
        problem: .missingLibrary(.tiff, packages: ["libtiff6"], String(cString: words)))
    }
    var opened: OpaquePointer?
    var found = vlm_tiff_header()
    var message = vlm_image_message()
    let bytes = file.contents.bindMemory(to: UInt8.self)
    let status = vlm_tiff_open(
      bytes.baseAddress, bytes.count, limits.maximumPixels, &opened, &found, &message)
    let decoder = opened
    do throws(ImageError) {
      try status.check(.tiff, message, name: name, bytes: 0)
      _ = try limits.pixels(width: Int(found.width), height: Int(found.height), of: name)
    } catch {
      vlm_tiff_close(decoder)
      throw error
    }
    let models: [DecodedImage.Model] = [.gray, .grayAlpha, .rgb, .rgba]
    header = ImageHeader(
      width: Int(found.width), height: Int(found.height),
      model: found.is_cmyk ? .invertedCMYK : models[Int(found.channels) - 1],
      depth: Int(found.depth),
      orientation: found.orientation == 0
        ? XMP.orientation(found.xmp.contents) ?? .upright
        : Orientation(number: Int(found.orientation)),
      // Pillow applies the orientation of a TIFF when loading it.
      isAlwaysTurned: true)
    workingBytes = Int(found.working_bytes)
    acceptsDamage = limits.acceptsDamage
    self.file = file
    self.name = name
    self.decoder = decoder
  }

  deinit { vlm_tiff_close(decoder) }

  func read(rows: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
    var message = vlm_image_message()
    let status = vlm_tiff_read_rows(
      decoder, buffer.baseAddress, rows, acceptsDamage, &lost, &message)
    try status.check(.tiff, message, name: name, bytes: workingBytes)
  }

  func finish() throws(ImageError) {
    guard lost < header.height else {
      throw ImageError(name: name, problem: .corrupt(.tiff, reason))
    }
  }
}
