extension String {
  /// As a word of a command that a person can paste.
  package var quotedForShell: String {
    let isPlain =
      !isEmpty
      && utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"):
          true
        default: "_-./:=@%+,~".utf8.contains(byte)
        }
      }
    if isPlain { return self }
    let isShown = escapedForDisplay(limit: .max).hasSameBytes(as: self)
    return isShown ? "'" + replacingQuotes("'\\''") + "'" : "$'" + escapedForShell + "'"
  }

  private func replacingQuotes(_ text: String) -> String {
    unicodeScalars.reduce(into: "") { $0 += $1 == "'" ? text : String($1) }
  }

  /// Between `$'` and `'`: what a terminal does not show as bytes.
  private var escapedForShell: String {
    unicodeScalars.reduce(into: "") { result, scalar in
      let shown = String(scalar)
      if scalar == "'" || scalar == "\\" {
        result += "\\" + shown
      } else if shown.escapedForDisplay().hasSameBytes(as: shown) {
        result += shown
      } else {
        for byte in shown.fileNameBytes {
          let digits = String(byte, radix: 16)
          result += "\\x" + (digits.count == 1 ? "0" : "") + digits
        }
      }
    }
  }
}
