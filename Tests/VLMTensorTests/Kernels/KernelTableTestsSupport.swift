import CVLMKernels
import Testing

/// The tables that this machine can run, by name.
enum KernelTables {
  static let all: [String] = (0..<VLM_ISA_COUNT.rawValue).compactMap { value in
    vlm_kernels_for(vlm_isa(rawValue: value)).map { String(cString: $0.pointee.name) }
  }
  static let vectorised = all.filter { $0 != "scalar" }

  static func named(_ name: String) throws -> vlm_kernels {
    for value in 0..<VLM_ISA_COUNT.rawValue {
      let isa = vlm_isa(rawValue: value)
      if String(cString: vlm_isa_name(isa)) == name {
        return try #require(vlm_kernels_for(isa)).pointee
      }
    }
    throw UnknownTable(name: name)
  }

  static func scalar() throws -> vlm_kernels { try named("scalar") }

  struct UnknownTable: Error {
    let name: String
  }
}

/// Memory of its own, 64-byte aligned, for the pointers of the C structures.
final class Block<Element> {
  let base: UnsafeMutablePointer<Element>
  let count: Int

  init(_ count: Int, _ value: Element) {
    let bytes = max(count, 1) * MemoryLayout<Element>.stride
    base = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
      .bindMemory(to: Element.self, capacity: count)
    base.initialize(repeating: value, count: count)
    self.count = count
  }

  convenience init(_ values: [Element], _ filler: Element) {
    self.init(values.count, filler)
    for (i, value) in values.enumerated() { base[i] = value }
  }

  deinit { base.deallocate() }

  var values: [Element] { Array(UnsafeBufferPointer(start: base, count: count)) }

  subscript(i: Int) -> Element {
    get { base[i] }
    set { base[i] = newValue }
  }
}

/// A small generator with a fixed seed, so that a failure comes back.
struct Generator: RandomNumberGenerator {
  var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state &* 0x2545_f491_4f6c_dd1d
  }

  mutating func floats(_ count: Int, _ range: ClosedRange<Float>) -> [Float] {
    (0..<count).map { _ in Float.random(in: range, using: &self) }
  }

  mutating func integers(_ count: Int, _ range: ClosedRange<Int>) -> [Int] {
    (0..<count).map { _ in Int.random(in: range, using: &self) }
  }
}

/// A matrix before and after packing: `values[n * inputs + k]` is what the panels stand for.
struct PackedMatrix {
  let outputs: Int
  let inputs: Int
  /// The integers of q3 to q8 (without the output's scale), or the values of f16 and bf16.
  let values: [Double]
  /// Per output; empty for f16 and bf16.
  let scales: [Float]
  let panels: Block<UInt8>
}

extension Block where Element == UInt8 {
  fileprivate func store<T>(_ value: T, at offset: Int) {
    UnsafeMutableRawPointer(base).storeBytes(of: value, toByteOffset: offset, as: T.self)
  }
}

/// Packers written from the layout's documentation, apart from those of the converter.
enum Packing {
  static func q8(outputs: Int, inputs: Int, codes: [Int], scales: [Float]) -> PackedMatrix {
    let panelBytes = (inputs + 31) / 32 * 512 + 128
    let panels = Block<UInt8>((outputs + 15) / 16 * panelBytes, 0)
    for n in 0..<outputs {
      let panel = n / 16 * panelBytes
      let tail = panel + panelBytes - 128
      for k in 0..<inputs {
        panels[panel + k / 4 * 64 + n % 16 * 4 + k % 4] =
          UInt8(bitPattern: Int8(codes[n * inputs + k]))
      }
      let sum = codes[n * inputs..<(n + 1) * inputs].reduce(0, +)
      panels.store(scales[n], at: tail + n % 16 * 4)
      panels.store(Int32(sum), at: tail + 64 + n % 16 * 4)
    }
    return PackedMatrix(
      outputs: outputs, inputs: inputs, values: codes.map(Double.init), scales: scales,
      panels: panels)
  }

