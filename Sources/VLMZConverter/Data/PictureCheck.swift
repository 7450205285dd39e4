import VLMFoundation
import VLMImages

/// Finds pictures that cannot be used before the model sees any, so that one does not end a
/// calibration in its middle.
final class PictureCheck {
  private let prepare: (CalibrationData.Picture) throws -> Void
  private let tell: (CalibrationError) -> Void
  private var known: [String: Bool] = [:]
  /// Why some are left out.
  private(set) var defects: [CalibrationError] = []

  /// - Parameters:
  ///   - prepare: makes of a picture what the model sees.
  ///   - tell: called once for each picture that is left out.
  init(
    tell: @escaping (CalibrationError) -> Void,
    prepare: @escaping (CalibrationData.Picture) throws -> Void
  ) {
    self.tell = tell
    self.prepare = prepare
  }

  /// Whether a picture can be decoded and prepared.
  ///
  /// - Throws: what is not the picture's fault.
  func isUsable(_ picture: CalibrationData.Picture) throws -> Bool {
    guard case .file(let path) = picture else { return true }
    if let known = known[path] { return known }
    do {
      try prepare(picture)
      known[path] = true
      return true
    } catch let error as ImageError {
      let defect = CalibrationError(path: path, .picture(error.description))
      defects.append(defect)
      known[path] = false
      tell(defect)
      return false
    }
  }

  /// The same for conversations, of which several may lack one picture.
  ///
  /// - Throws: `CalibrationError` where most or all of them are left out.
  func requireMost(usable: Int, of total: Int) throws(CalibrationError) {
    guard let first = defects.first else { return }
    try CalibrationError.requireMost(
      usable: usable, defects: Array(repeating: first, count: total - usable))
  }

  /// - Throws: `CalibrationError` where most or all of the pictures are left out.
  func requireMost() throws(CalibrationError) {
    try CalibrationError.requireMost(usable: known.values.count { $0 }, defects: defects)
  }
}
