import VLMFoundation
import VLMTensor

extension CheckpointTensor {
  /// A byte range of a file.
  package typealias FileRange = (source: MappedFile, range: Range<Int>)

  /// The files that hold the tensor's bytes, without duplicates.
  package var sources: [MappedFile] {
    guard let parts else { return [source] }
    var seen = Set<ObjectIdentifier>()
    return parts.tensors.flatMap(\.sources).filter { seen.insert(ObjectIdentifier($0)).inserted }
  }

  /// The byte ranges that reading `elements` touches, at most; empty if the elements are in memory.
  package func fileRanges(ofElements elements: Range<Int>) -> [FileRange] {
    if let parts {
      var ranges: [FileRange] = []
      parts.cut(elements, of: shape, whole: true) { tensor, own, _ in
        ranges += tensor.fileRanges(ofElements: own)
      }
      return ranges
    }
    guard owned == nil else { return [] }
    if let blocks {
      let bytes = blocks.byteRange(ofElements: elements)
      return [(source, range.lowerBound + bytes.lowerBound..<range.lowerBound + bytes.upperBound)]
    }
    guard strides == nil, dtype.bitCount % 8 == 0 else { return [(source, range)] }
    let width = dtype.bitCount / 8
    let start = range.lowerBound + elements.lowerBound * width
    return [(source, start..<start + elements.count * width)]
  }

  /// Copies `elements`, counted in C order, from the parts that hold them.
  func gather(
    _ elements: Range<Int>, of parts: Parts, into output: UnsafeMutableRawBufferPointer
  ) {
    guard let base = output.baseAddress else { return }
    let width = dtype.bitCount / 8
    parts.cut(elements, of: shape, whole: false) { tensor, own, place in
      tensor.withBytes(ofElements: own) { bytes in
        guard let from = bytes.baseAddress else { return }
        (base + place * width).copyMemory(from: from, byteCount: own.count * width)
      }
    }
  }
}

extension CheckpointTensor.Parts {
  /// Calls `body` for each run of `elements` that lies in one part, with the part, the run's range
  /// in the part, and its offset within `elements`. Elements are counted in C order of `shape`.
  ///
  /// - Parameter whole: call `body` once per part instead, with everything between its first and
  ///   its last element.
  func cut(
    _ elements: Range<Int>, of shape: [Int], whole: Bool,
    _ body: (CheckpointTensor, Range<Int>, Int) -> Void
  ) {
    let after = shape[(axis + 1)...].reduce(1, *)
    let line = shape[axis] * after
    guard line > 0, !elements.isEmpty else { return }
    let lines = elements.lowerBound / line...(elements.upperBound - 1) / line
    if whole, lines.count > 1 {
      for tensor in tensors {
        let own = tensor.shape[axis] * after
        body(tensor, lines.lowerBound * own..<(lines.upperBound + 1) * own, 0)
      }
      return
    }
    for index in lines {
      var start = index * line
      for tensor in tensors {
        let own = tensor.shape[axis] * after
        let first = max(start, elements.lowerBound)
        let count = min(start + own, elements.upperBound) - first
        if count > 0 {
          let place = index * own + first - start
          body(tensor, place..<place + count, first - elements.lowerBound)
        }
        start += own
      }
    }
  }
}
