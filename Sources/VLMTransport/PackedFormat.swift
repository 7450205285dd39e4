/// The constants of the packed form; `formats/vlmzp.md` is normative.
package enum PackedFormat {
  /// The highest `Read_Version` that this build reads.
  package static let version = 1

  /// `\x89VLZP\r\n\n`: as a container's, so that a transfer in text mode shows.
  package static let magic: [UInt8] = [0x89, 0x56, 0x4c, 0x5a, 0x50, 0x0d, 0x0a, 0x0a]

  static let headerSize = 128
  static let hashedHeaderSize = 120
  /// Bytes of a frame's own header, and of the record that ends a file.
  static let recordSize = 64
  static let hashedRecordSize = 56

  /// Bytes of the container that one frame has at most. A panel of q8 with 65,536 inputs takes a
  /// little more than 1 MiB.
  static let maximumFrameSize = 2 << 20
  /// Bytes that this writer puts into a frame, unless a single panel takes more.
  static let frameSize = 1 << 20

  /// Bytes of the container that must be in the first frame: its header.
  static let containerHeaderSize = 128
  /// Where a container's header states its size and its root hash.
  static let containerSizeOffset = 24
  static let containerRootRange = 48..<80
}
