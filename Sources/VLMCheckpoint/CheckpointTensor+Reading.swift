import VLMTensor

extension CheckpointTensor {
  /// The bytes of `source` that reading the elements `elements` touches, at most; nil when the
  /// elements lie in memory.
  package func fileRange(ofElements elements: Range<Int>) -> Range<Int>? {
    guard owned == nil else { return nil }
    if let blocks { return fileRange(of: elements, in: blocks) }
    guard strides == nil, dtype.bitCount % 8 == 0 else { return range }
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
