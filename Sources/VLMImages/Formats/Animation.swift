/// Files of several pictures of which only the first is read.
package enum Animation {
  /// What such a file is called; nil for one of a single picture, and for a GIF, whose pictures
  /// `GIFFilm` reads.
  ///
  /// - Parameter head: bytes from the start of the file; a kilobyte tells of every file in the wild.
  package static func name(of head: [UInt8]) -> String? {
    if head.starts(with: Array("RIFF".utf8)), text(head, 8) == "WEBP" {
      // The extended header's flags; 2 is that of animations.
      return text(head, 12) == "VP8X" && head.count > 20 && head[20] & 2 != 0
        ? "an animated WebP" : nil
    }
    if head.starts(with: [0x89, 0x50, 0x4e, 0x47]) {
      return hasAnimationControl(head) ? "an animated PNG" : nil
    }
    return nil
  }

  /// What a file of several pictures is, of which one that asks for a picture gets the first; nil for
  /// others, and for a GIF that cannot be read.
  ///
  /// - Parameter limits: of the pictures of a GIF.
  package static func several(
    in file: UnsafeRawBufferPointer, limits: ImageLimits
  ) -> String? {
    if GIFFilm.isGIF(file.prefix(6)) {
      let film = try? GIFFilm(bytes: Array(file), name: "", limits: limits)
      return film.flatMap { $0.count > 1 ? "a GIF of \($0.count) pictures" : nil }
    }
    if let name = name(of: Array(file.prefix(1 << 12))) { return name }
    return isTIFFOfPages(file) ? "a TIFF of several pages" : nil
  }

  /// What a file is that is no GIF: an animation, a picture, or what it looks like.
  package static func kind(of bytes: [UInt8]) -> String {
    if let name = name(of: Array(bytes.prefix(1 << 12))) { return name }
    return bytes.withUnsafeBytes { bytes in
      do throws(ImageError) {
        return try ImageSignature.format(of: bytes, name: "").name
      } catch {
        if case .unrecognized(let kind?) = error.problem { return kind }
        return bytes.isEmpty ? "an empty file" : "no film"
      }
    }
  }

  /// Whether a file is a TIFF whose second directory is a page too, and no small copy of the first.
  package static func isTIFFOfPages(_ file: some RandomAccessCollection<UInt8>) -> Bool {
    let isLittle = file.starts(with: [0x49, 0x49])
    // 43 is that of BigTIFF, whose numbers are wider.
    let marks: [(mark: [UInt8], isBig: Bool)] = [
      ([0x49, 0x49, 42, 0], false), ([0x4d, 0x4d, 0, 42], false), ([0x49, 0x49, 43, 0], true),
      ([0x4d, 0x4d, 0, 43], true),
    ]
    guard let isBig = marks.first(where: { file.starts(with: $0.mark) })?.isBig else {
      return false
    }
    let (counts, offsets, entryBytes) = isBig ? (8, 8, 20) : (2, 4, 12)
    func number(_ place: Int, _ count: Int) -> Int? {
      guard place >= 0, place <= file.count - count else { return nil }
      let bytes = file.dropFirst(place).prefix(count)
      let value = (isLittle ? Array(bytes.reversed()) : Array(bytes)).reduce(UInt64(0)) {
        $0 << 8 | UInt64($1)
      }
      // No place in a file; nothing below overflows.
      return value > UInt64(UInt32.max) ? nil : Int(value)
    }
    guard let first = number(isBig ? 8 : 4, offsets), let entries = number(first, counts),
      let second = number(first + counts + entries * entryBytes, offsets), second > 0,
      let count = number(second, counts), count > 0
    else { return false }
    for index in 0..<count {
      let entry = second + counts + index * entryBytes
      guard let tag = number(entry, 2) else { return false }
      // NewSubfileType, whose first bit says that it is a smaller copy.
      guard tag == 254 else { continue }
      return number(entry + 4 + offsets, 4).map { $0 & 1 == 0 } ?? false
    }
    return true
  }

  /// Whether a PNG has the chunk `acTL`, which stands before its picture.
  private static func hasAnimationControl(_ head: [UInt8]) -> Bool {
    var place = 8
    while place + 8 <= head.count {
      switch text(head, place + 4) {
      case "acTL": return true
      case "IDAT": return false
      default: break
      }
      let length = head[place..<place + 4].reduce(0) { $0 << 8 | Int($1) }
      place += 12 + length
    }
    return false
  }

  private static func text(_ bytes: [UInt8], _ place: Int) -> String? {
    guard place + 4 <= bytes.count else { return nil }
    return String(decoding: bytes[place..<place + 4], as: UTF8.self)
  }
}
