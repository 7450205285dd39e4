/// The text repairs of CLIP's tokenizer that `CLIPText.cleaned` documents.
extension CLIPText {
  /// `text` with typographic and presentation characters replaced by plain ones.
  static func repaired(_ text: String) -> String {
    guard !text.utf8.allSatisfy({ (0x20..<0x7f).contains($0) }) else { return text }
    var result = String.UnicodeScalarView()
    let composed = CanonicalForm.composed(Array(withoutColours(text).utf8))
    for scalar in String(decoding: composed, as: UTF8.self).unicodeScalars {
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

  /// Removes terminal escape sequences: ESC, bracket, digits and semicolons, a letter.
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

  private static let ligatures: [Unicode.Scalar: String] = [
    "\u{0132}": "IJ", "\u{0133}": "ij", "\u{0149}": "'n", "\u{01c4}": "D\u{017d}",
    "\u{01c5}": "D\u{017e}", "\u{01c6}": "d\u{017e}", "\u{01c7}": "LJ", "\u{01c8}": "Lj",
    "\u{01c9}": "lj", "\u{01ca}": "NJ", "\u{01cb}": "Nj", "\u{01cc}": "nj", "\u{01f1}": "DZ",
    "\u{01f2}": "Dz", "\u{01f3}": "dz", "\u{fb00}": "ff", "\u{fb01}": "fi", "\u{fb02}": "fl",
    "\u{fb03}": "ffi", "\u{fb04}": "ffl", "\u{fb05}": "\u{017f}t", "\u{fb06}": "st",
  ]
}
