import CVLMKernels
import VLMTensor

/// A GGUF tensor type: plain elements, or blocks of quantized values with their scales.
package struct GGUFType: StoredElements, Equatable {
  /// The type's number in the format.
  package let number: UInt32

  /// - Returns: nil for unknown and removed types.
  package init?(number: UInt32) {
    guard Self.known[number] != nil else { return nil }
    self.number = number
  }

  private struct Properties: Sendable {
    let name: String
    let blockElements: Int
    let blockBytes: Int
    let plain: DType?
  }

  private var facts: Properties {
    Self.known[number] ?? Properties(name: "\(number)", blockElements: 1, blockBytes: 0, plain: nil)
  }

  /// The type's name, such as "Q4_K".
  package var name: String { facts.name }
  /// Elements per block along the last axis; 1 for plain elements.
  package var blockElements: Int { facts.blockElements }
  /// Bytes per block.
  package var blockBytes: Int { facts.blockBytes }
  /// The corresponding `DType`; nil for block types.
  package var plain: DType? { facts.plain }

  /// Whether the elements can be decoded to floats; other types can only be listed.
  package var isReadable: Bool {
    plain != nil || vlm_gguf_block_size(number).elements == blockElements
  }

  /// Types that were removed from the format, for error messages.
  static func removedName(_ number: UInt32) -> String? {
    switch number {
    case 4: "Q4_2"
    case 5: "Q4_3"
    case 31: "Q4_0_4_4"
    case 32: "Q4_0_4_8"
    case 33: "Q4_0_8_8"
    case 36: "IQ4_NL_4_4"
    case 37: "IQ4_NL_4_8"
    case 38: "IQ4_NL_8_8"
    default: nil
    }
  }

  private static let known: [UInt32: Properties] = {
    let plain: [(UInt32, String, Int, DType)] = [
      (0, "F32", 4, .f32), (1, "F16", 2, .f16), (24, "I8", 1, .i8), (25, "I16", 2, .i16),
      (26, "I32", 4, .i32), (27, "I64", 8, .i64), (28, "F64", 8, .f64), (30, "BF16", 2, .bf16),
    ]
    let blocks: [(UInt32, String, Int, Int)] = [
      (2, "Q4_0", 32, 18), (3, "Q4_1", 32, 20), (6, "Q5_0", 32, 22), (7, "Q5_1", 32, 24),
      (8, "Q8_0", 32, 34), (9, "Q8_1", 32, 36), (10, "Q2_K", 256, 84), (11, "Q3_K", 256, 110),
      (12, "Q4_K", 256, 144), (13, "Q5_K", 256, 176), (14, "Q6_K", 256, 210),
      (15, "Q8_K", 256, 292), (16, "IQ2_XXS", 256, 66), (17, "IQ2_XS", 256, 74),
      (18, "IQ3_XXS", 256, 98), (19, "IQ1_S", 256, 50), (20, "IQ4_NL", 32, 18),
      (21, "IQ3_S", 256, 110), (22, "IQ2_S", 256, 82), (23, "IQ4_XS", 256, 136),
      (29, "IQ1_M", 256, 56), (34, "TQ1_0", 256, 54), (35, "TQ2_0", 256, 66),
      (39, "MXFP4", 32, 17), (40, "NVFP4", 64, 36), (41, "Q1_0", 128, 18),
      (42, "Q2_0", 64, 18),
    ]
    var types: [UInt32: Properties] = [:]
    for (number, name, bytes, dtype) in plain {
      types[number] = Properties(name: name, blockElements: 1, blockBytes: bytes, plain: dtype)
    }
    for (number, name, elements, bytes) in blocks {
      types[number] = Properties(
        name: name, blockElements: elements, blockBytes: bytes, plain: nil)
    }
    return types
  }()

  /// Bytes of a tensor of `shape`, whose last extent is a multiple of the block size; nil on
  /// overflow.
  package func byteCount(shape: [Int]) -> Int? {
    let (blockElements, blockBytes) = (blockElements, blockBytes)
    guard let elements = DType.u8.byteCount(shape: shape) else { return nil }
    let (bytes, overflow) = (elements / blockElements).multipliedReportingOverflow(by: blockBytes)
    return overflow ? nil : bytes
  }

  package func byteRange(ofElements elements: Range<Int>) -> Range<Int> {
    let (count, bytes) = (blockElements, blockBytes)
    let first = elements.lowerBound / count
    let end = elements.isEmpty ? first : (elements.upperBound - 1) / count + 1
    return first * bytes..<end * bytes
  }

  /// - Precondition: the type is a block type.
  package func decode(
    _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>,
    into output: UnsafeMutableBufferPointer<Float>
  ) {
    guard let source = bytes.baseAddress, let target = output.baseAddress else { return }
    let (blockElements, blockBytes) = (blockElements, blockBytes)
    var position = range.lowerBound
    while position < range.upperBound {
      let block = position / blockElements
      let start = position % blockElements
      let left = range.upperBound - position
      let place = target + (position - range.lowerBound)
      if start == 0, left >= blockElements {
        let blocks = left / blockElements
        vlm_gguf_decode(number, blocks, source + block * blockBytes, place)
        position += blocks * blockElements
      } else {
        let count = min(blockElements - start, left)
        decodePart(source + block * blockBytes, start, count, into: place)
        position += count
      }
    }
  }

  /// Decodes one block and copies `count` of its values from `start` on.
  private func decodePart(
    _ block: UnsafeRawPointer, _ start: Int, _ count: Int, into target: UnsafeMutablePointer<Float>
  ) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: blockElements) { values in
      guard let base = values.baseAddress else { return }
      vlm_gguf_decode(number, 1, block, base)
      target.update(from: base + start, count: count)
    }
  }
}
