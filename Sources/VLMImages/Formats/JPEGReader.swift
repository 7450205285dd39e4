import CCodecs

/// Decodes JPEG with libjpeg-turbo. EXIF is located here.
final class JPEGReader: RowReader {
  private(set) var header: ImageHeader
  private(set) var workingBytes: Int
  let lighterForm: String?
  private(set) var notes: [DecodingNote] = []
  private let file: PixelBuffer
  private let name: String
  private var decoder: OpaquePointer?

  init(_ file: PixelBuffer, name: String, limits: ImageLimits) throws(ImageError) {
    self.file = file
    self.name = name
    let bytes = UnsafeRawBufferPointer(file.bytes).bindMemory(to: UInt8.self)
    var opened: OpaquePointer?
    var found = vlm_jpeg_header()
    var message = vlm_image_message()
    let segments = JPEGSegments(file.contents)
    let status = vlm_jpeg_open(
      bytes.baseAddress, bytes.count, Int32(clamping: limits.maximumScans), limits.acceptsDamage,
      &opened, &found, &message)
    decoder = opened
    header = Self.header(found, orientation: .upright)
    workingBytes = Int(clamping: found.working_bytes)
    lighterForm = found.has_scans ? "as a baseline JPEG" : nil
    if let kind = segments.otherKind {
      throw ImageError(name: name, problem: .unsupported(.jpeg, kind))
    }
    try status.check(.jpeg, message, name: name, bytes: 0)
    _ = try limits.pixels(width: header.width, height: header.height, of: name)
    header.orientation = segments.orientation
  }

  deinit { vlm_jpeg_close(decoder) }

  private static func header(
    _ found: vlm_jpeg_header, orientation: Orientation
  ) -> ImageHeader {
    let model: DecodedImage.Model =
      switch found.channels {
      case 1: .gray
      case 3: .rgb
      default: .invertedCMYK
      }
    return ImageHeader(
      width: Int(found.width), height: Int(found.height), model: model, depth: 8,
      orientation: orientation)
  }

  func reduce(toShare share: Double) throws(ImageError) -> Int {
    // Other scaling factors are not faster.
    guard let eighths = [1, 2, 4].first(where: { Double($0) >= 8 * share }) else { return 1 }
    var found = vlm_jpeg_header()
    var message = vlm_image_message()
    let status = vlm_jpeg_scale(decoder, Int32(eighths), &found, &message)
    try status.check(.jpeg, message, name: name, bytes: 0)
    header = Self.header(found, orientation: header.orientation)
    workingBytes = Int(clamping: found.working_bytes)
    return 8 / eighths
  }

  func read(rows: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
    precondition(buffer.count == rows * header.rowBytes, "a buffer for the rows")
    var message = vlm_image_message()
    let status = vlm_jpeg_read_rows(
      decoder, buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), header.rowBytes, rows,
      &message)
    try status.check(.jpeg, message, name: name, bytes: workingBytes)
  }

  func finish() throws(ImageError) {
    var damage = vlm_image_damage()
    var message = vlm_image_message()
    let status = vlm_jpeg_finish(decoder, &damage, &message)
    try status.check(.jpeg, message, name: name, bytes: workingBytes)
    notes = damage.notes(.jpeg, height: header.height)
  }
}

/// The marker segments of a JPEG before its first scan.
struct JPEGSegments {
  private(set) var orientation = Orientation.upright
  /// The name of a frame type that libjpeg does not decode.
  private(set) var otherKind: String?

  private static let namespace = Array("http://ns.adobe.com/xap/1.0/".utf8) + [0]

  init(_ bytes: UnsafeRawBufferPointer) {
    let signature: [UInt8] = Array("Exif".utf8) + [0, 0]
    let none = UnsafeRawBufferPointer(start: nil, count: 0)
    var (exif, xmp) = (none, none)
    var offset = 2
    while offset <= bytes.count - 4 {
      guard bytes[offset] == 0xFF else { break }
      let marker = bytes[offset + 1]
      if marker == 0xFF {
        // A fill byte.
        offset += 1
        continue
      }
      // Start of scan, end of image: no header follows.
      if marker == 0xDA || marker == 0xD9 { break }
      // Markers without a segment.
      if marker == 0x01 || (0xD0...0xD8).contains(marker) {
        offset += 2
        continue
      }
      let length = Int(bytes[offset + 2]) << 8 | Int(bytes[offset + 3])
      guard length >= 2, length <= bytes.count - offset - 2 else { break }
      let payload = UnsafeRawBufferPointer(rebasing: bytes[offset + 4..<offset + 2 + length])
      switch marker {
      case 0xE1 where exif.isEmpty && payload.starts(with: signature): exif = payload
      case 0xE1 where xmp.isEmpty && payload.starts(with: Self.namespace): xmp = payload
      case 0xC3, 0xCB: otherKind = "lossless JPEG (SOF\(marker - 0xC0))"
      case 0xC5...0xC7, 0xCD...0xCF: otherKind = "hierarchical JPEG (SOF\(marker - 0xC0))"
      case 0xF7: otherKind = "JPEG-LS (SOF55)"
      default: break
      }
      offset += length + 2
    }
    orientation = Orientation(exif: exif, xmp: xmp)
  }
}
