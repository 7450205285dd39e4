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
      for picture in pictures { try Self.checkFrame(picture, limits) }
      self = .pictures(Self.inOrderOfNumbers(pictures))
    }
  }

  /// Refuses a file that has more frames than the one that would be seen.
  private static func checkFrame(_ picture: PictureInput, _ limits: ImageLimits) throws {
    if let kind = SeveralPictures.kind(of: picture) {
      throw InputError(picture.place, .unreadFilm(kind))
    }
    let count = SeveralPictures.count(of: picture, limits)
    if count > 1 { throw InputError(picture.place, .filmAmongFrames(frames: count)) }
  }

  /// Files that came in the order of their names' bytes, as folders and shells have them, in that of the
  /// numbers in their names: 10.png is behind 9.png. Others stay in the order that was asked for.
  static func inOrderOfNumbers(_ pictures: [PictureInput]) -> [PictureInput] {
    let names = pictures.map { Array($0.name.utf8) }
    let isByBytes = zip(names, names.dropFirst()).allSatisfy { !$1.lexicographicallyPrecedes($0) }
    guard isByBytes else { return pictures }
    let order = pictures.indices.sorted { precedes(names[$0], names[$1]) ?? ($0 < $1) }
    return order.map { pictures[$0] }
  }

  /// Whether a name stands before another, runs of digits by their value; nil where they are alike.
  private static func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool? {
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    var (left, right) = (a[...], b[...])
    while let first = left.first, let second = right.first {
      if digits.contains(first), digits.contains(second) {
        let runs = (left.prefix { digits.contains($0) }, right.prefix { digits.contains($0) })
        let (x, y) = (runs.0.drop { $0 == 0x30 }, runs.1.drop { $0 == 0x30 })
        if x.count != y.count { return x.count < y.count }
        if !x.elementsEqual(y) { return x.lexicographicallyPrecedes(y) }
        (left, right) = (left.dropFirst(runs.0.count), right.dropFirst(runs.1.count))
        continue
      }
      if first != second { return first < second }
      (left, right) = (left.dropFirst(), right.dropFirst())
    }
    return left.count == right.count ? nil : left.count < right.count
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
        while number < frame, try film.next() != nil { number += 1 }
        guard let image = try film.next() else { return }
        number += 1
        try body(picture, image)
      }
    }
  }
}
