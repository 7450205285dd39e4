// Strings and numbers, byte by byte.

extension JSONScanner {
  /// Characters of a number that is no 64-bit integer. A double is exact in 767 digits.
  private static var longestNumber: Int { 1024 }

  /// The string whose opening quote is at `offset`.
  mutating func scanString() throws(JSONError) -> String {
    offset += 1
    let start = offset
    // A string without escapes is the bytes between its quotes.
    while offset < count {
      let byte = base[offset]
      if byte == UInt8(ascii: "\"") {
        let text = String(
          decoding: UnsafeBufferPointer(start: base + start, count: offset - start), as: UTF8.self)
        offset += 1
        return text
      }
      if byte == UInt8(ascii: "\\") { return try scanEscapedString(from: start) }
      try stepOverCharacter(byte)
    }
    throw unexpected("'\"' at the end of a string")
  }

  /// Goes on with a string whose first escape is at `offset`.
  private mutating func scanEscapedString(from start: Int) throws(JSONError) -> String {
    var bytes = Array(UnsafeBufferPointer(start: base + start, count: offset - start))
    while offset < count {
      let byte = base[offset]
      if byte == UInt8(ascii: "\"") {
        offset += 1
        return String(decoding: bytes, as: UTF8.self)
      }
      if byte == UInt8(ascii: "\\") {
        try scanEscape(into: &bytes)
      } else {
        let first = offset
        try stepOverCharacter(byte)
        for position in first..<offset { bytes.append(base[position]) }
      }
    }
    throw unexpected("'\"' at the end of a string")
  }

  /// Checks one unescaped character and steps over it. UTF-8 is well-formed as in the Unicode
  /// standard's table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
  private mutating func stepOverCharacter(_ byte: UInt8) throws(JSONError) {
    if byte < 0x80 {
      guard byte >= 0x20 else { throw JSONError(offset: offset, problem: .controlCharacter(byte)) }
      offset += 1
      return
    }
    let second: ClosedRange<UInt8>
    let length: Int
    switch byte {
    case 0xc2...0xdf: (second, length) = (0x80...0xbf, 2)
    case 0xe0: (second, length) = (0xa0...0xbf, 3)
    case 0xed: (second, length) = (0x80...0x9f, 3)
    case 0xe1...0xef: (second, length) = (0x80...0xbf, 3)
    case 0xf0: (second, length) = (0x90...0xbf, 4)
    case 0xf1...0xf3: (second, length) = (0x80...0xbf, 4)
    case 0xf4: (second, length) = (0x80...0x8f, 4)
    default: throw JSONError(offset: offset, problem: .invalidUTF8)
    }
    guard length <= count - offset, second.contains(base[offset + 1]) else {
      throw JSONError(offset: offset, problem: .invalidUTF8)
    }
    for position in offset + 2..<max(offset + length, offset + 2) {
      guard base[position] & 0xc0 == 0x80 else {
        throw JSONError(offset: offset, problem: .invalidUTF8)
      }
    }
    offset += length
  }

