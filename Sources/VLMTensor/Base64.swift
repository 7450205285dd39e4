extension StaticString {
  /// The bytes that this says in base64; line breaks between its digits are nothing.
  package func base64Bytes() -> [UInt8] {
    var result: [UInt8] = []
    // Bytes come out of the bits as they fill up; never more than 8 + 5 are kept.
    var (bits, bitCount) = (UInt32(0), 0)
    withUTF8Buffer { text in
      result.reserveCapacity(text.count * 3 / 4)
      for character in text {
        guard let digit = Self.digit(character) else { continue }
        bits = bits << 6 | UInt32(digit)
        bitCount += 6
        guard bitCount >= 8 else { continue }
        bitCount -= 8
        result.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
      }
    }
    return result
  }

  private static func digit(_ character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
    case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
