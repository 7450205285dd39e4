import CCodecs

/// DEFLATE decompression and CRC-32, as zip archives use them.
enum Inflater {
  /// Decompresses `bytes` to exactly `count` bytes; nil if they are damaged or decompress to
  /// another size. Never produces more than `count` bytes.
  static func inflate(_ bytes: UnsafeRawBufferPointer, count: Int) -> [UInt8]? {
    var isWhole = false
    let result = [UInt8](unsafeUninitializedCapacity: max(1, count)) { output, initialized in
      isWhole = run(bytes, into: output, count: count)
      initialized = isWhole ? count : 0
    }
    return isWhole ? result : nil
  }

  private static func run(
    _ bytes: UnsafeRawBufferPointer, into output: UnsafeMutableBufferPointer<UInt8>, count: Int
  ) -> Bool {
    var stream = z_stream()
    guard vlm_inflate_raw_begin(&stream) == Z_OK else { return false }
    defer { inflateEnd(&stream) }
    guard let source = bytes.baseAddress, let target = output.baseAddress else { return false }
    var (consumed, produced) = (0, 0)
    // zlib's counters have 32 bits.
    let piece = 1 << 30
    while true {
      let (input, room) = (min(piece, bytes.count - consumed), min(piece, count - produced))
      stream.next_in = UnsafeMutablePointer(
        mutating: (source + consumed).assumingMemoryBound(to: UInt8.self))
      stream.avail_in = UInt32(input)
      stream.next_out = target + produced
      stream.avail_out = UInt32(room)
      let status = CCodecs.inflate(&stream, Z_NO_FLUSH)
      let (taken, made) = (input - Int(stream.avail_in), room - Int(stream.avail_out))
      consumed += taken
      produced += made
      if status == Z_STREAM_END { return produced == count && consumed == bytes.count }
      guard status == Z_OK, taken + made > 0 else { return false }
    }
  }

  static func crc32(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    guard let base = bytes.baseAddress else { return 0 }
    return UInt32(
      truncatingIfNeeded: crc32_z(0, base.assumingMemoryBound(to: UInt8.self), bytes.count))
  }
}
