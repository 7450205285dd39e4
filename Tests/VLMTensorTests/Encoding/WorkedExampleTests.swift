import Testing

@testable import VLMTensor

/// The worked example of `formats/blocks.md`, byte for byte.
@Suite("Worked example")
struct WorkedExampleTests {
  struct Example: Sendable, CustomStringConvertible {
    let scheme: Scheme
    let inputs: Int
    let rows: [Float]
    /// What the rows decode to, where that differs.
    let decoded: [Float]
    let byteCount: Int
    let pieces: [Int: [UInt8]]

    var description: String { scheme.name }

    var bytes: [UInt8] {
      var bytes = [UInt8](repeating: 0, count: byteCount)
      for (offset, piece) in pieces {
        bytes.replaceSubrange(offset..<offset + piece.count, with: piece)
      }
      return bytes
    }
  }

  static let examples = [
    Example(
      scheme: .q8, inputs: 5,
      rows: [63.5, -63.5, 0.5, -1, 8.2, 0, 0, 0, 0, -254],
      decoded: [63.5, -63.5, 0.5, -1, 8, 0, 0, 0, 0, -254],
      byteCount: 640,
      pieces: [
        0: [0x7F, 0x81, 0x01, 0xFE], 64: [0x10], 68: [0x81],
        512: [0, 0, 0, 0x3F, 0, 0, 0, 0x40], 576: [0x0F, 0, 0, 0, 0x81, 0xFF, 0xFF, 0xFF],
      ]),
    Example(
      scheme: .q4, inputs: 16,
      rows: (0..<16).map { 0.25 * Float(16 * (5 * $0 % 16) - 113) }
        + [Float](repeating: 31.75, count: 16),
      decoded: (0..<16).map { 0.25 * Float(16 * (5 * $0 % 16) - 113) }
        + [Float](repeating: 31.75, count: 16),
      byteCount: 448,
      pieces: [
        0: [0x40, 0x95, 0xEA, 0x3F], 64: [0xC8, 0x1D, 0x62, 0xB7], 256: [0x10], 272: [0x8F, 0x7F],
        320: [0, 0, 0x80, 0x3E, 0, 0, 0x80, 0x3E], 384: [0x70, 0, 0, 0, 0xF0, 0x07, 0, 0],
      ]),
    Example(
      scheme: .q5, inputs: 32,
      rows: (0..<32).map { 0.25 * Float(8 * (5 * $0 % 32) - 121) }
        + [Float](repeating: 31.75, count: 32),
      decoded: (0..<32).map { 0.25 * Float(8 * (5 * $0 % 32) - 121) }
        + [Float](repeating: 31.75, count: 32),
      byteCount: 512,
      pieces: [
        0: [0x80, 0x25, 0xCA, 0x6F], 64: [0x94, 0x39, 0x3E, 0xC3], 128: [0x08, 0xAD, 0x52, 0xF7],
        192: [0x7C, 0xE1, 0x86, 0x8B], 256: [0x90, 0x35, 0xDA, 0x7F], 320: [0x08],
        336: [0x87, 0x7F], 384: [0, 0, 0x80, 0x3E, 0, 0, 0x80, 0x3E],
        448: [0x60, 0, 0, 0, 0xE0, 0x0F, 0, 0],
      ]),
    Example(
      scheme: .f16, inputs: 3,
      rows: [1, -2.5, 1 / 3, 65504, 0x1p-24, 0],
      decoded: [1, -2.5, 0.333251953125, 65504, 0x1p-24, 0],
      byteCount: 1024,
      pieces: [
        0: [0x00, 0x3C, 0xFF, 0x7B], 32: [0x00, 0xC1, 0x01, 0x00], 64: [0x55, 0x35],
      ]),
    Example(
      scheme: .bf16, inputs: 3,
      rows: [1, -2.5, 1 / 3, 65504, 0x1p-24, 0],
      decoded: [1, -2.5, 0.333984375, 65536, 0x1p-24, 0],
      byteCount: 1024,
      pieces: [0: [0x80, 0x3F, 0x20, 0xC0], 4: [0x80, 0x47, 0x80, 0x33], 64: [0xAB, 0x3E]]),
  ]

