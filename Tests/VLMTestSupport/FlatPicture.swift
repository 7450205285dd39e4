/// Large pictures of one colour in small files.
package enum FlatPicture {
  /// A JPEG of gray in three components, baseline or progressive.
  package static func jpeg(width: Int, height: Int, isProgressive: Bool = false) -> [UInt8] {
    func segment(_ marker: UInt8, _ data: [UInt8]) -> [UInt8] {
      let length = data.count + 2
      return [0xFF, marker, UInt8(length >> 8), UInt8(length & 255)] + data
    }
    func sides(_ value: Int) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }
    let frame: [UInt8] =
      [8] + sides(height) + sides(width) + [3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]
    // One code of one bit: no difference, and no coefficients.
    let codes: [UInt8] = [1] + [UInt8](repeating: 0, count: 15) + [0]
    let scan: [UInt8] = [3, 1, 0, 2, 0, 3, 0, 0, isProgressive ? 0 : 63, 0]
    let blocks = (width + 7) / 8 * ((height + 7) / 8) * 3
    let bits = blocks * (isProgressive ? 1 : 2)
    var file: [UInt8] = [0xFF, 0xD8]
    file += segment(0xDB, [0] + [UInt8](repeating: 1, count: 64))
    file += segment(isProgressive ? 0xC2 : 0xC0, frame)
    file += segment(0xC4, [0x00] + codes) + segment(0xC4, [0x10] + codes)
    file += segment(0xDA, scan)
    file += [UInt8](repeating: 0, count: (bits + 7) / 8)
    return file + [0xFF, 0xD9]
  }

  /// A zlib stream of so many zeros: one, and matches of 258 bytes behind it, in fixed codes.
  package static func zeros(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = [0x78, 0x01]
    var (buffer, filled) = (0, 0)
    func put(_ value: Int, _ bits: Int) {
      buffer |= value << filled
      filled += bits
      while filled >= 8 {
        bytes.append(UInt8(buffer & 255))
        buffer >>= 8
        filled -= 8
      }
    }
    // Codes have their first bit first.
    func literal() { put(0b0000_1100, 8) }
    put(1, 1)
    put(1, 2)
    literal()
    for _ in 0..<(count - 1) / 258 {
      put(0b1010_0011, 8)
      put(0, 5)
    }
    for _ in 0..<(count - 1) % 258 { literal() }
    put(0, 7)
    put(0, 7)
    let sum = count % 65_521
    return bytes + [UInt8(sum >> 8), UInt8(sum & 255), 0, 1]
  }
}
