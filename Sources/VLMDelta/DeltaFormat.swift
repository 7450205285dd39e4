/// The constants of the delta format; `formats/vlmzd.md` is normative.
enum DeltaFormat {
  /// The version that this build reads and writes.
  static let version: UInt16 = 1

  /// `\x89VLMD\r\n\n`, built as the magic of a container is.
  static let magic: [UInt8] = [0x89, 0x56, 0x4c, 0x4d, 0x44, 0x0d, 0x0a, 0x0a]

  static let headerSize = 192
  static let hashedHeaderSize = 184
  static let entrySize = 56

  /// The most bytes that an operation makes, unless it copies: what a reader holds in memory.
  static let maximumPiece = 1 << 23
  /// The most bytes of the base that a frame refers to.
  static let maximumPrefix = 1 << 25

  // What this writer does; a reader does not rely on it.

  /// Bytes that an operation makes: several are worked on at a time.
  static let piece = 4 << 20
  /// Bytes of the base on either side of a piece's own place that a frame may refer to.
  static let margin = 2 << 20
  /// Everything in a container begins at a multiple of this, and is followed by zeros up to one.
  static let alignment = 64

  /// `count` rounded up to a multiple of the alignment.
  static func padded(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }
}
