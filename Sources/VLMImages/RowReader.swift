/// What the header of a picture's file says of its samples.
package struct PictureHeader: Sendable, Equatable {
  /// As the file has them, before `orientation` is followed.
  package let width: Int
  package let height: Int
  package let model: DecodedImage.Model
  /// Bits of a sample as the reader gives it: 8 or 16.
  package let depth: Int
  /// The alpha comes from a colour or a palette entry declared transparent, not from a channel.
  package var isAlphaDeclared = false
  package var orientation = Orientation.upright
  /// Even where the policy is Pillow's, which leaves the turning to others.
  package var isAlwaysTurned = false

  /// Bytes of a row as the reader gives it.
  package var rowBytes: Int { width * model.channels * depth / 8 }
}

/// Reads the rows of a picture's file from the top down, once, without holding more of it than the
/// format makes it hold. Every format is decoded through one of these.
///
/// A reader owns the file's bytes. It is opened by `RowReaders.open`, which has checked the header
/// against the limits; nothing is decoded before the first rows are asked for. After an error it
/// gives nothing more.
protocol RowReader: AnyObject {
  var header: PictureHeader { get }

  /// Bytes that decoding will hold at most beside the file and the rows that it gives, estimated from
  /// the header: the coefficients of a JPEG in several scans, all rows of an interlaced PNG, the
  /// picture where a library decodes it whole.
  var workingBytes: Int { get }

  /// How the picture would take less of that, after "saved again": nil where it takes little.
  var lighterForm: String? { get }

  /// Gives the picture smaller than it is, in no less than this share of its sides, where the format
  /// can leave out finer detail before it is decoded. `header` is that of the smaller one then.
  /// Called before the first row, if at all.
  ///
  /// - Returns: how many times smaller the sides are, rounded up to whole samples.
  func reduce(toShare share: Double) throws(ImageError) -> Int

  /// Reads the next rows: the channels of a pixel together, 8 bits each, or 16 in host order.
  ///
  /// - Parameter buffer: `rows * header.rowBytes` bytes; aligned for `UInt16` at depth 16.
  /// - Precondition: so many rows are left.
  func read(rows: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError)

  /// Checks the rest of the file, up to its end marker. Called once, after the last row; a picture
  /// counts as read only then.
  func finish() throws(ImageError)

  /// What is to be said of the picture, once it is finished.
  var notes: [PictureNote] { get }
}

extension RowReader {
  var notes: [PictureNote] { [] }
}

/// Opens the reader that a file's first bytes ask for.
enum RowReaders {
  /// - Parameters:
  ///   - file: the whole file.
  ///   - name: what messages call it.
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

  /// The whole picture as its file has it.
  func readAll(name: String, limits: ImageLimits) throws(ImageError) -> DecodedImage {
    let count = header.height * header.rowBytes
    try limits.require(
      memory: workingBytes + count, for: name,
      advice: lighterForm.map(ImageError.saved))
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
