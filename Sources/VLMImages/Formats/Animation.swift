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
