/// Bytes as text: RFC 4648, with padding and without line breaks.
package enum Base64 {
  private static let digits = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  package static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let count = min(3, bytes.count - start)
      var bits = 0
      for index in 0..<3 { bits = bits << 8 | (index < count ? Int(bytes[start + index]) : 0) }
      for index in 0..<4 {
        text.append(index <= count ? digits[bits >> (18 - 6 * index) & 63] : UInt8(ascii: "="))
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// - Returns: nil for text that `encode` does not write.
  package static func decode(_ text: String) -> [UInt8]? {
    var values = [UInt8](repeating: 0xff, count: 256)
    for (value, digit) in digits.enumerated() { values[Int(digit)] = UInt8(value) }
    let characters = Array(text.utf8)
    guard characters.count % 4 == 0 else { return nil }
    let padding = characters.suffix(2).count { $0 == UInt8(ascii: "=") }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(characters.count / 4 * 3)
    var (bits, bitCount) = (0, 0)
    for character in characters.dropLast(padding) {
      let value = values[Int(character)]
      guard value != 0xff else { return nil }
      (bits, bitCount) = (bits << 6 | Int(value), bitCount + 6)
      guard bitCount >= 8 else { continue }
      bitCount -= 8
      bytes.append(UInt8(bits >> bitCount))
      bits &= 1 << bitCount - 1
    }
    // What padding cuts off is 0.
    return bits == 0 && bitCount == padding * 2 ? bytes : nil
  }
}

extension StaticString {
  /// The bytes that this says in base64; line breaks between its digits are nothing.
  ///
  /// - Precondition: it is what `Base64.encode` writes but for them.
  package func base64Bytes() -> [UInt8] {
    let digits = withUTF8Buffer { $0.filter { $0 != UInt8(ascii: "\n") } }
    guard let bytes = Base64.decode(String(decoding: digits, as: UTF8.self)) else {
      preconditionFailure("base64")
    }
    return bytes
  }
}
