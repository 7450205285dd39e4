/// A note about damage in an image file that was decoded all the same.
package enum DecodingNote: Sendable, Equatable {
  /// All rows are present, but the end marker is missing.
  case noEndMarker(ImageFormat)
  /// The number of rows that the decoder filled in completely or partly, and its message.
  case lostRows(ImageFormat, Int, of: Int, String)
  /// A checksum is wrong, but no row is known to be lost; the payload is the decoder's message.
  case unchecked(ImageFormat, String)

  package var description: String {
    switch self {
    case .noEndMarker(let format): "the \(format.name) ends without its end marker; no row is lost"
    case .lostRows(let format, let rows, let height, let detail):
      "damaged \(format.name): \(detail.escapedForDisplay()); \(rows) of \(height) rows are lost"
    case .unchecked(let format, let detail):
      "damaged \(format.name): \(detail.escapedForDisplay()); the rows are taken as they are"
    }
  }
}
