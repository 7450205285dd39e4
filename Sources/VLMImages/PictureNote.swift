/// What is said of a picture that was read though its file is not as it should be.
package enum PictureNote: Sendable, Equatable {
  /// Every row is there, but not what has to follow them.
  case noEndMarker(ImageFormat)
  /// So many rows, or a part of each, are filled as the decoder fills them; the decoder's words.
  case lostRows(ImageFormat, Int, of: Int, String)
  /// No row is lost as far as can be told, but a checksum is wrong; the decoder's words.
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
