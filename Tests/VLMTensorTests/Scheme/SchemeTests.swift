import CVLMKernels
import Testing

@testable import VLMTensor

@Suite("schemes")
struct SchemeTests {
  @Test("codes and names are those of formats/blocks.md, in its order")
  func list() {
    #expect(Scheme.allCases.map(\.code) == [1, 2, 3, 4, 5, 6, 7, 8])
    #expect(
      Scheme.allCases.map(\.name) == ["f32", "f16", "bf16", "q8", "q4", "q3", "q5", "q6"])
    #expect(Scheme.allCases.map(\.readVersion) == [1, 1, 1, 1, 1, 3, 3, 3])
    for scheme in Scheme.allCases {
      #expect(Scheme(code: scheme.code) == scheme)
      #expect(Scheme(name: scheme.name) == scheme)
      #expect(scheme.panels != nil || scheme.rowMajor != nil)
    }
    #expect(Scheme(code: 0) == nil && Scheme(code: 9) == nil)
    #expect(Scheme(name: "Q4") == nil && Scheme(name: "") == nil)
  }

  @Test("a type of numbers is stored by the scheme of its own")
  func stored() {
    #expect(Scheme(storing: .f32) == .f32)
    #expect(Scheme(storing: .f16) == .f16)
    #expect(Scheme(storing: .bf16) == .bf16)
    #expect(Scheme(storing: .i8) == nil)
    #expect(TensorFormat(scheme: .f32).holdsFloats)
    #expect(!TensorFormat(scheme: .f16).holdsFloats)
    #expect(!TensorFormat(scheme: .q8, layout: .panels).holdsFloats)
  }

  @Test("each scheme is bound to its own kernels")
  func kernels() throws {
    let set = KernelSet.best
    let table = set.table.pointee
    func address(_ kernel: ProductKernel.Multiply?) -> UnsafeRawPointer? {
      kernel.map { unsafeBitCast($0, to: UnsafeRawPointer.self) }
    }
    let expected: [(Scheme, ProductKernel.Multiply?, takesCodes: Bool)] = [
      (.f32, nil, false), (.f16, table.gemm_f32_f16, false), (.bf16, table.gemm_f32_bf16, false),
      (.q8, table.gemm_u8_q8, true), (.q4, table.gemm_u8_q4, true),
      (.q3, table.gemm_u8_q3, true), (.q5, table.gemm_u8_q5, true),
      (.q6, table.gemm_u8_q6, true),
    ]
    #expect(expected.map(\.0) == Scheme.allCases)
    for (scheme, multiply, takesCodes) in expected {
      let kernel = scheme.kernel(in: set)
      #expect(address(kernel.multiply) == address(multiply))
      #expect(kernel.takesCodes == takesCodes)
    }
  }

  @Test("those below 8 bits have q8 for what would lose too much, and only f32 loses nothing")
  func properties() {
    #expect(Scheme.allCases.map(\.fallback) == [nil, nil, nil, nil, .q8, .q8, .q8, .q8])
    #expect(Scheme.allCases.filter(\.isExact) == [.f32])
    #expect(Scheme.allCases.map(\.codeBits) == [32, 16, 16, 8, 4, 3, 5, 6])
    #expect(Scheme.allCases.map(\.bitsPerWeight) == [32, 16, 16, 8, 4.5, 3.5, 5.5, 6.5])
    #expect(Scheme.allCases.prefix(3).map(\.arithmetic) == [.f32, .f32, .bf16])
    #expect(Scheme.allCases.dropFirst(3).allSatisfy { $0.arithmetic == .int8 })
  }

  /// `rows` of a panel of random values, and the panel.
  private func panel(
    _ scheme: Scheme, rows: Int, inputs: Int
  ) throws -> (values: [Float], bytes: [UInt8]) {
    let values = Distribution.gaussian.values(rows * inputs, seed: 3)
    let bytes = try #require(encodePanel(values, rowCount: rows, inputs: inputs, scheme: scheme))
      .bytes
    return (decodePanel(bytes, rowCount: rows, inputs: inputs, scheme: scheme), bytes)
  }

  @Test("the parts of a panel make its values again", arguments: [(16, 64), (5, 33), (1, 7)])
  func parts(rows: Int, inputs: Int) throws {
    func part(_ scheme: Scheme, _ suffix: String, _ bytes: [UInt8]) throws -> [UInt8] {
      let part = try #require(scheme.panels?.parts.first { $0.suffix == suffix })
      let found = bytes.withUnsafeBytes { part.read($0, inputs, rows) }
      let width = part.width.map { $0(inputs) } ?? 1
      #expect(found.count == rows * width * part.type.bitCount / 8)
      return found
    }
    func scale(_ bytes: [UInt8], _ row: Int) -> Float {
      bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: row * 4, as: Float.self) }
    }
    let blocks = (inputs + 31) / 32
    var wrong = 0
    let q8 = try panel(.q8, rows: rows, inputs: inputs)
    let codes8 = try part(.q8, ".codes", q8.bytes)
    let scales8 = try part(.q8, ".scales", q8.bytes)
    for place in 0..<rows * inputs {
      let code = Float(Int8(bitPattern: codes8[place]))
      if scale(scales8, place / inputs) * code != q8.values[place] { wrong += 1 }
    }
    for scheme in [Scheme.q3, .q4, .q5, .q6] {
      let (values, bytes) = try panel(scheme, rows: rows, inputs: inputs)
      let (codes, scales) = (try part(scheme, ".codes", bytes), try part(scheme, ".scales", bytes))
      let steps = try part(scheme, ".steps", bytes)
      let offsets = try part(scheme, ".offsets", bytes)
      for place in 0..<rows * inputs {
        let group = place / inputs * blocks + place % inputs / 32
        let bracket = Int(steps[group]) * Int(codes[place]) + Int(Int8(bitPattern: offsets[group]))
        if scale(scales, place / inputs) * Float(bracket) != values[place] { wrong += 1 }
      }
      #expect(codes.allSatisfy { $0 < 1 << scheme.codeBits })
    }
    #expect(wrong == 0)
    #expect(Scheme.q8.panels?.parts.map(\.suffix) == [".codes", ".scales"])
    #expect(
      Scheme.q4.panels?.parts.map(\.suffix) == [".codes", ".steps", ".offsets", ".scales"])
    #expect(Scheme.f16.panels?.parts.isEmpty == true)
  }

  @Test("values are stored one by one at any alignment", arguments: [Scheme.f32, .f16, .bf16])
  func alignment(scheme: Scheme) throws {
    let coder = try #require(scheme.rowMajor)
    let values = Distribution.gaussian.values(2500, seed: 4)
    let byteCount = values.count * coder.elementByteCount
    var even = [UInt8](repeating: 0, count: byteCount)
    let error = coder.encode(values, count: values.count, into: &even)
    #expect(error.elementCount == values.count)
    var odd = [UInt8](repeating: 0, count: byteCount + 1)
    var back = [Float](repeating: 0, count: values.count)
    odd.withUnsafeMutableBytes { bytes in
      guard let start = bytes.baseAddress else { return }
      coder.convert(values, count: values.count, into: start + 1)
      coder.restore(start + 1, count: values.count, into: &back)
    }
    #expect(Array(odd.dropFirst()) == even)
    #expect(QuantizationError(values: values, decoded: back) == error)
  }
}