  @Test("the encoder writes the bytes of the document", arguments: examples)
  func encodes(example: Example) throws {
    let (bytes, _) = try #require(
      encodePanel(example.rows, rowCount: 2, inputs: example.inputs, scheme: example.scheme))
    #expect(bytes == example.bytes)
  }

  @Test("the decoder reads the values of the document", arguments: examples)
  func decodes(example: Example) {
    let rows = decodePanel(
      example.bytes, rowCount: 2, inputs: example.inputs, scheme: example.scheme)
    #expect(rows == example.decoded)
  }

  @Test("the document's panels break no rule", arguments: examples)
  func isValid(example: Example) {
    #expect(fault(in: example.bytes, of: example) == nil)
  }

  private func fault(in bytes: [UInt8], of example: Example) -> PanelFault? {
    bytes.withUnsafeBytes {
      PanelFault.first(
        in: $0.baseAddress!, scheme: example.scheme, inputs: example.inputs, rowCount: 2)
    }
  }

  @Test(
    "each broken rule is named",
    arguments: [
      // scheme, byte, value, what it breaks
      (0, 3 * 4, 1, PanelFault(rule: .padding, output: 3, block: 0)),
      (0, 64 + 1, 1, PanelFault(rule: .padding, output: 0, block: 0)),
      (0, 512 + 3, 0xFF, PanelFault(rule: .scale, output: 0, block: 0)),
      (0, 512 + 8 + 3, 0x3F, PanelFault(rule: .scale, output: 2, block: 0)),
      (0, 0, 0x80, PanelFault(rule: .code, output: 0, block: 0)),
      (0, 576, 0x10, PanelFault(rule: .sum, output: 0, block: 0)),
      (1, 255, 0x10, PanelFault(rule: .padding, output: 15, block: 0)),
      (1, 319, 0x01, PanelFault(rule: .padding, output: 0, block: 1)),
      (1, 256, 0x11, PanelFault(rule: .bracket, output: 0, block: 0)),
      (1, 272, 0x80, PanelFault(rule: .bracket, output: 0, block: 0)),
      (1, 258, 0x01, PanelFault(rule: .bracket, output: 2, block: 0)),
      (1, 320 + 3, 0x7F, PanelFault(rule: .scale, output: 0, block: 0)),
      (1, 384, 0x71, PanelFault(rule: .sum, output: 0, block: 0)),
      (2, 319, 0x80, PanelFault(rule: .padding, output: 15, block: 0)),
      (2, 383, 0x01, PanelFault(rule: .padding, output: 0, block: 1)),
      (2, 320, 0x09, PanelFault(rule: .bracket, output: 0, block: 0)),
      (2, 336, 0x80, PanelFault(rule: .bracket, output: 0, block: 0)),
      (2, 384 + 3, 0x7F, PanelFault(rule: .scale, output: 0, block: 0)),
      (2, 0, 0x81, PanelFault(rule: .sum, output: 0, block: 0)),
      (3, 1023, 0x01, PanelFault(rule: .padding, output: 15, block: 0)),
      (4, 67, 0x80, PanelFault(rule: .padding, output: 0, block: 0)),
    ])
  func namesFaults(example: Int, byte: Int, value: UInt8, expected: PanelFault) {
    // Byte 67 of bf16 is input 3 of output 0, the first past K.
    var bytes = Self.examples[example].bytes
    bytes[byte] = value
    #expect(fault(in: bytes, of: Self.examples[example]) == expected)
  }

  @Test("any single byte of garbage is decoded and checked without a trap", arguments: examples)
  func survivesGarbage(example: Example) {
    var faults = 0
    for value in [UInt8(0x7F), 0x80, 0xFF] {
      let bytes = [UInt8](repeating: value, count: example.byteCount)
      let rows = decodePanel(bytes, rowCount: 16, inputs: example.inputs, scheme: example.scheme)
      #expect(rows.count == 16 * example.inputs)
      if fault(in: bytes, of: example) != nil { faults += 1 }
    }
    #expect(faults == 3)
  }

  @Test("a fault reads as a sentence with the rule's id")
  func faultText() {
    #expect(
      PanelFault(rule: .code, output: 3, block: 7).description
        == "output 3, block 7: code is -128, expected -127 to 127 [B04]")
  }
}
