import CVLMSystem
import Testing
import VLMContainer

@Suite("Checksums")
struct HashingTests {
  private func pattern(_ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 3) }
  }

  @Test("XXH64 gives the published values")
  func xxh64Vectors() {
    #expect(XXH64.hash([]) == 0xef46_db37_51d8_e999)
    #expect(XXH64.hash(Array("abc".utf8)) == 0x44bc_2cf5_ad77_0999)
    #expect(
      XXH64.hash(Array("Nobody inspects the spammish repetition".utf8)) == 0xfbce_a83c_8a37_8bf1)
  }

  @Test("XXH64 does not depend on how the bytes are cut", arguments: [0, 1, 31, 32, 33, 64, 1000])
  func xxh64Pieces(count: Int) {
    let bytes = pattern(count)
    let whole = XXH64.hash(bytes)
    for piece in [1, 3, 31, 32, 33, 100] {
      var hash = XXH64()
      for start in stride(from: 0, to: count, by: piece) {
        bytes[start..<min(start + piece, count)].withUnsafeBytes { hash.update($0) }
      }
      #expect(hash.digest == whole)
    }
  }

  @Test("SHA-256 gives the values of FIPS 180-4")
  func sha256Vectors() {
    #expect(
      hexadecimal(SHA256.hash([]))
        == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(
      hexadecimal(SHA256.hash(Array("abc".utf8)))
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      hexadecimal(
        SHA256.hash(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8)))
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    #expect(
      hexadecimal(SHA256.hash([UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)))
        == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test("SHA-256 does not depend on how the bytes are cut", arguments: [55, 56, 63, 64, 65, 5000])
  func sha256Pieces(count: Int) {
    let bytes = pattern(count)
    var hash = SHA256()
    for start in stride(from: 0, to: count, by: 37) {
      bytes[start..<min(start + 37, count)].withUnsafeBytes { hash.update($0) }
    }
    #expect(hash.digest == SHA256.hash(bytes))
  }

  @Test(
    "the processor's SHA-256 agrees with the portable one",
    .enabled(if: vlm_sha256_has_extensions(), "no SHA extensions here"))
  func sha256Extensions() {
    let bytes = pattern(64 * 33)
    for count in [0, 1, 2, 33] {
      var portable = (0..<8).map { UInt32($0 * 0x1234_5677) }
      var fast = portable
      vlm_sha256_blocks_portable(&portable, bytes, count)
      vlm_sha256_blocks_extensions(&fast, bytes, count)
      #expect(portable == fast)
    }
  }

  @Test("bytes are zero only when all are")
  func isZero() {
    for count in [0, 1, 7, 8, 9, 100] {
      var bytes = [UInt8](repeating: 0, count: count)
      #expect(vlm_is_zero(bytes, count))
      for at in 0..<count {
        bytes[at] = 0x80
        #expect(!vlm_is_zero(bytes, count))
        bytes[at] = 0
      }
    }
  }
}