  /// Where the bits of a code of q3 to q6 are, the lowest first: `(byte, bit)` among the `bits`
  /// bytes of an output and an input of four, by `formats/blocks.md`. `quad` is 0..<8.
  static func places(bits: Int, quad: Int) -> [(byte: Int, bit: Int)] {
    switch bits {
    case 4: return (0..<4).map { (quad / 2, quad % 2 * 4 + $0) }
    case 5:
      let upper = [
        [(0, 5), (0, 6), (0, 7), (1, 5), (1, 6)], [(2, 5), (2, 6), (2, 7), (3, 5), (3, 6)],
        [(4, 5), (4, 6), (4, 7), (1, 7), (3, 7)],
      ]
      return quad < 5 ? (0..<5).map { (quad, $0) } : upper[quad - 5]
    default:
      // Fields of six bits: three bytes have one each, and two bits each of a fourth.
      let (field, first) = bits == 6 ? (quad, 0) : (quad / 2, quad % 2 * 3)
      return (first..<first + bits).map {
        field % 4 < 3
          ? (field / 4 * 3 + field % 4, $0) : (field / 4 * 3 + $0 / 2, 6 + $0 % 2)
      }
    }
  }

  /// Random codes of 3 to 6 bits; steps and offsets over all that the layout allows.
  static func grouped(
    bits: Int, outputs: Int, inputs: Int, scales: [Float], using random: inout Generator
  ) -> PackedMatrix {
    let blocks = (inputs + 31) / 32
    let tailOffset = blocks * bits * 64 + (blocks * 32 + 63) / 64 * 64
    let highest = (1 << bits) - 1
    let panelBytes = tailOffset + 128
    let panels = Block<UInt8>((outputs + 15) / 16 * panelBytes, 0)
    var values = [Double](repeating: 0, count: outputs * inputs)
    for n in 0..<outputs {
      let panel = n / 16 * panelBytes
      var sum = 0
      for b in 0..<blocks {
        let step = Int.random(in: 0...(254 / highest), using: &random)
        let offset = Int.random(in: -127...(127 - highest * step), using: &random)
        let group = panel + blocks * bits * 64 + b * 32
        panels[group + n % 16] = UInt8(step)
        panels[group + 16 + n % 16] = UInt8(bitPattern: Int8(offset))
        for k in b * 32..<min(inputs, b * 32 + 32) {
          let code = Int.random(in: 0...highest, using: &random)
          let first = panel + b * bits * 64 + n % 16 * 4 + k % 4
          for (i, place) in places(bits: bits, quad: k % 32 / 4).enumerated() {
            panels[first + place.byte * 64] |= UInt8((code >> i & 1) << place.bit)
          }
          values[n * inputs + k] = Double(step * code + offset)
          sum += step * code + offset
        }
      }
      panels.store(scales[n], at: panel + tailOffset + n % 16 * 4)
      panels.store(Int32(sum), at: panel + tailOffset + 64 + n % 16 * 4)
    }
    return PackedMatrix(
      outputs: outputs, inputs: inputs, values: values, scales: scales, panels: panels)
  }

  /// Values are rounded to bf16 by cutting, so that what is packed is exact.
  static func bf16(outputs: Int, inputs: Int, values: [Float]) -> PackedMatrix {
    half(outputs: outputs, inputs: inputs, together: 2) { i in
      let bits = values[i].bitPattern & 0xffff_0000
      return (UInt16(bits >> 16), Double(Float(bitPattern: bits)))
    }
  }

  /// Values are bit patterns of f16, denormals among them, no infinity and no NaN.
  static func f16(outputs: Int, inputs: Int, bits: [Int]) -> PackedMatrix {
    half(outputs: outputs, inputs: inputs, together: 1) { i in
      let sign = bits[i] & 0x8000 == 0 ? 1.0 : -1.0
      let exponent = bits[i] >> 10 & 31
      let fraction = Double(bits[i] & 1023)
      let value =
        exponent == 0
        ? fraction * 0x1p-24
        : Double(sign: .plus, exponent: exponent - 25, significand: 1024 + fraction)
      return (UInt16(bits[i]), sign * value)
    }
  }

  private static func half(
    outputs: Int, inputs: Int, together: Int, element: (Int) -> (bits: UInt16, value: Double)
  ) -> PackedMatrix {
    let panelBytes = (inputs + 31) / 32 * 1024
    let panels = Block<UInt8>((outputs + 15) / 16 * panelBytes, 0)
    var values: [Double] = []
    for n in 0..<outputs {
      for k in 0..<inputs {
        let (bits, value) = element(n * inputs + k)
        let at = (k / together * 16 + n % 16) * together + k % together
        panels.store(bits, at: n / 16 * panelBytes + at * 2)
        values.append(value)
      }
    }
    return PackedMatrix(
      outputs: outputs, inputs: inputs, values: values, scales: [], panels: panels)
  }
}
