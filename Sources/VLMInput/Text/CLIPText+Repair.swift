/// What CLIP's tokenizer repairs in a text, as far as `CLIPText.cleaned` says.
extension CLIPText {
  /// `text` with what was mistyped, or made for another medium, as plain characters.
  static func repaired(_ text: String) -> String {
    guard !text.utf8.allSatisfy({ (0x20..<0x7f).contains($0) }) else { return text }
    var result = String.UnicodeScalarView()
    for scalar in composed(withoutColours(text)).unicodeScalars {
      switch scalar.value {
      case 0x00...0x08, 0x0b, 0x0e...0x1f, 0x7f, 0x206a...0x206f, 0xfeff, 0xfff9...0xfffc:
        continue
      case 0x02bc, 0x2018...0x201b: result.append("'")
      case 0x201c...0x201f: result.append("\"")
      case 0x3000: result.append(" ")
      case 0xff01...0xff5e: result.append(Unicode.Scalar(UInt8(scalar.value - 0xff01 + 0x21)))
      default: result.append(contentsOf: (ligatures[scalar] ?? String(scalar)).unicodeScalars)
      }
    }
    return String(result)
  }

  /// Without a terminal's sequences: ESC, bracket, digits and semicolons, a letter.
  private static func withoutColours(_ text: String) -> String {
    guard text.utf8.contains(0x1b) else { return text }
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var at = 0
    while at < bytes.count {
      var end = at + 2
      if bytes[at] == 0x1b, end < bytes.count, bytes[at + 1] == UInt8(ascii: "[") {
        while end < bytes.count, (0x30...0x39).contains(bytes[end]) || bytes[end] == 0x3b {
          end += 1
        }
        let isLetter = end < bytes.count && (0x41...0x5a).contains(bytes[end] & 0xdf)
        if isLetter {
          at = end + 1
          continue
        }
      }
      result.append(bytes[at])
      at += 1
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// With a letter and its marks as one scalar, where there is one for both, and that the usual one:
  /// Unicode's form C, as far as Latin, Greek, Cyrillic, kana and Hangul go.
  private static func composed(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 >= 0x80 }) else { return text }
    var result = String.UnicodeScalarView()
    for character in text {
      let scalars = Array(character.unicodeScalars)
      var count = scalars.count
      while count > 0 {
        var part = String.UnicodeScalarView()
        part.append(contentsOf: scalars[..<count])
        if let whole = precomposed[String(part)] {
          result.append(whole)
          break
        }
        count -= 1
      }
      result.append(contentsOf: scalars[count...])
    }
    return String(result)
  }

  /// Scalars by their text: strings are equal when they are canonically equivalent. Of several the
  /// first is the one that the form has.
  private static let precomposed: [String: Unicode.Scalar] = {
    let ranges: [ClosedRange<UInt32>] = [
      0xc0...0x24f, 0x386...0x4ff, 0x1e00...0x1fff, 0x3040...0x30ff, 0xac00...0xd7a3,
    ]
    var result: [String: Unicode.Scalar] = [:]
    for value in ranges.joined() {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let text = String(scalar)
      if result[text] == nil { result[text] = scalar }
    }
    return result
  }()

  private static let ligatures: [Unicode.Scalar: String] = [
    "\u{0132}": "IJ", "\u{0133}": "ij", "\u{0149}": "'n", "\u{01c4}": "D\u{017d}",
    "\u{01c5}": "D\u{017e}", "\u{01c6}": "d\u{017e}", "\u{01c7}": "LJ", "\u{01c8}": "Lj",
    "\u{01c9}": "lj", "\u{01ca}": "NJ", "\u{01cb}": "Nj", "\u{01cc}": "nj", "\u{01f1}": "DZ",
    "\u{01f2}": "Dz", "\u{01f3}": "dz", "\u{fb00}": "ff", "\u{fb01}": "fi", "\u{fb02}": "fl",
    "\u{fb03}": "ffi", "\u{fb04}": "ffl", "\u{fb05}": "\u{017f}t", "\u{fb06}": "st",
  ]
}
