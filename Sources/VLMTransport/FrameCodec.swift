import CCodecs
import CVLMSystem
import VLMContainer
import VLMFoundation

/// Compresses and decodes frames, one at a time. Each thread has its own.
///
/// Memory: zstd's contexts (about 2 MB for the levels in use) and two frames.
final class FrameCodec {
  /// How hard to look for repeated bytes.
  enum Effort: Sendable {
    /// Weights hardly repeat: entropy coding is all that helps, and looking for matches costs its
    /// Huffman tables more than it gains.
    case literals
    /// Text and tables.
    case text
    /// Whatever is too long for the same.
    case fast
  }

  private var compressor: OpaquePointer?
  private var decompressor: OpaquePointer?
  private var scratch = SystemMemory.allocate(PackedFormat.frameSize)

  deinit {
    ZSTD_freeCCtx(compressor)
    ZSTD_freeDCtx(decompressor)
    scratch.deallocate()
  }

  private func scratch(_ count: Int) -> UnsafeMutableRawBufferPointer {
    if scratch.count < count {
      scratch.deallocate()
      scratch = SystemMemory.allocate(count)
    }
    return UnsafeMutableRawBufferPointer(rebasing: scratch[..<count])
  }

  // MARK: Compressing

  /// A frame's header and stored bytes; the same for the same bytes and version of zstd.
  func encode(
    _ raw: UnsafeRawBufferPointer, offset: Int, filter: ByteFilter, effort: Effort
  ) -> (header: FrameHeader, stored: [UInt8]) {
    let filter = Self.refined(filter, for: raw)
    let rawHash = XXH64.hash(raw)
    let filtered = scratch(raw.count)
    filter.apply(raw, to: filtered)
    let boundaries = filter.boundaries(byteCount: raw.count)
    if let stored = compress(UnsafeRawBufferPointer(filtered), boundaries, effort) {
      let header = FrameHeader(
        rawOffset: offset, rawSize: raw.count, storedSize: stored.count, codec: .zstd,
        filter: filter, rawHash: rawHash, storedHash: XXH64.hash(stored))
      return (header, stored)
    }
    let header = FrameHeader(
      rawOffset: offset, rawSize: raw.count, storedSize: raw.count, codec: .raw, filter: .none,
      rawHash: rawHash, storedHash: rawHash)
    return (header, Array(raw))
  }

  /// Numbers whose lowest bytes are all zero were of a narrower type: their signs stay where they
  /// are, so that those bytes cost nothing.
  private static func refined(_ filter: ByteFilter, for raw: UnsafeRawBufferPointer) -> ByteFilter {
    guard case .planes(let width, true) = filter,
      let bytes = raw.bindMemory(to: UInt8.self).baseAddress,
      vlm_lowest_bytes_are_zero(bytes, raw.count / width, Int32(width)) != 0
    else { return filter }
    return .planes(width: width, turned: false)
  }

  /// A stream of this many bytes gets blocks of its own, with their own Huffman table.
  private static let smallestStream = 2048

