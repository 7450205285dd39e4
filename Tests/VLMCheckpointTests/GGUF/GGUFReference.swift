import VLMCheckpoint

/// Decodes blocks element by element as the format describes them: slow, and independent of the
/// decoders under test.
struct GGUFReference {
  let type: String
  let block: [UInt8]

  private func half(_ offset: Int) -> Float {
    FloatFormats.float16(UInt16(block[offset]) | UInt16(block[offset + 1]) << 8)
  }

  /// `count` bits from bit `index * count` of the bytes from `offset` on, lowest bits first.
  private func bits(_ offset: Int, _ index: Int, _ count: Int) -> Int {
    Int(block[offset + index * count / 8]) >> (index * count % 8) & ((1 << count) - 1)
  }

  /// The nibble of element `i` where 32 elements share 16 bytes: low nibbles come first.
  private func nibble(_ offset: Int, _ i: Int) -> Int {
    Int(block[offset + i % 16]) >> (i / 16 * 4) & 15
  }

  private func signed(_ offset: Int) -> Int { Int(Int8(bitPattern: block[offset])) }

  func value(_ i: Int) -> Float {
    switch type {
    case "Q8_0": return half(0) * Float(signed(2 + i))
    case "Q4_0": return half(0) * Float(nibble(2, i) - 8)
    case "Q4_1": return half(0) * Float(nibble(4, i)) + half(2)
    case "Q5_0": return half(0) * Float(nibble(6, i) + 16 * bits(2, i, 1) - 16)
    case "Q5_1": return half(0) * Float(nibble(8, i) + 16 * bits(4, i, 1)) + half(2)
    case "IQ4_NL": return half(0) * Self.levels[nibble(2, i)]
    case "IQ4_XS": return fourXS(i)
    case "Q2_K": return two(i)
    case "Q3_K": return three(i)
    case "Q4_K", "Q5_K": return fourOrFive(i)
    case "Q6_K": return six(i)
    default: return .nan
    }
  }

  private static let levels: [Float] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
  ]

  private func fourXS(_ i: Int) -> Float {
    let group = i / 32
    let scale = bits(4, group, 4) + bits(2, group, 2) * 16 - 32
    return half(0) * Float(scale) * Self.levels[nibble(8 + group * 16, i % 32)]
  }

  /// The two-bit code of element `i` of 256: runs of 32 share bytes, four runs to a byte.
  private func pair(_ offset: Int, _ i: Int) -> Int {
    let (half, run, place) = (i / 128, i % 128 / 32, i % 32)
    return Int(block[offset + half * 32 + place]) >> (2 * run) & 3
  }

  private func two(_ i: Int) -> Float {
    let scales = block[i / 16]
    let (scale, minimum) = (half(80) * Float(scales & 15), half(82) * Float(scales >> 4))
    return scale * Float(pair(16, i)) - minimum
  }

  private func three(_ i: Int) -> Float {
    let group = i / 16
    let low = group < 8 ? Int(block[96 + group]) & 15 : Int(block[96 + group - 8]) >> 4
    let scale = low + (Int(block[104 + group % 4]) >> (2 * (group / 4)) & 3) * 16 - 32
    let third = Int(block[i % 32]) >> (i / 32) & 1
    return half(108) * Float(scale) * Float(pair(32, i) + 4 * third - 4)
  }

  private func fourOrFive(_ i: Int) -> Float {
    let isFive = type == "Q5_K"
    let group = i / 32
    let (scale, minimum) = sixBitScales(group)
    let byte = block[(isFive ? 48 : 16) + i / 64 * 32 + i % 32]
    var code = Int(byte) >> (group % 2 * 4) & 15
    if isFive { code += 16 * (Int(block[16 + i % 32]) >> group & 1) }
    return half(0) * Float(scale) * Float(code) - half(2) * Float(minimum)
  }

  /// Six-bit scale and minimum of a group of 32 in a Q4_K or Q5_K block.
  private func sixBitScales(_ group: Int) -> (Int, Int) {
    let packed = block[4..<16].map(Int.init)
    if group < 4 { return (packed[group] % 64, packed[group + 4] % 64) }
    let shared = packed[group + 4]
    return (shared % 16 + packed[group - 4] / 64 * 16, shared / 16 + packed[group] / 64 * 16)
  }

  private func six(_ i: Int) -> Float {
    let (part, run, place) = (i / 128, i % 128 / 32, i % 32)
    let low = Int(block[part * 64 + run % 2 * 32 + place]) >> (run / 2 * 4) & 15
    let high = Int(block[128 + part * 32 + place]) >> (run * 2) & 3
    return half(208) * Float(signed(192 + i / 16)) * Float(low + high * 16 - 32)
  }
}