  private mutating func scanEscape(into bytes: inout [UInt8]) throws(JSONError) {
    let start = offset
    guard offset + 1 < count else {
      offset = count
      throw unexpected("the rest of an escape")
    }
    let letter = base[offset + 1]
    offset += 2
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(letter)
    case UInt8(ascii: "b"): bytes.append(0x08)
    case UInt8(ascii: "f"): bytes.append(0x0c)
    case UInt8(ascii: "n"): bytes.append(0x0a)
    case UInt8(ascii: "r"): bytes.append(0x0d)
    case UInt8(ascii: "t"): bytes.append(0x09)
    case UInt8(ascii: "u"): try scanUnicodeEscape(from: start, into: &bytes)
    default: throw JSONError(offset: start, problem: .invalidEscape)
    }
  }

  private mutating func scanUnicodeEscape(
    from start: Int, into bytes: inout [UInt8]
  ) throws(JSONError) {
    let unit = try scanHexUnit(from: start)
    var code = UInt32(unit)
    if unit & 0xf800 == 0xd800 {
      guard unit < 0xdc00, offset + 1 < count, base[offset] == UInt8(ascii: "\\"),
        base[offset + 1] == UInt8(ascii: "u")
      else { throw JSONError(offset: start, problem: .loneSurrogate(unit)) }
      offset += 2
      let low = try scanHexUnit(from: start)
      guard low & 0xfc00 == 0xdc00 else {
        throw JSONError(offset: start, problem: .loneSurrogate(unit))
      }
      code = 0x10000 + (UInt32(unit & 0x3ff) << 10 | UInt32(low & 0x3ff))
    }
    guard let scalar = Unicode.Scalar(code) else {
      throw JSONError(offset: start, problem: .loneSurrogate(unit))
    }
    bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
  }

  private mutating func scanHexUnit(from start: Int) throws(JSONError) -> UInt16 {
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard offset < count else { throw unexpected("four hexadecimal digits") }
      let digit: UInt8
      switch base[offset] {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = base[offset] - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = base[offset] - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = base[offset] - UInt8(ascii: "A") + 10
      default: throw JSONError(offset: start, problem: .invalidEscape)
      }
      unit = unit << 4 | UInt16(digit)
      offset += 1
    }
    return unit
  }

  /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
  mutating func scanNumber() throws(JSONError) -> JSONValue {
    let start = offset
    let isNegative = base[offset] == UInt8(ascii: "-")
    if isNegative { offset += 1 }
    guard isDigit(offset) else { throw JSONError(offset: start, problem: .invalidNumber) }
    var magnitude: UInt64 = 0
    var fits = true
    if base[offset] == UInt8(ascii: "0") {
      offset += 1
    } else {
      while isDigit(offset) {
        let (tens, overflow) = magnitude.multipliedReportingOverflow(by: 10)
        let digit = UInt64(base[offset] - UInt8(ascii: "0"))
        let (sum, carry) = tens.addingReportingOverflow(digit)
        if overflow || carry { fits = false }
        magnitude = sum
        offset += 1
      }
    }
    var isInteger = true
    if offset < count, base[offset] == UInt8(ascii: ".") {
      isInteger = false
      offset += 1
      try skipDigits(numberAt: start)
    }
    if offset < count, base[offset] | 0x20 == UInt8(ascii: "e") {
      isInteger = false
      offset += 1
      if offset < count, base[offset] == UInt8(ascii: "+") || base[offset] == UInt8(ascii: "-") {
        offset += 1
      }
      try skipDigits(numberAt: start)
    }
    if isDigit(offset) { throw JSONError(offset: start, problem: .invalidNumber) }
    if isInteger, fits, let value = Self.integer(magnitude, isNegative: isNegative) {
      return value
    }
    let length = offset - start
    let literal = String(
      decoding: UnsafeBufferPointer(start: base + start, count: min(length, Self.longestNumber)),
      as: UTF8.self)
    guard length <= Self.longestNumber, let value = Double(literal), value.isFinite else {
      throw JSONError(offset: start, problem: .numberOutOfRange(literal))
    }
    return .number(JSONNumber(value: value, literal: literal))
  }

  private mutating func skipDigits(numberAt start: Int) throws(JSONError) {
    guard isDigit(offset) else { throw JSONError(offset: start, problem: .invalidNumber) }
    while isDigit(offset) { offset += 1 }
  }

  private static func integer(_ magnitude: UInt64, isNegative: Bool) -> JSONValue? {
    if !isNegative {
      return Int64(exactly: magnitude).map { .integer($0) } ?? .unsigned(magnitude)
    }
    // A negative zero is a double: an integer has no sign to lose.
    if magnitude == 0 { return nil }
    if magnitude == Int64.min.magnitude { return .integer(.min) }
    return Int64(exactly: magnitude).map { .integer(-$0) }
  }
}