  /// One zstd frame of fewer bytes than `bytes`; nil when there is none.
  private func compress(
    _ bytes: UnsafeRawBufferPointer, _ boundaries: [Int], _ effort: Effort
  ) -> [UInt8]? {
    guard bytes.count > 1, let context = prepared(effort, byteCount: bytes.count) else {
      return nil
    }
    var failed = false
    let limit = bytes.count - 1
    let frame = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      var output = ZSTD_outBuffer(dst: buffer.baseAddress, size: limit, pos: 0)
      var input = ZSTD_inBuffer(src: bytes.baseAddress, size: 0, pos: 0)
      for end in boundaries + [bytes.count]
      where end - input.pos >= Self.smallestStream || end == bytes.count {
        input.size = end
        let mode = end == bytes.count ? ZSTD_e_end : ZSTD_e_flush
        let left = ZSTD_compressStream2(context, &output, &input, mode)
        // Something left: the output is full.
        if left != 0 {
          failed = true
          break
        }
      }
      count = failed ? 0 : output.pos
    }
    return failed ? nil : frame
  }

  private func prepared(_ effort: Effort, byteCount: Int) -> OpaquePointer? {
    if compressor == nil { compressor = ZSTD_createCCtx() }
    guard let context = compressor else { return nil }
    ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters)
    let settings: [(ZSTD_cParameter, Int32)] =
      switch effort {
      case .literals:
        [
          (ZSTD_c_compressionLevel, 1), (ZSTD_c_strategy, Int32(ZSTD_fast.rawValue)),
          // The fewest matches that can be asked for: seven equal bytes, found in 64 places.
          (ZSTD_c_minMatch, 7), (ZSTD_c_hashLog, 6), (ZSTD_c_windowLog, 20),
        ]
      case .text: [(ZSTD_c_compressionLevel, 19)]
      case .fast: [(ZSTD_c_compressionLevel, 3)]
      }
    for (parameter, value) in settings {
      ZSTD_CCtx_setParameter(context, parameter, value)
    }
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 1)
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 0)
    ZSTD_CCtx_setParameter(context, ZSTD_c_dictIDFlag, 0)
    ZSTD_CCtx_setPledgedSrcSize(context, UInt64(byteCount))
    return context
  }

  // MARK: Decoding

  /// Why a frame cannot be decoded.
  struct Failure: Error {
    let problem: TransportError.Problem
  }

  /// Decodes a frame whose header has been checked.
  ///
  /// - Parameter raw: `rawSize` bytes.
  func decode(
    _ header: FrameHeader, _ stored: UnsafeRawBufferPointer, into raw: UnsafeMutableRawBufferPointer
  ) throws(Failure) {
    precondition(stored.count == header.storedSize && raw.count == header.rawSize, "whole frames")
    let hash = XXH64.hash(stored)
    guard hash == header.storedHash else {
      throw Failure(problem: .hash(.p17, found: hash, expected: header.storedHash))
    }
    switch header.codec {
    case .raw: header.filter.undo(stored, to: raw)
    case .zstd:
      if header.filter == .none {
        try decompress(stored, into: raw)
      } else {
        let filtered = scratch(raw.count)
        try decompress(stored, into: filtered)
        header.filter.undo(UnsafeRawBufferPointer(filtered), to: raw)
      }
    }
    let rawHash = XXH64.hash(UnsafeRawBufferPointer(raw))
    guard rawHash == header.rawHash else {
      throw Failure(problem: .hash(.p19, found: rawHash, expected: header.rawHash))
    }
  }

  /// Decodes one zstd frame that fills `stored` and `target`.
  private func decompress(
    _ stored: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
  ) throws(Failure) {
    func fail(_ text: String) -> Failure { Failure(problem: .broken(.p18, text)) }
    let size = ZSTD_getFrameContentSize(stored.baseAddress, stored.count)
    guard size == UInt64(target.count) else {
      // The two highest values stand for "not stated" and "no frame".
      let found = size >= UInt64.max - 1 ? "states no size" : "states \(size) bytes"
      throw fail("the zstd frame \(found), expected \(target.count)")
    }
    guard ZSTD_getDictID_fromFrame(stored.baseAddress, stored.count) == 0 else {
      throw fail("the zstd frame names a dictionary")
    }
    let end = ZSTD_findFrameCompressedSize(stored.baseAddress, stored.count)
    guard ZSTD_isError(end) == 0, end == stored.count else {
      let found = ZSTD_isError(end) != 0 ? "does not end" : "ends after \(end) bytes"
      throw fail("the zstd frame \(found), expected \(stored.count)")
    }
    if decompressor == nil { decompressor = ZSTD_createDCtx() }
    guard let context = decompressor else { throw fail("no memory for zstd") }
    let count = ZSTD_decompressDCtx(
      context, target.baseAddress, target.count, stored.baseAddress, stored.count)
    guard ZSTD_isError(count) == 0, count == target.count else {
      let found =
        ZSTD_isError(count) != 0
        ? String(cString: ZSTD_getErrorName(count)) : "it decodes to \(count) bytes"
      throw fail("zstd cannot decode it: \(found), expected \(target.count) bytes")
    }
  }
}
