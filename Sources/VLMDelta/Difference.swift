/// Differences of two pieces of equal size, in the order in which they compress best; the methods
/// `bytes`, `words16` and `words32` of `formats/vlmzd.md`.
///
/// Numbers that were rounded from nearly the same values differ little, where their own bits look
/// like noise. Of words, small differences of either sign have zeros in their upper bytes, which
/// stand apart from the lower ones.
enum Difference {
  /// What `apply` makes `target` from again.
  ///
  /// - Precondition: both have the same size, a multiple of `wordSize`, which is 1, 2 or 4.
  static func make(
    _ target: UnsafeRawBufferPointer, base: UnsafeRawBufferPointer, wordSize: Int
  ) -> [UInt8] {
    precondition(target.count == base.count && target.count % wordSize == 0, "of equal words")
    let count = target.count
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, made in
      let out = UnsafeMutableRawBufferPointer(buffer)
      switch wordSize {
      case 2:
        let words = count / 2
        for word in 0..<words {
          let code = encode(
            Int16(bitPattern: word16(target, word) &- word16(base, word)))
          out[word] = UInt8(truncatingIfNeeded: code)
          out[words + word] = UInt8(truncatingIfNeeded: code >> 8)
        }
      case 4:
        let words = count / 4
        for word in 0..<words {
          let code = encode(
            Int32(bitPattern: word32(target, word) &- word32(base, word)))
          out[word] = UInt8(truncatingIfNeeded: code)
          out[words + word] = UInt8(truncatingIfNeeded: code >> 8)
          out[2 * words + word] = UInt8(truncatingIfNeeded: code >> 16)
          out[3 * words + word] = UInt8(truncatingIfNeeded: code >> 24)
        }
      default:
        for index in 0..<count { out[index] = target[index] &- base[index] }
      }
      made = count
    }
  }

  /// The inverse of `make`.
  ///
  /// - Precondition: as for `make`.
  static func apply(
    _ difference: UnsafeRawBufferPointer, base: UnsafeRawBufferPointer, wordSize: Int
  ) -> [UInt8] {
    precondition(
      difference.count == base.count && difference.count % wordSize == 0, "of equal words")
    let count = difference.count
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, made in
      let out = UnsafeMutableRawBufferPointer(buffer)
      switch wordSize {
      case 2:
        let words = count / 2
        for word in 0..<words {
          let code = UInt16(difference[word]) | UInt16(difference[words + word]) << 8
          let value = word16(base, word) &+ UInt16(bitPattern: decode(code))
          out.storeBytes(of: value.littleEndian, toByteOffset: 2 * word, as: UInt16.self)
        }
      case 4:
        let words = count / 4
        for word in 0..<words {
          let low = UInt32(difference[word]) | UInt32(difference[words + word]) << 8
          let high =
            UInt32(difference[2 * words + word]) | UInt32(difference[3 * words + word]) << 8
          let value = word32(base, word) &+ UInt32(bitPattern: decode(low | high << 16))
          out.storeBytes(of: value.littleEndian, toByteOffset: 4 * word, as: UInt32.self)
        }
      default:
        for index in 0..<count { out[index] = difference[index] &+ base[index] }
      }
      made = count
    }
  }

  private static func word16(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> UInt16 {
    UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
  }

  private static func word32(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> UInt32 {
    UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self))
  }

  // 0, -1, 1, -2, 2 … are 0, 1, 2, 3, 4 …

  private static func encode(_ value: Int16) -> UInt16 {
    UInt16(bitPattern: value &<< 1 ^ value >> 15)
  }

  private static func encode(_ value: Int32) -> UInt32 {
    UInt32(bitPattern: value &<< 1 ^ value >> 31)
  }

  private static func decode(_ code: UInt16) -> Int16 {
    Int16(bitPattern: code >> 1) ^ -Int16(bitPattern: code & 1)
  }

  private static func decode(_ code: UInt32) -> Int32 {
    Int32(bitPattern: code >> 1) ^ -Int32(bitPattern: code & 1)
  }
}
