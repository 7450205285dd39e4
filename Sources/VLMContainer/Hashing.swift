import CVLMSystem

/// Incremental XXH64 with seed 0, the checksum algorithm of containers.
package struct XXH64: Sendable {
  private var state = vlm_xxh64()

  package init() { vlm_xxh64_begin(&state) }

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    vlm_xxh64_update(&state, bytes.baseAddress, bytes.count)
  }

  /// The hash of the bytes so far; more may follow.
  package var digest: UInt64 {
    var copy = state
    return vlm_xxh64_digest(&copy)
  }

  package static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash = XXH64()
    hash.update(bytes)
    return hash.digest
  }

  package static func hash(_ bytes: [UInt8]) -> UInt64 { bytes.withUnsafeBytes { hash($0) } }
}

/// Incremental SHA-256: the root hash of a container, and the hashes of source files in its
/// provenance.
package struct SHA256: Sendable {
  private var state = vlm_sha256()

  package init() { vlm_sha256_begin(&state) }

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    vlm_sha256_update(&state, bytes.baseAddress, bytes.count)
  }

  /// The 32-byte hash of the bytes so far; more may follow.
  package var digest: [UInt8] {
    var copy = state
    var digest = [UInt8](repeating: 0, count: 32)
    vlm_sha256_digest(&copy, &digest)
    return digest
  }

  package static func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var hash = SHA256()
    hash.update(bytes)
    return hash.digest
  }

  package static func hash(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { hash($0) } }
}

/// Lower-case hexadecimal.
package func hexadecimal(_ bytes: [UInt8]) -> String {
  let digits = Array("0123456789abcdef".utf8)
  var text: [UInt8] = []
  for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
  return String(decoding: text, as: UTF8.self)
}

/// Sixteen lower-case hexadecimal digits.
package func hexadecimal(_ value: UInt64) -> String {
  let text = String(value, radix: 16)
  return String(repeating: "0", count: 16 - text.count) + text
}

/// Whether every byte is zero.
package func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
  vlm_is_zero(bytes.baseAddress, bytes.count)
}
