extension String {
  /// The string with control, bidirectional-override and line-separator characters written as
  /// `\u{…}`, and bytes of a file's name that are no UTF-8 as `\xE9`, cut to `limit` characters: fit
  /// to stand in a terminal line.
  package func escapedForDisplay(limit: Int = 200) -> String {
    var result = ""
    var count = 0
    for scalar in unicodeScalars {
      if count == limit { return result + "…" }
      count += 1
      if let byte = scalar.fileNameByte {
        result += "\\x" + String(byte, radix: 16, uppercase: true)
        continue
      }
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default:
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
