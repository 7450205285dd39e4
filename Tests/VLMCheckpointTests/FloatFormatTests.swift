import Testing
import VLMCheckpoint
import VLMTensor
import VLMTestSupport

/// The fast conversions, compared with slow ones that decode the fields of the format.
@Suite("Elements as floats")
struct FloatFormatTests {
  /// The value of a float with `exponentBits` and `mantissaBits` as in IEEE 754; `hasInfinity`
  /// states whether the maximum exponent is special.
  private func reference(
    _ bits: Int, exponentBits: Int, mantissaBits: Int, hasInfinity: Bool
  ) -> Float {
    let sign: Float = bits >> (exponentBits + mantissaBits) & 1 == 0 ? 1 : -1
    let exponent = bits >> mantissaBits & (1 << exponentBits - 1)
    let mantissa = bits & (1 << mantissaBits - 1)
    let bias = 1 << (exponentBits - 1) - 1
    if hasInfinity, exponent == 1 << exponentBits - 1 {
      return mantissa == 0 ? sign * .infinity : .nan
    }
    let fraction = Float(mantissa) / Float(1 << mantissaBits)
    return exponent == 0
      ? sign * fraction * Float(sign: .plus, exponent: 1 - bias, significand: 1)
      : sign * (1 + fraction) * Float(sign: .plus, exponent: exponent - bias, significand: 1)
  }

  private func isSame(_ a: Float, _ b: Float) -> Bool {
    a.isNaN ? b.isNaN : a.bitPattern == b.bitPattern
  }

  @Test("every half converts as its fields say")
  func float16() {
    let wrong = (0...Int(UInt16.max)).filter { bits in
      !isSame(
        FloatFormats.float16(UInt16(bits)),
        reference(bits, exponentBits: 5, mantissaBits: 10, hasInfinity: true))
    }
    #expect(wrong.isEmpty)
  }

  @Test("every bfloat16 converts as its fields say")
  func bfloat16() {
    let wrong = (0...Int(UInt16.max)).filter { bits in
      !isSame(
        FloatFormats.bfloat16(UInt16(bits)),
        reference(bits, exponentBits: 8, mantissaBits: 7, hasInfinity: true))
    }
    #expect(wrong.isEmpty)
  }

  @Test("every 8-bit float converts as its fields say")
  func float8() {
    for bits in 0...255 {
      let e5m2 = reference(bits, exponentBits: 5, mantissaBits: 2, hasInfinity: true)
      #expect(isSame(FloatFormats.float8e5m2(UInt8(bits)), e5m2))
      let e4m3 =
        bits & 0x7f == 0x7f
        ? Float.nan : reference(bits, exponentBits: 4, mantissaBits: 3, hasInfinity: false)
      #expect(isSame(FloatFormats.float8e4m3(UInt8(bits)), e4m3))
      let e8m0 =
        bits == 255 ? Float.nan : Float(sign: .plus, exponent: bits - 127, significand: 1)
      #expect(isSame(FloatFormats.float8e8m0(UInt8(bits)), e8m0))
    }
    #expect(FloatFormats.float8e4m3(0x7e) == 448)
  }

  private func read(_ dtype: DType, _ bytes: [UInt8], count: Int) throws -> [Float]? {
    let folder = try TemporaryFolder()
    let path = folder.path("t")
    try SafetensorsWriter.write(
      path: path, overwrite: false,
      tensors: [.init(name: "t", dtype: dtype, shape: [count], bytes: bytes)])
    return try SafetensorsFile.read(path: path)["t"]?.floats()
  }

  private func bytes<T: FixedWidthInteger>(_ values: [T]) -> [UInt8] {
    values.flatMap { value in withUnsafeBytes(of: value.littleEndian) { Array($0) } }
  }

  @Test("integers, booleans and doubles convert by value")
  func others() throws {
    #expect(try read(.i8, bytes([Int8.min, -1, 127]), count: 3) == [-128, -1, 127])
    #expect(try read(.u8, [0, 255], count: 2) == [0, 255])
    #expect(try read(.i16, bytes([Int16.min, 7]), count: 2) == [-32768, 7])
    #expect(try read(.u16, bytes([UInt16.max]), count: 1) == [65535])
    #expect(try read(.i32, bytes([Int32.min, 1 << 24 + 1]), count: 2) == [-0x1p31, 0x1p24])
    #expect(try read(.u32, bytes([UInt32.max]), count: 1) == [0x1p32])
    #expect(try read(.i64, bytes([Int64.min, 5]), count: 2) == [-0x1p63, 5])
    #expect(try read(.u64, bytes([UInt64.max]), count: 1) == [0x1p64])
    #expect(try read(.bool, [0, 1, 2], count: 3) == [0, 1, 1])
    let doubles = [0.1, -1e300, 1e-300].map(\.bitPattern)
    #expect(try read(.f64, bytes(doubles), count: 3) == [0.1, -.infinity, 0])
  }

  @Test("complex and sub-byte elements are refused as no floats")
  func unsupported() {
    for (dtype, bytes, count) in [(DType.c64, 8, 1), (.f4, 1, 2), (.f6e2m3, 3, 4)] {
      #expect(throws: CheckpointError.self) {
        try read(dtype, [UInt8](repeating: 0, count: bytes), count: count)
      }
    }
  }

  @Test("a range of elements is read without its neighbours")
  func ranges() throws {
    let folder = try TemporaryFolder()
    try SafetensorsWriter.write(
      path: folder.path("t"), overwrite: false,
      tensors: [
        .init(
          name: "t", dtype: .bf16, shape: [2, 3], bytes: bytes((0x3f80..<0x3f86).map(UInt16.init)))
      ])
    let tensor = try #require(try SafetensorsFile.read(path: folder.path("t"))["t"])
    var values = [Float](repeating: -1, count: 4)
    try values.withUnsafeMutableBufferPointer { buffer in
      try tensor.readFloats(2..<4, into: UnsafeMutableBufferPointer(rebasing: buffer[1..<3]))
    }
    #expect(values == [-1, FloatFormats.bfloat16(0x3f82), FloatFormats.bfloat16(0x3f83), -1])
  }
}
