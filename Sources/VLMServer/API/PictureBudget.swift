import VLMZ

/// What the pictures of one request may cost together.
struct PictureBudget: Sendable {
  private let limits: ServerLimits
  private var count = 0
  private var pixels = 0

  init(_ limits: ServerLimits) { self.limits = limits }

  /// Counts a picture, of which no more than the header was read.
  ///
  /// - Parameter place: the request's name for it.
  /// - Throws: `APIError` for one too many, and for more pixels than a request may have.
  mutating func take(_ image: Image, at place: String) throws(APIError) {
    count += 1
    guard count <= limits.pictures else {
      throw .invalid(
        place, found: "picture \(count)", expected: "at most \(limits.pictures) pictures")
    }
    // Each has at most as many as a picture may.
    pixels += image.width * image.height
    guard pixels <= limits.requestPixels else {
      throw .invalid(
        place, found: "\(pixels) pixels in \(count) pictures",
        expected: "at most \(limits.requestPixels) in a request")
    }
  }
}
