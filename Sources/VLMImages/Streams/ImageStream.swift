import VLMFoundation

/// Reads consecutive images from a stream, as cameras and `ffmpeg -f image2pipe` write them. Each
/// is available as soon as its last byte has arrived.
///
/// White space, zeros and some text may separate them, such as the headers of a multipart stream.
/// An image whose structure does not reveal its end takes the rest of the stream.
package struct ImageStream {
  package enum Part: Equatable {
    case picture([UInt8])
    /// The bytes after the last image are not an image; they are not read.
    case other
  }

  private let stream: ByteStream
  private let limits: ImageLimits
  /// Number of images read.
  private var count = 0
  private var hasEnded = false

  package init(_ stream: ByteStream, limits: ImageLimits = ImageLimits()) {
    self.stream = stream
    self.limits = limits
  }

  /// The bytes of the next image, of which only the structure is examined; nil at the end.
  ///
  /// - Parameters:
  ///   - name: the image's name in messages.
  ///   - beforeWaiting: called before blocking for more input.
  /// - Throws: `ImageError`, after which the stream has ended; any error of `beforeWaiting`.
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
        // The decoder reports empty input.
        return count == 0 ? .picture([]) : nil
      }
    } catch {
      hasEnded = true
      throw error
    }
  }

  private enum Beginning { case picture, other, end }

  /// Bytes needed to recognise the format.
  private static let signatureLength = 12
  /// Maximum bytes of text between two images.
  private static let maximumText = 4096

  /// Advances to the first byte of an image.
  private func begin(_ more: () throws -> Bool) throws -> Beginning {
    func kind() throws -> ImageBoundary.Kind {
      while stream.available < Self.signatureLength, try more() {}
      return stream.withAvailable { ImageBoundary.Kind($0) }
    }
    var found = try kind()
    // The first image may have any format, which its decoder reports, unless the headers of a
    // multipart stream precede it.
    let isFirst = count == 0
    if isFirst, stream.withAvailable({ !$0.starts(with: [0x2d, 0x2d]) }) {
      return stream.available > 0 ? .picture : .end
    }
    var left = Self.maximumText
    // Skip white space first: a PNM begins with a letter.
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
    var boundary = ImageBoundary(stream.withAvailable { ImageBoundary.Kind($0) })
    var step = stream.withAvailable { boundary.step($0) }
    while step == .needsMore, stream.available <= limits.maximumFileBytes, try more() {
      step = stream.withAvailable { boundary.step($0) }
    }
    var end: Int?
    switch step {
    case .end(let count): end = count
    case .unbounded:
      while stream.available <= limits.maximumFileBytes, try more() {}
    // The structure is missing, or the image is truncated, which its decoder reports.
    case .needsMore: end = boundary.firstPicture
    }
    let size = end ?? stream.available
    guard size <= limits.maximumFileBytes else { throw tooLarge }
    return stream.take(size)
  }
}
