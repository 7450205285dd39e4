import VLMFoundation
import VLMZ

/// What the pictures of one request may cost together.
struct PictureBudget: Sendable {
  private let limits: ServerLimits
  private var count = 0
  private var pixels = 0
  private var frames = 0
  /// What a person should know of the pictures, one line each.
  private(set) var notes: [String] = []

  init(_ limits: ServerLimits) { self.limits = limits }

  /// Counts a picture, of which no more than the header was read.
  ///
  /// - Parameter place: the request's name for it.
  /// - Throws: `APIError` for one too many, and for more pixels than a request may have.
  mutating func take(_ image: Image, at place: String) throws(APIError) {
    try count(at: place)
    if let several = image.severalPictures {
      notes.append("\(place): is \(several), of which the first is seen")
    }
    // Each has at most as many as a picture may.
    try take(image.width * image.height, at: place)
  }

  /// Counts a film and its frames, those that no model sees too.
  ///
  /// - Throws: `APIError` for one too many, for more frames than a request may have, and for more pixels.
  mutating func take(_ film: Film, at place: String) throws(APIError) {
    try count(at: place)
    frames += film.frameCount
    guard frames <= limits.frames else {
      throw .invalid(
        place, found: "\(frames) frames", expected: "at most \(limits.frames) in a request")
    }
    try take(film.pixelCount, at: place)
  }

  private mutating func count(at place: String) throws(APIError) {
    count += 1
    guard count <= limits.pictures else {
      throw .invalid(
        place, found: "picture \(count)",
        expected: "at most " + counted(limits.pictures, "picture"))
    }
  }

  private mutating func take(_ more: Int, at place: String) throws(APIError) {
    pixels += more
    guard pixels <= limits.requestPixels else {
      throw .invalid(
        place,
        found: "\(pixels) pixels in "
          + (frames > 0 ? "pictures and frames" : counted(count, "picture")),
        expected: "at most \(limits.requestPixels) in a request")
    }
  }
}
