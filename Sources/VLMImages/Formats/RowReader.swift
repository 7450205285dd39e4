/// The sample layout stated by an image file's header.
package struct ImageHeader: Sendable, Equatable {
  /// Stored size, before `orientation` is applied.
  package let width: Int
  package let height: Int
  package let model: DecodedImage.Model
  /// Bits per sample of the reader's output: 8 or 16.
  package let depth: Int
  /// Whether alpha comes from a transparent colour or palette entry, not from a channel.
  package var isAlphaDeclared = false
  package var orientation = Orientation.upright
  /// Whether the orientation is applied even under Pillow's policy, which otherwise ignores it.
  package var isAlwaysTurned = false

  /// Bytes per row of the reader's output.
  package var rowBytes: Int { width * model.channels * depth / 8 }
}

/// Decodes the rows of an image file from top to bottom, once, and holds no more of the image than
/// the format requires. Every format is decoded through this protocol.
///
/// A reader owns the file's bytes. `RowReaders.open` creates it and checks the header against the
/// limits; nothing is decoded before the first rows are requested. After an error the reader cannot
/// be used any more.
protocol RowReader: AnyObject {
  var header: ImageHeader { get }

  /// Maximum memory of decoding, besides the file and the output rows, estimated from the header:
  /// the coefficients of a progressive JPEG, all rows of an interlaced PNG, or the whole image if a
  /// library decodes it at once.
  var workingBytes: Int { get }

  /// A form in which the image would need less memory, to follow "saved again"; nil if it needs
  /// little.
  var lighterForm: String? { get }

  /// Requests decoding at reduced size, at least `share` of each side, if the format can omit
  /// detail before decoding. Updates `header`. Called before the first row, if at all.
  ///
  /// - Returns: the reduction factor; the reduced sides are rounded up.
  func reduce(toShare share: Double) throws(ImageError) -> Int

  /// Reads the next rows: interleaved channels, 8 bits each, or 16 in host byte order.
  ///
  /// - Parameter buffer: `rows * header.rowBytes` bytes; aligned for `UInt16` at depth 16.
  /// - Precondition: at least `rows` rows are left.
  func read(rows: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError)

  /// Checks the rest of the file up to its end marker. Called once after the last row; only then
  /// the image counts as decoded.
  func finish() throws(ImageError)

  /// Notes about damage that was accepted; complete after `finish`.
  var notes: [DecodingNote] { get }
}

extension RowReader {
  var notes: [DecodingNote] { [] }
}

/// Opens the reader for a file, chosen by its first bytes.
enum RowReaders {
  /// - Parameters:
  ///   - file: the whole file.
  ///   - name: the image's name in messages.
  static func open(
    _ file: PixelBuffer, name: String, limits: ImageLimits
  ) throws(ImageError) -> any RowReader {
    guard file.bytes.count <= limits.maximumFileBytes else {
      throw ImageError(name: name, problem: .fileTooLarge(limit: limits.maximumFileBytes))
    }
    switch try ImageSignature.format(of: file.contents, name: name) {
    case .png: return try PNGReader(file, name: name, limits: limits)
    case .jpeg: return try JPEGReader(file, name: name, limits: limits)
    case .webp: return try WebPReader(file, name: name, limits: limits)
    case .gif: return try GIFReader(file, name: name, limits: limits)
    case .bmp: return try BMPReader(file, name: name, limits: limits)
    case .pnm: return try PNMReader(file, name: name, limits: limits)
    case .tiff: return try TIFFReader(file, name: name, limits: limits)
    case .heic: return try HEIFReader(file, format: .heic, name: name, limits: limits)
    case .avif: return try HEIFReader(file, format: .avif, name: name, limits: limits)
    }
  }
}

extension RowReader {
  var lighterForm: String? { nil }
  func reduce(toShare share: Double) throws(ImageError) -> Int { 1 }

  /// Decodes the whole image.
  func readAll(name: String, limits: ImageLimits) throws(ImageError) -> DecodedImage {
    let count = header.height * header.rowBytes
    try limits.require(
      memory: workingBytes + count, for: name,
      remedy: lighterForm.map { .saveAgain($0) })
    var failure: ImageError?
    func fill(_ buffer: UnsafeMutableRawBufferPointer) -> Bool {
      do throws(ImageError) {
        try read(
          rows: header.height, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
        try finish()
        return true
      } catch {
        failure = error
        return false
      }
    }
    let samples: DecodedImage.Samples
    if header.depth == 16 {
      samples = .sixteen(
        [UInt16](unsafeUninitializedCapacity: count / 2) { buffer, filled in
          filled = fill(UnsafeMutableRawBufferPointer(buffer)) ? count / 2 : 0
        })
    } else {
      samples = .eight(
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
          filled = fill(UnsafeMutableRawBufferPointer(buffer)) ? count : 0
        })
    }
    if let failure { throw failure }
    return DecodedImage(
      width: header.width, height: header.height, model: header.model, samples: samples,
      isAlphaDeclared: header.isAlphaDeclared, orientation: header.orientation,
      isAlwaysTurned: header.isAlwaysTurned)
  }
}
