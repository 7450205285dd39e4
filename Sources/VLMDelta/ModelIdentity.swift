import VLMContainer
import VLMFoundation

/// What tells the bytes of one container from those of any other.
///
/// The root hash stands for the contents. The header's own hash covers the hashes of everything
/// that is stored, so that files that hold the same in other bytes differ in it.
package struct ModelIdentity: Sendable, Equatable {
  /// Bytes of the file.
  package let byteCount: Int
  /// XXH64 of the header, `Header_Hash` of `formats/vlmz.md`.
  package let headerHash: UInt64
  /// SHA-256, `Root_Hash` of the same; 32 bytes.
  package let rootHash: [UInt8]

  init(byteCount: Int, headerHash: UInt64, rootHash: [UInt8]) {
    self.byteCount = byteCount
    self.headerHash = headerHash
    self.rootHash = rootHash
  }

  package init(_ container: Container) {
    self.init(
      byteCount: container.file.count, headerHash: container.headerHash,
      rootHash: container.rootHash)
  }
}
