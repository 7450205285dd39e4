@testable import VLMImages

/// Composes valid and invalid PNG files.
struct PNGBuilder {
  static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  var bytes = Self.signature

  static func word(_ value: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
  }

  mutating func add(_ type: String, _ data: [UInt8] = [], length: UInt32? = nil, crc: UInt32 = 0) {
    let body = Array(type.utf8) + data
    bytes += Self.word(length ?? UInt32(data.count)) + body
    bytes += Self.word(Self.crc32(body) ^ crc)
  }

  /// CRC-32 as in PNG and zlib, bit by bit.
  static func crc32(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
    return ~crc
  }

  static func header(
    _ width: UInt32, _ height: UInt32, depth: UInt8 = 8, color: UInt8 = 2, compression: UInt8 = 0,
    filter: UInt8 = 0, interlace: UInt8 = 0
  ) -> [UInt8] {
    word(width) + word(height) + [depth, color, compression, filter, interlace]
  }

  /// A zlib stream of stored blocks.
  static func zlib(_ data: [UInt8], adler change: UInt32 = 0) -> [UInt8] {
    var out: [UInt8] = [0x78, 0x01]
    var offset = 0
    repeat {
      let count = min(data.count - offset, 65_535)
      let isLast: UInt8 = offset + count == data.count ? 1 : 0
      let (low, high) = (UInt8(count & 255), UInt8(count >> 8))
      out += [isLast, low, high, ~low, ~high] + data[offset..<offset + count]
      offset += count
    } while offset < data.count
    var (a, b): (UInt32, UInt32) = (1, 0)
    for byte in data {
      a = (a + UInt32(byte)) % 65_521
      b = (b + a) % 65_521
    }
    return out + word((b << 16 | a) ^ change)
  }

  /// A whole file: IHDR, `before`, one IDAT of `rows` (filter bytes included), IEND.
  static func file(
    _ header: [UInt8], rows: [UInt8], before: [(String, [UInt8])] = [],
    after: [(String, [UInt8])] = []
  ) -> [UInt8] {
    var png = PNGBuilder()
    png.add("IHDR", header)
    for (type, data) in before { png.add(type, data) }
    png.add("IDAT", zlib(rows))
    for (type, data) in after { png.add(type, data) }
    png.add("IEND")
    return png.bytes
  }

  /// 2 by 2 RGB: red, green, blue, white.
  static let colorRows: [UInt8] = [0, 255, 0, 0, 0, 255, 0, 0, 0, 0, 255, 255, 255, 255]
  static let color = file(header(2, 2), rows: colorRows)
}
