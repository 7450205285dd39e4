import VLMFoundation
import VLMImages
import VLMText

/// A film for a model that was trained on films: pictures in their order, or an animated GIF.
///
/// A value: it may be used from any thread and with any model. No frame is decoded before a model wants it.
public struct Film: Sendable {
  /// Frames, all together; a model sees some of them.
  public let frameCount: Int
  /// Of them, so many are a second.
  public let framesPerSecond: Double
  private let storage: Storage

  private enum Storage: Sendable {
    case frames([Image])
    case animation(Animated)
  }

  /// Frames that are pictures.
  ///
  /// - Parameters:
  ///   - frames: in their order, one or more, none of them a file of several pictures.
  ///   - rate: of them, so many are a second: above 0, at most 1000.
  /// - Throws: `VLMZError` with `.invalidArgument`.
  public init(frames: [Image], framesPerSecond rate: Double) throws(VLMZError) {
    try VLMZError.require(!frames.isEmpty, "frames", found: "none", expected: "those of a film")
    try Self.check(rate)
    for frame in frames {
      guard let kind = frame.severalPictures else { continue }
      throw VLMZError(
        .invalidArgument,
        "\(frame.name.escapedForDisplay()): found \(kind) as a frame, expected a single picture; a GIF "
          + "by itself is a film")
    }
    frameCount = frames.count
    framesPerSecond = rate
    storage = .frames(frames)
  }

  /// A file: an animated GIF, which is read whole and may change afterwards.
  ///
  /// - Parameters:
  ///   - path: of a regular file.
  ///   - rate: frames a second, above 0, at most 1000; nil for as many as the file's delays make on
  ///     average.
  ///   - options: how frames are decoded.
  /// - Throws: `VLMZError`: `.notFound`, `.noPermission` or `.io` when the file cannot be read, `.badData`
  ///   when it is no GIF, or a larger one than allowed, `.invalidArgument`.
  public init(
    contentsOf path: String, framesPerSecond rate: Double? = nil,
    options: Image.Options = Image.Options()
  ) throws(VLMZError) {
    let limits = try options.limits()
    // "-" is standard input to the commands alone.
    let path = path == "-" ? "./-" : path
    let bytes = try VLMZError.wrapping { try ImageDecoder.bytes(ofFile: path, limits: limits) }
    try self.init(encoded: bytes, name: path, framesPerSecond: rate, options: options)
  }

  /// The bytes of an animated GIF, which are copied.
  ///
  /// - Parameters:
  ///   - bytes: the whole file.
  ///   - name: what messages call the film.
  ///   - rate: as of `init(contentsOf:framesPerSecond:options:)`.
  ///   - options: how frames are decoded.
  /// - Throws: as `init(contentsOf:framesPerSecond:options:)`, but for what concerns reading the file.
  public init(
    encoded bytes: [UInt8], name: String = "film", framesPerSecond rate: Double? = nil,
    options: Image.Options = Image.Options()
  ) throws(VLMZError) {
    if let rate { try Self.check(rate) }
    let limits = try options.limits()
    let background = RGB(
      UInt8(options.background >> 16 & 255), UInt8(options.background >> 8 & 255),
      UInt8(options.background & 255))
    _ = try options.policy()
    guard GIFFilm.isGIF(bytes) else {
      throw VLMZError(
        .badData,
        "\(name.escapedForDisplay()): found \(Animation.kind(of: bytes)), expected an animated GIF; of other films their "
          + "frames are given, as pictures")
    }
    let film = try VLMZError.wrapping {
      try GIFFilm(bytes: bytes, name: name, background: background, limits: limits)
    }
    frameCount = film.count
    framesPerSecond = rate ?? Double(film.count) / film.seconds
    storage = .animation(Animated(film, name: name, options: options))
  }

  private static func check(_ rate: Double) throws(VLMZError) {
    try VLMZError.require(
      rate > 0 && rate <= 1000, "frames per second", found: "\(rate)",
      expected: "more than 0, at most 1000")
  }

  /// Pixels of all frames together.
  package var pixelCount: Int {
    switch storage {
    case .frames(let frames):
      frames.reduce(0) { $0.addingReportingOverflow($1.width * $1.height).partialValue }
    case .animation(let film): film.pixels * frameCount
    }
  }

  /// A frame by its number from 0. They are fastest in their order.
  ///
  /// - Precondition: the film has it.
  package func frame(_ number: Int) throws(VLMZError) -> Image {
    switch storage {
    case .frames(let frames): frames[number]
    case .animation(let film): try film.frame(number)
    }
  }

  /// The frames that a model sees, by their numbers from 0.
  package func frames(_ sampling: FrameSampling) -> [Int] {
    sampling.frames(of: frameCount, rate: framesPerSecond)
  }

  /// What stands before a question about it, with a placeholder for each of the frames that are seen.
  package func series(_ frames: [Int]) -> String {
    VideoPrompt.series(frames, of: frameCount, rate: framesPerSecond)
  }
}

/// An animated GIF, each of whose frames is painted on what those before it left.
private final class Animated: @unchecked Sendable {
  let pixels: Int
  private let name: String
  private let options: Image.Options
  /// Before the first frame.
  private let start: GIFFilm
  private let lock = Lock()
  /// How far it is decoded, and the number of its next frame. Guarded by `lock`.
  private var state: (film: GIFFilm, next: Int)

  /// Pixels of a canvas that is kept until the next frame is wanted: of larger films, which may wait by
  /// the dozen, each frame is decoded from the first one on.
  private static let keptPixels = 4_000_000

  init(_ film: GIFFilm, name: String, options: Image.Options) {
    (start, self.name, self.options) = (film, name, options)
    pixels = film.width * film.height
    state = (film, 0)
  }

  func frame(_ number: Int) throws(VLMZError) -> Image {
    let picture = try VLMZError.wrapping {
      try lock.withLock { () throws -> VLMImages.Image? in
        if number < state.next { state = (start, 0) }
        defer { if pixels > Self.keptPixels || state.next == start.count { state = (start, 0) } }
        while let picture = try state.film.next() {
          state.next += 1
          if state.next > number { return picture }
        }
        return nil
      }
    }
    guard let picture else {
      throw VLMZError(
        .badData,
        "\(name.escapedForDisplay()): found no frame \(number), expected as many as it has")
    }
    return try Image(
      pixels: picture.pixels, width: picture.width, height: picture.height, format: .rgb8,
      name: name,
      options: options)
  }
}
