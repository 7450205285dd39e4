import VLMCommandLine
import VLMFoundation
import VLMImages

/// A film whose frames are pictures: files in their order, those on standard input, or one animated GIF.
enum Film {
  case pictures([PictureInput])
  case animation(GIFFilm, PictureInput)

  /// Pictures that a stream may have, and their bytes: all wait until it is known how many there are.
  private static let (maximumCount, maximumBytes) = (GIFFilm.maximumCount, 512 << 20)

  /// Reads the names of files, and what standard input has; nothing is decoded.
  ///
  /// - Parameter background: where a GIF shows nothing.
  /// - Throws: what is wrong with a picture; `InputError` for a film that is too long, or none.
  init(_ source: PictureSource, background: RGB, limits: ImageLimits) throws {
    var pictures: [PictureInput] = []
    var bytes = 0
    while let picture = try source.next() {
      if case .failure(let error) = picture.content { throw error }
      if case .bytes(let content) = picture.content { bytes += content.count }
      guard pictures.count < Self.maximumCount, bytes <= Self.maximumBytes else {
        throw InputError(
          picture.name, .longFilm(frames: Self.maximumCount, bytes: Self.maximumBytes))
      }
      pictures.append(picture)
    }
    if let only = pictures.first, pictures.count == 1,
      let content = try Self.content(of: only, limits), GIFFilm.isGIF(content)
    {
      self = .animation(
        try GIFFilm(bytes: content, name: only.place, background: background, limits: limits),
        only)
    } else {
      self = .pictures(pictures)
    }
  }

  private static func content(
    of picture: PictureInput, _ limits: ImageLimits
  ) throws -> [UInt8]? {
    switch picture.content {
    case .bytes(let bytes): bytes
    case .file: try ByteStream(path: picture.name).takeAll(limit: limits.maximumFileBytes)
    case .failure: nil
    }
  }

  /// Frames, all together.
  var count: Int {
    switch self {
    case .pictures(let pictures): pictures.count
    case .animation(let film, _): film.count
    }
  }

  /// Calls `body` with each of some frames; of an animation with the decoded picture too.
  ///
  /// - Parameter frames: their numbers from 0, ascending.
  func forEach(_ frames: [Int], _ body: (PictureInput, Image?) throws -> Void) throws {
    switch self {
    case .pictures(let pictures): for frame in frames { try body(pictures[frame], nil) }
    case .animation(var film, let picture):
      var number = 0
      for frame in frames {
        while number < frame, film.next() != nil { number += 1 }
        guard let image = film.next() else { return }
        number += 1
        try body(picture, image)
      }
    }
  }
}
