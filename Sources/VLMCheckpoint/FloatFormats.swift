/// Small float formats as 32-bit floats; every conversion is exact.
package enum FloatFormats {
  /// IEEE binary16.
  @inline(__always)
  package static func float16(_ bits: UInt16) -> Float {
    // As a float the shifted bits are 2^-112 times the value, subnormals too; the product is exact.
    let scaled = Float(bitPattern: UInt32(bits & 0x7fff) << 13) * 0x1p112
    // An exponent of all ones is an infinity or a NaN, whose payload stays.
    let special: UInt32 = bits & 0x7c00 == 0x7c00 ? 0x7f80_0000 : 0
    return Float(bitPattern: scaled.bitPattern | special | UInt32(bits & 0x8000) << 16)
  }

  /// The upper half of a binary32.
  @inline(__always)
  package static func bfloat16(_ bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

  /// OCP E5M2: the upper byte of a binary16.
  package static func float8e5m2(_ bits: UInt8) -> Float { float16(UInt16(bits) << 8) }

  /// OCP E4M3 ("fn"): exponent bias 7, no infinities, NaN where all seven low bits are ones.
  package static func float8e4m3(_ bits: UInt8) -> Float {
    let magnitude = bits & 0x7f
    if magnitude == 0x7f { return bits & 0x80 == 0 ? .nan : -.nan }
    // Shifted to a float's place, the bits are 2^-120 times the value.
    let value = Float(bitPattern: UInt32(magnitude) << 20) * 0x1p120
    return bits & 0x80 == 0 ? value : -value
  }

  /// OCP E8M0: the power of two 2^(bits - 127); 255 is NaN.
  package static func float8e8m0(_ bits: UInt8) -> Float {
    switch bits {
    case 0: 0x1p-127
    case 255: .nan
    default: Float(bitPattern: UInt32(bits) << 23)
    }
  }
}
