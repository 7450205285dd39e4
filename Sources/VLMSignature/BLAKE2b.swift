import CVLMSignature
import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// BLAKE2b, the hash of RFC 7693 that minisign signs.
package enum BLAKE2b {
  /// Bytes of a digest that is signed.
  package static let digestByteCount = 64
  /// Bytes of a file that are hashed between two reports of progress.
  private static let piece = 4 << 20

  /// The digest of a whole file, 64 bytes.
  ///
  /// It is computed from the mapping, so whoever uses the same `MappedFile` afterwards uses what was
  /// hashed. Its pages leave this process's memory behind the hash, not the system's cache.
  ///
  /// - Parameter progress: called with the bytes done.
  /// - Throws: `SignatureError` where the file changed meanwhile, or libsodium cannot be used.
  package static func digest(
    of file: MappedFile, progress: ((Int) -> Void)? = nil
  ) throws(SignatureError) -> [UInt8] {
    defer { withExtendedLifetime(file) {} }
    guard let state = vlm_blake2b_create(digestByteCount) else {
      throw SignatureError(path: file.path, .unavailable)
    }
    var position = 0
    while position < file.count {
      let next = min(position + piece, file.count)
      file.advise(next..<min(file.count, next + 2 * piece), Int32(MADV_WILLNEED))
      let bytes = file.bytes(position..<next)
      vlm_blake2b_update(state, bytes.baseAddress, bytes.count)
      file.release(position..<next)
      position = next
      progress?(position)
    }
    var digest = [UInt8](repeating: 0, count: digestByteCount)
    vlm_blake2b_finish(state, &digest)
    do throws(FileError) { try file.checkUnchanged() } catch { throw SignatureError(error) }
    return digest
  }

  /// The digest of bytes in memory; nil where libsodium cannot be used.
  ///
  /// - Parameter count: 32 or 64.
  package static func digest(_ bytes: [UInt8], count: Int) -> [UInt8]? {
    guard let state = vlm_blake2b_create(count) else { return nil }
    vlm_blake2b_update(state, bytes, bytes.count)
    var digest = [UInt8](repeating: 0, count: count)
    vlm_blake2b_finish(state, &digest)
    return digest
  }
}
