import CCodecs

/// The zstd frame of a section: no dictionary, with content size, bounded window.
package enum ZstdFrame {
  private static let magic: UInt32 = 0xfd2f_b528

  /// Compresses `bytes` on one thread; deterministic for a given library version. Nil if the
  /// library fails.
  static func compress(_ bytes: [UInt8]) -> [UInt8]? {
    guard let context = ZSTD_createCCtx() else { return nil }
    defer { ZSTD_freeCCtx(context) }
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Format.zstdLevel)
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 1)
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 0)
    ZSTD_CCtx_setParameter(context, ZSTD_c_dictIDFlag, 0)
    ZSTD_CCtx_setParameter(
      context, ZSTD_c_windowLog, Int32(Format.maximumWindow.trailingZeroBitCount))
    var failed = false
    let bound = ZSTD_compressBound(bytes.count)
    let frame = [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
      let size = bytes.withUnsafeBytes {
        ZSTD_compress2(context, buffer.baseAddress, bound, $0.baseAddress, $0.count)
      }
      failed = ZSTD_isError(size) != 0
      count = failed ? 0 : size
    }
    return failed ? nil : frame
  }

  /// Decodes `frame`, which must be a single frame with exactly `rawSize` decoded bytes.
  ///
  /// Nothing is allocated before the frame's header has been checked against `rawSize`.
  static func decompress(
    _ frame: UnsafeRawBufferPointer, rawSize: Int
  ) throws(Failure) -> [UInt8] {
    try check(frame, rawSize: rawSize)
    guard let context = ZSTD_createDCtx() else { throw Failure(.r31, "no memory for zstd") }
    defer { ZSTD_freeDCtx(context) }
    ZSTD_DCtx_setParameter(
      context, ZSTD_d_windowLogMax, Int32(Format.maximumWindow.trailingZeroBitCount))
    var result = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: rawSize) { buffer, count in
      result = ZSTD_decompressDCtx(
        context, buffer.baseAddress, rawSize, frame.baseAddress, frame.count)
      count = ZSTD_isError(result) != 0 ? 0 : min(result, rawSize)
    }
    guard ZSTD_isError(result) == 0 else {
      throw Failure(.r31, "zstd cannot decode it: \(String(cString: ZSTD_getErrorName(result)))")
    }
    guard bytes.count == rawSize else {
      throw Failure(.r31, "decodes to \(bytes.count) bytes, expected \(rawSize)")
    }
    return bytes
  }

  /// The first rule that a frame breaks.
  package struct Failure: Error {
    package let rule: Rule
    package let text: String
    init(_ rule: Rule, _ text: String) {
      self.rule = rule
      self.text = text
    }
  }

  /// Validates the frame header (RFC 8878, section 3.1.1.1), and that there is one frame and nothing
  /// else [R26 to R30].
  package static func check(
    _ frame: UnsafeRawBufferPointer, rawSize: Int
  ) throws(Failure) {
    guard frame.count >= 5, frame.little(0, as: UInt32.self) == magic, frame[4] & 0x08 == 0 else {
      throw Failure(.r26, "is no standard zstd frame")
    }
    let descriptor = frame[4]
    let isSingleSegment = descriptor & 0x20 != 0
    let dictionarySize = [0, 1, 2, 4][Int(descriptor & 3)]
    let sizeSize = [isSingleSegment ? 1 : 0, 2, 4, 8][Int(descriptor >> 6)]
    var position = 5 + (isSingleSegment ? 0 : 1)
    guard frame.count >= position + dictionarySize + sizeSize else {
      throw Failure(.r26, "ends inside the zstd frame header")
    }
    guard dictionarySize == 0 else { throw Failure(.r29, "the zstd frame names a dictionary") }
    position += dictionarySize

    let content: UInt64
    switch sizeSize {
    case 0: throw Failure(.r27, "the zstd frame does not state its content size")
    case 1: content = UInt64(frame[position])
    case 2: content = UInt64(frame.little(position, as: UInt16.self)) + 256
    case 4: content = UInt64(frame.little(position, as: UInt32.self))
    default: content = frame.little(position)
    }
    guard content == UInt64(rawSize) else {
      throw Failure(.r27, "the zstd frame states \(content) bytes, expected \(rawSize)")
    }
    var window = content
    if !isSingleSegment {
      let base = UInt64(1) << (10 + UInt64(frame[5] >> 3))
      window = base + base / 8 * UInt64(frame[5] & 7)
    }
    guard window <= UInt64(Format.maximumWindow) else {
      throw Failure(
        .r28, "the zstd frame needs a window of \(window) bytes, at most \(Format.maximumWindow)")
    }
    let size = ZSTD_findFrameCompressedSize(frame.baseAddress, frame.count)
    guard ZSTD_isError(size) == 0, size == frame.count else {
      let found = ZSTD_isError(size) != 0 ? "does not end" : "ends after \(size) bytes"
      throw Failure(.r30, "the zstd frame \(found), expected \(frame.count)")
    }
  }
}
