/// Character properties of a code point, as in Python's `str` methods.
enum JinjaScalar {
  static func isDigit(_ scalar: UInt32) -> Bool { scalar >= 0x30 && scalar <= 0x39 }

  /// The value 0...35 of an ASCII digit or letter.
  static func digitValue(_ scalar: UInt32) -> Int? {
    switch scalar {
    case 0x30...0x39: Int(scalar) - 0x30
    case 0x41...0x5a: Int(scalar) - 0x41 + 10
    case 0x61...0x7a: Int(scalar) - 0x61 + 10
    default: nil
    }
  }

  static func isSpace(_ scalar: UInt32) -> Bool {
    switch scalar & JinjaString.valueMask {
    case 0x09...0x0d, 0x1c...0x20, 0x85, 0xa0, 0x1680, 0x2000...0x200a, 0x2028, 0x2029, 0x202f,
      0x205f, 0x3000:
      true
    default: false
    }
  }

  static func isLineEnd(_ scalar: UInt32) -> Bool {
    switch scalar & JinjaString.valueMask {
    case 0x0a...0x0d, 0x1c...0x1e, 0x85, 0x2028, 0x2029: true
    default: false
    }
  }

  static func properties(_ scalar: UInt32) -> Unicode.Scalar.Properties? {
    Unicode.Scalar(scalar & JinjaString.valueMask)?.properties
  }

  static func isAlpha(_ scalar: UInt32) -> Bool {
    switch properties(scalar)?.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
    default: false
    }
  }

  static func isNumeric(_ scalar: UInt32) -> Bool { properties(scalar)?.numericType != nil }

  static func isAlphanumeric(_ scalar: UInt32) -> Bool { isAlpha(scalar) || isNumeric(scalar) }

  /// Whether it matches `\w`.
  static func isWord(_ scalar: UInt32) -> Bool {
    let value = scalar & JinjaString.valueMask
    if value < 0x80 { return digitValue(value) != nil || value == 0x5f }
    return isAlphanumeric(scalar)
  }

  static func isLower(_ scalar: UInt32) -> Bool { properties(scalar)?.isLowercase ?? false }
  static func isUpper(_ scalar: UInt32) -> Bool { properties(scalar)?.isUppercase ?? false }

  static func isTitle(_ scalar: UInt32) -> Bool {
    properties(scalar)?.generalCategory == .titlecaseLetter
  }

  static func isCased(_ scalar: UInt32) -> Bool {
    isLower(scalar) || isUpper(scalar) || isTitle(scalar)
  }

  static func isPrintable(_ scalar: UInt32) -> Bool {
    if scalar & JinjaString.valueMask == 0x20 { return true }
    switch properties(scalar)?.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator,
      .paragraphSeparator, .spaceSeparator, nil:
      return false
    default: return true
    }
  }

  enum Mapping { case lower, upper, title }

  /// A case mapping; each resulting scalar keeps the origin mark.
  static func append(_ scalar: UInt32, as mapping: Mapping, to scalars: inout [UInt32]) {
    let mark = scalar & JinjaString.userMark
    let value = scalar & JinjaString.valueMask
    if value < 0x80 {
      switch (mapping, value) {
      case (.lower, 0x41...0x5a): scalars.append(scalar + 0x20)
      case (.upper, 0x61...0x7a), (.title, 0x61...0x7a): scalars.append(scalar - 0x20)
      default: scalars.append(scalar)
      }
      return
    }
    guard let properties = properties(scalar) else { return scalars.append(scalar) }
    let mapped =
      switch mapping {
      case .lower: properties.lowercaseMapping
      case .upper: properties.uppercaseMapping
      case .title: properties.titlecaseMapping
      }
    for part in mapped.unicodeScalars { scalars.append(part.value | mark) }
  }
}
