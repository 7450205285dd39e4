import VLMFoundation

/// Pictures one after the other on a stream, as cameras and `ffmpeg -f image2pipe` write them: each is
/// there as soon as its last byte is.
///
/// Spaces, zeros and some text may stand between them, such as the headers of a multipart stream. A
/// picture whose structure does not say where it ends takes all the rest.
package struct PictureStream {
  package enum Part: Equatable {
    case picture([UInt8])
    /// What follows the last picture begins with other bytes; it is not read.
    case other
  }

  private let stream: ByteStream
  private let limits: ImageLimits
  /// Pictures that were taken.
  private var count = 0
  private var hasEnded = false

  package init(_ stream: ByteStream, limits: ImageLimits = ImageLimits()) {
    self.stream = stream
    self.limits = limits
  }

  /// The next picture, which is not looked at beyond its structure; nil at the end.
  ///
  /// - Parameters:
  ///   - name: what messages call it.
  ///   - beforeWaiting: called where whoever writes lets us wait.
  /// - Throws: `ImageError`, after which there are no more; what `beforeWaiting` throws.
  package mutating func next(
    name: String, beforeWaiting: () throws -> Void = {}
  ) throws -> Part? {
    guard !hasEnded else { return nil }
    let stream = stream
    func more() throws -> Bool {
      if stream.wouldWait { try beforeWaiting() }
      do throws(FileError) { return try stream.read() } catch {
        throw ImageError(name: name, problem: .file(error))
      }
    }
    do {
      switch try begin(more) {
      case .picture:
        count += 1
        return .picture(try picture(name, more))
      case .other:
        hasEnded = true
        return .other
      case .end:
        hasEnded = true
        // One that is empty is said to be so, by its decoder.
        return count == 0 ? .picture([]) : nil
      }
    } catch {
      hasEnded = true
      throw error
    }
  }

  private enum Beginning { case picture, other, end }

  /// Bytes that tell what a picture is.
  private static let signatureLength = 12
  /// Bytes of text between two pictures at most.
  private static let maximumText = 4096

  /// Goes to the first byte of a picture.
  private func begin(_ more: () throws -> Bool) throws -> Beginning {
    func kind() throws -> PictureBoundary.Kind {
      while stream.available < Self.signatureLength, try more() {}
      return stream.withAvailable { PictureBoundary.Kind($0) }
    }
    var found = try kind()
    // The first may be of any kind, which its decoder tells, unless a server's headers are before it.
    let isFirst = count == 0
    if isFirst, stream.withAvailable({ !$0.starts(with: [0x2d, 0x2d]) }) {
      return stream.available > 0 ? .picture : .end
    }
    var left = Self.maximumText
    // Spaces first: a PNM begins with a letter.
    for isBetween in [Self.isPadding, Self.isText] where found == .unbounded {
      while try left > 0 && (stream.available > 0 || more()) {
        let length = stream.withAvailable { bytes in
          bytes.prefix(left).firstIndex { !isBetween($0) } ?? min(left, bytes.count)
        }
        stream.drop(length)
        left -= length
        if stream.available > 0 { break }
      }
      found = try kind()
    }
    if found != .unbounded { return .picture }
    return stream.available > 0 || isFirst ? .other : .end
  }

  private static func isPadding(_ byte: UInt8) -> Bool {
    byte == 0 || byte == 0x20 || (0x09...0x0d).contains(byte)
  }

  private static func isText(_ byte: UInt8) -> Bool {
    (0x20..<0x7f).contains(byte) || (0x09...0x0d).contains(byte)
  }

  private func picture(_ name: String, _ more: () throws -> Bool) throws -> [UInt8] {
    let tooLarge = ImageError(
      name: name, problem: .fileTooLarge(limit: limits.maximumFileBytes))
    var boundary = PictureBoundary(stream.withAvailable { PictureBoundary.Kind($0) })
    var step = stream.withAvailable { boundary.step($0) }
    while step == .needsMore, stream.available <= limits.maximumFileBytes, try more() {
      step = stream.withAvailable { boundary.step($0) }
    }
    var end: Int?
    switch step {
    case .end(let count): end = count
    case .unbounded:
      while stream.available <= limits.maximumFileBytes, try more() {}
    // Its parts are not there; or it is cut off, which its decoder tells.
    case .needsMore: end = boundary.firstPicture
    }
    let size = end ?? stream.available
    guard size <= limits.maximumFileBytes else { throw tooLarge }
    return stream.take(size)
  }
}
