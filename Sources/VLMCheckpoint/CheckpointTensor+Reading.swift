import VLMTensor

extension CheckpointTensor {
  /// The bytes of `source` that reading the elements `elements` touches, at most; nil when the
  /// elements lie in memory.
  package func fileRange(ofElements elements: Range<Int>) -> Range<Int>? {
    guard owned == nil else { return nil }
    if let blocks { return fileRange(of: elements, in: blocks) }
    guard strides == nil, dtype.bitCount % 8 == 0 else { return range }
    if blocks != nil {
      // Blocks lie in the order of their elements, all of one size.
      let perElement = Double(range.count) / Double(max(1, elementCount))
      let first = Int(Double(elements.lowerBound) * perElement)
      let last = Int((Double(elements.upperBound) * perElement).rounded(.up))
      return range.lowerBound + first..<range.lowerBound + max(first, min(last, range.count))
    }
    let width = dtype.bitCount / 8
    let start = range.lowerBound + elements.lowerBound * width
    return start..<start + elements.count * width
  }

  private func fileRange(of elements: Range<Int>, in blocks: GGUFType) -> Range<Int> {
    let (count, bytes) = (blocks.blockElements, blocks.blockBytes)
    let first = elements.lowerBound / count
    let end = elements.isEmpty ? first : (elements.upperBound - 1) / count + 1
    return range.lowerBound + first * bytes..<range.lowerBound + end * bytes
  }
}
