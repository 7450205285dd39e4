import CCodecs
import VLMContainer

/// The zstd frames of a delta.
enum DeltaFrame {
  /// How a frame is sought.
  enum Coder {
    /// Bytes that look like noise but are not evenly distributed: Huffman codes, and no matches,
    /// which would cost more than they save.
    case literals
    /// To choose between methods.
    case quick
    case thorough
  }

  /// More bytes than these take zstd's best levels too long.
  private static let thoroughLimit = 6 << 20

  /// One frame with all of `bytes`, which may refer to `prefix`; the same for a given version of
  /// zstd. Nil if the library fails.
  static func compress(
    _ bytes: UnsafeRawBufferPointer, prefix: UnsafeRawBufferPointer, coder: Coder
  ) -> [UInt8]? {
    guard let context = ZSTD_createCCtx() else { return nil }
    defer { ZSTD_freeCCtx(context) }
    func set(_ parameter: ZSTD_cParameter, _ value: Int) {
      ZSTD_CCtx_setParameter(context, parameter, Int32(value))
    }
    switch coder {
    case .literals:
      set(ZSTD_c_compressionLevel, 1)
      set(ZSTD_c_strategy, Int(ZSTD_fast.rawValue))
      set(ZSTD_c_minMatch, 7)
      // How far the search steps on where nothing matches.
      set(ZSTD_c_targetLength, 1 << 17)
      // The mode of literals: compressed, in spite of that step. The library exports the parameter
      // by this name; one without it would only write more.
      set(ZSTD_c_experimentalParam5, 1)
    case .quick: set(ZSTD_c_compressionLevel, 3)
    case .thorough:
      set(ZSTD_c_compressionLevel, bytes.count + prefix.count <= thoroughLimit ? 19 : 12)
    }
    set(ZSTD_c_contentSizeFlag, 1)
    set(ZSTD_c_checksumFlag, 0)
    if !prefix.isEmpty {
      // So that all of it is within reach.
      let reach = Int.bitWidth - (bytes.count + prefix.count).leadingZeroBitCount
      set(ZSTD_c_windowLog, max(10, reach))
      set(ZSTD_c_enableLongDistanceMatching, 1)
      ZSTD_CCtx_refPrefix(context, prefix.baseAddress, prefix.count)
    }
    var failed = false
    let bound = ZSTD_compressBound(bytes.count)
    let frame = [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
      let size = ZSTD_compress2(
        context, buffer.baseAddress, bound, bytes.baseAddress, bytes.count)
      failed = ZSTD_isError(size) != 0
      count = failed ? 0 : size
    }
    return failed ? nil : frame
  }

  /// Why a frame cannot be used.
  enum Failure: Error, Equatable {
    case noMemory
    case broken(DeltaRule, String)
  }

  /// Checks what a frame says of itself [D16].
  static func check(_ frame: UnsafeRawBufferPointer, length: Int) throws(Failure) {
    do { try ZstdFrame.check(frame, rawSize: length) } catch {
      throw .broken(.d16, error.text)
    }
  }

  /// The `length` bytes of a frame that has been checked [D19].
  static func decompress(
    _ frame: UnsafeRawBufferPointer, prefix: UnsafeRawBufferPointer, length: Int
  ) throws(Failure) -> [UInt8] {
    guard let context = ZSTD_createDCtx() else { throw .noMemory }
    defer { ZSTD_freeDCtx(context) }
    if !prefix.isEmpty { ZSTD_DCtx_refPrefix(context, prefix.baseAddress, prefix.count) }
    var result = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
      result = ZSTD_decompressDCtx(
        context, buffer.baseAddress, length, frame.baseAddress, frame.count)
      count = ZSTD_isError(result) != 0 ? 0 : min(result, length)
    }
    guard ZSTD_isError(result) == 0 else {
      throw .broken(.d19, "zstd cannot decode it: \(String(cString: ZSTD_getErrorName(result)))")
    }
    guard bytes.count == length else {
      throw .broken(.d19, "decodes to \(bytes.count) bytes, expected \(length)")
    }
    return bytes
  }
}
