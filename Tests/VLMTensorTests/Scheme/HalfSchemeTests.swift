import Testing

@testable import VLMTensor

@Suite("values of 16 bits, one by one")
struct HalfSchemeTests {
  private func encode(_ values: [Float], _ scheme: Scheme) -> ([UInt16], QuantizationError) {
    var halves = [UInt16](repeating: 0xAAAA, count: values.count)
    let error = scheme.rowMajor!.encode(values, count: values.count, into: &halves)
    return (halves, error)
  }

  private func decode(_ halves: [UInt16], _ scheme: Scheme) -> [Float] {
    var values = [Float](repeating: 0, count: halves.count)
    scheme.rowMajor!.restore(halves, count: halves.count, into: &values)
    return values
  }

  /// The value of a binary16 from its definition.
  private func f16Value(_ bits: UInt16) -> Float {
    let sign: Float = bits & 0x8000 == 0 ? 1 : -1
    let exponent = Int(bits >> 10 & 31)
    let fraction = Float(bits & 1023)
    switch exponent {
    case 0: return sign * fraction * 0x1p-24
    case 31: return fraction == 0 ? sign * .infinity : .nan
    default:
      return sign * Float(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
    }
  }

  @Test("every one of the 65,536 f16 values decodes to its definition and encodes to itself")
  func allF16() {
    let halves = (0...UInt16.max).map { $0 }
    let values = decode(halves, .f16)
    let (back, error) = encode(values, .f16)
    var wrong: [UInt16] = []
    for (half, (value, again)) in zip(halves, zip(values, back)) {
      let expected = f16Value(half)
      if expected.isNaN {
        if !value.isNaN || value.isSignalingNaN || again != half | 0x200 { wrong.append(half) }
      } else if value.bitPattern != expected.bitPattern || again != half {
        wrong.append(half)
      }
    }
    #expect(wrong == [])
    #expect(error.sumSquaredError == 0)
    #expect(error.notFiniteCount == 2 * 1024)
    #expect(error.overflowCount == 0)
  }

  @Test("every one of the 65,536 bf16 values decodes to its upper half and encodes to itself")
  func allBF16() {
    let halves = (0...UInt16.max).map { $0 }
    let values = decode(halves, .bf16)
    let (back, _) = encode(values, .bf16)
    var wrong: [UInt16] = []
    for (half, (value, again)) in zip(halves, zip(values, back)) {
      let expected = Float(bitPattern: UInt32(half) << 16)
      if expected.isNaN {
        if !value.isNaN || again != half | 0x40 { wrong.append(half) }
      } else if value.bitPattern != expected.bitPattern || again != half {
        wrong.append(half)
      }
    }
    #expect(wrong == [])
  }

  @Test("values between two neighbours go to the nearer, and to the even one at the middle")
  func rounding() {
    for scheme in [Scheme.f16, .bf16] {
      let last: UInt16 = scheme == .f16 ? 0x7BFF : 0x7F7F
      let lower = (0..<last).map { $0 }
      let values = decode(lower, scheme)
      let upper = decode(lower.map { $0 + 1 }, scheme)
      // A middle has one bit more than a half and is exact in f32 but for the least bf16 values.
      let middle = zip(values, upper).map { Float((Double($0) + Double($1)) / 2) }
      let exact = zip(middle, zip(values, upper)).map {
        Double($0) * 2 == Double($1.0) + Double($1.1)
      }
      let atMiddle = encode(middle, scheme).0
      let below = encode(middle.map(\.nextDown), scheme).0
      let above = encode(middle.map(\.nextUp), scheme).0
      var wrong: [UInt16] = []
      for index in lower.indices where exact[index] {
        let half = lower[index]
        if atMiddle[index] != half + (half & 1) || below[index] != half || above[index] != half + 1
        {
          wrong.append(half)
        }
      }
      #expect(wrong == [])
      #expect(exact.filter { $0 }.count > 31_000)
    }
  }

  @Test("values past the range become infinite and are counted, with their neighbours kept")
  func overflow() {
    let (halves, error) = encode([65504, 65519.996, 65520, -65520, 1e30, .infinity, .nan], .f16)
    #expect(halves == [0x7BFF, 0x7BFF, 0x7C00, 0xFC00, 0x7C00, 0x7C00, 0x7E00])
    #expect(error.overflowCount == 3)
    #expect(error.notFiniteCount == 2)
    #expect(error.elementCount == 7)
    #expect(error.maxAbsError == Double(Float(65519.996)) - 65504)

    let (wide, wideError) = encode(
      [Float(bitPattern: 0x7F7F_7FFF), .greatestFiniteMagnitude], .bf16)
    #expect(wide == [0x7F7F, 0x7F80])
    #expect(wideError.overflowCount == 1)
  }

  @Test("NaN keeps its sign and the top of its payload and becomes quiet")
  func nan() {
    let signalling = [Float(bitPattern: 0x7F80_0001), Float(bitPattern: 0xFFAA_0000)]
    #expect(encode(signalling, .f16).0 == [0x7E00, 0xFF50])
    #expect(encode(signalling, .bf16).0 == [0x7FC0, 0xFFEA])
  }
}
