import VLMTensor

extension CheckpointTensor {
  /// The bytes of `source` that reading the elements `elements` touches, at most; nil when the
  /// elements lie in memory.
  package func fileRange(ofElements elements: Range<Int>) -> Range<Int>? {
    guard owned == nil else { return nil }
    if let blocks {
      let bytes = blocks.byteRange(ofElements: elements)
      return range.lowerBound + bytes.lowerBound..<range.lowerBound + bytes.upperBound
    }
    guard strides == nil, dtype.bitCount % 8 == 0 else { return range }
    let width = dtype.bitCount / 8
    let start = range.lowerBound + elements.lowerBound * width
    return start..<start + elements.count * width
  }
}
