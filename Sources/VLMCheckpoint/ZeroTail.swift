import VLMFoundation

/// What a download leaves that allocates the whole file first and has not ended: headers that are right,
/// and zeros where the last tensors should be.
enum ZeroTail {
  /// Bytes looked at a time, from the end of the file.
  private static let pieceBytes = 64 << 10

  /// A note where matrices at the end of `file` are zeros alone; a model may have such, so it is no error.
  static func note(_ file: MappedFile, _ catalog: TensorCatalog) -> Note? {
    let start = self.start(file)
    guard start < file.count else { return nil }
    var (count, first) = (0, Int.max)
    for (index, tensor) in catalog.tensors.enumerated()
    where tensor.source === file && tensor.owned == nil && tensor.shape.count > 1
      && !tensor.range.isEmpty && tensor.range.lowerBound >= start
    {
      count += 1
      if first == .max
        || tensor.range.lowerBound < catalog.tensors[first].range.lowerBound
      {
        first = index
      }
    }
    guard count > 0 else { return nil }
    let name = catalog.tensors[first].name.escapedForDisplay()
    let others = count == 1 ? "" : " and \(count - 1) more"
    return Note(
      "\(file.path.escapedForDisplay()): the last \(file.count - start) bytes are zeros, tensor "
        + "'\(name)'\(others) among them, as a download leaves them that has "
        + "not ended: compare the file's checksum with its publisher's")
  }

  /// Where the zeros at the end begin.
  private static func start(_ file: MappedFile) -> Int {
    var end = file.count
    while end > 0 {
      let begin = max(0, end - pieceBytes)
      let last = file.withBytes(begin..<end) { $0.lastIndex { $0 != 0 } }
      if let last { return begin + last + 1 }
      end = begin
    }
    return 0
  }
}
