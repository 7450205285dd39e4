import VLMCommandLine
import VLMFoundation
import VLMImages

/// Files of several pictures, of which a model sees the first.
enum SeveralPictures {
  /// What a file of several pictures is, if not a GIF, such as "an animated WebP"; nil for others.
  static func kind(of picture: PictureInput) -> String? {
    withBytes(of: picture) { bytes in
      if let name = Animation.name(of: Array(bytes.prefix(1 << 12))) { return name }
      return Animation.isTIFFOfPages(bytes) ? "a TIFF of several pages" : nil
    }
  }

  /// Pictures of a GIF; 1 for other files, and for one that cannot be read.
  static func count(of picture: PictureInput, _ limits: ImageLimits) -> Int {
    withBytes(of: picture) { bytes -> Int? in
      guard bytes.count <= limits.maximumFileBytes, GIFFilm.isGIF(Array(bytes.prefix(6))) else {
        return nil
      }
      return try? GIFFilm(bytes: Array(bytes), name: picture.place, limits: limits).count
    } ?? 1
  }

  /// Says that a file has more pictures than the one that is seen.
  ///
  /// - Parameter hasFilms: whether the model could see them.
  static func note(_ picture: PictureInput, _ limits: ImageLimits, hasFilms: Bool) {
    let count = count(of: picture, limits)
    if count > 1 {
      Report.note(
        "vlm-run: \(picture.title): the first of \(count) pictures is seen"
          + (hasFilms ? "; --fps N asks about the film" : ""))
    } else if let kind = kind(of: picture) {
      Report.note("vlm-run: \(picture.title): found \(kind), whose first picture alone is seen")
    }
  }

  /// The bytes of a picture's file, mapped or as they came; nil for none.
  private static func withBytes<R>(
    of picture: PictureInput, _ body: (UnsafeRawBufferPointer) -> R?
  ) -> R? {
    switch picture.content {
    case .failure: return nil
    case .bytes(let bytes): return bytes.withUnsafeBytes { body($0) }
    case .file:
      guard let file = try? MappedFile(path: picture.name) else { return nil }
      return file.withBytes(0..<file.count) { body($0) }
    }
  }
}
