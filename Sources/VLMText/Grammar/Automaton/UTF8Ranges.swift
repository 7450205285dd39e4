/// The UTF-8 of ranges of scalars, as sequences of ranges of bytes.
///
/// A range is cut where the length of the encoding changes, and then where a leading byte stands
/// before part of the continuation bytes only (Russ Cox, "Regular expression matching in the wild",
/// 2010).
enum UTF8Ranges {
  /// Calls `body` with one range for each byte of the encoding.
  static func forEach(_ set: ScalarSet, _ body: ([ClosedRange<UInt8>]) -> Void) {
    for range in set.ranges {
      for (low, high) in [
        (UInt32(0), UInt32(0x7f)), (0x80, 0x7ff), (0x800, 0xffff), (0x10000, 0x10ffff),
      ]
      where low <= range.upperBound && high >= range.lowerBound {
        split(max(low, range.lowerBound), min(high, range.upperBound), body)
      }
    }
  }

  /// Scalars whose encodings have the same length.
  private static func split(
    _ low: UInt32, _ high: UInt32, _ body: ([ClosedRange<UInt8>]) -> Void
  ) {
    // Continuation bytes that run through all their values only in part of the range.
    for shift in [UInt32(6), 12, 18] {
      let mask = (UInt32(1) << shift) - 1
      guard low & ~mask != high & ~mask else { continue }
      if low & mask != 0 {
        split(low, low | mask, body)
        return split((low | mask) + 1, high, body)
      }
      if high & mask != mask {
        split(low, (high & ~mask) - 1, body)
        return split(high & ~mask, high, body)
      }
    }
    body(zip(bytes(low), bytes(high)).map { $0...$1 })
  }

  private static func bytes(_ value: UInt32) -> [UInt8] {
    func tail(_ shift: UInt32) -> UInt8 { UInt8(0x80 | (value >> shift) & 0x3f) }
    switch value {
    case ..<0x80: return [UInt8(value)]
    case ..<0x800: return [UInt8(0xc0 | value >> 6), tail(0)]
    case ..<0x10000: return [UInt8(0xe0 | value >> 12), tail(6), tail(0)]
    default: return [UInt8(0xf0 | value >> 18), tail(12), tail(6), tail(0)]
    }
  }
}
