import VLMFoundation
import VLMTensor

/// Reads safetensors: an 8-byte little-endian length, a JSON header of that length, then the data,
/// which the tensors cover from end to end without gap or overlap.
///
/// The file is mapped and its header validated once, completely: what the catalog then says about a
/// tensor is true of the file, and no later read can leave it.
package enum SafetensorsFile {
  /// Header bytes. The format's own bound.
  package static let maximumHeaderBytes = 100_000_000
  /// Bytes of `__metadata__`, keys and values. Training tools store a few megabytes there.
  package static let maximumMetadataBytes = 16 << 20
  /// Bytes of a name. The longest published ones have some 150.
  package static let maximumNameBytes = 1024
  /// Extents of a shape. A convolution over time and space has five.
  package static let maximumRank = 8
  /// Arrays and objects within each other in a header: the format needs three.
  package static let maximumDepth = 8

  /// - Throws: `CheckpointError` naming the tensor or the byte of the header that is wrong.
  package static func read(path: String) throws(CheckpointError) -> TensorCatalog {
    let file: MappedFile
    do throws(FileError) {
      file = try MappedFile(path: path)
    } catch {
      throw CheckpointError(error)
    }
    return try read(file)
  }

  /// The catalog of a file that is mapped already.
  package static func read(_ file: MappedFile) throws(CheckpointError) -> TensorCatalog {
    let header = try headerRange(file)
    let result = file.withBytes(header) { bytes in
      Result { () throws(CheckpointError) in
        var parser = try SafetensorsHeader(bytes, file: file, dataStart: header.upperBound)
        try parser.parse()
        return parser
      }
    }
    let parsed = try result.get()
    try checkCoverage(parsed.tensors, file: file, dataStart: header.upperBound)
    return TensorCatalog(
      path: file.path, tensors: parsed.tensors, metadata: parsed.metadata,
      warnings: parsed.warnings, index: parsed.index)
  }

  /// Where the header is in the file, once its length makes sense.
  private static func headerRange(_ file: MappedFile) throws(CheckpointError) -> Range<Int> {
    func failure(_ problem: CheckpointError.Problem) -> CheckpointError {
      // A length that makes no sense is most likely the start of some other kind of file.
      let kind = file.withBytes(0..<min(file.count, 512)) { FileKind.sniff($0) }
      return CheckpointError(path: file.path, problem: kind.map { .otherKind($0) } ?? problem)
    }
    if file.count == 0 { throw CheckpointError(path: file.path, problem: .empty) }
    guard file.count >= 8 else { throw failure(.headerTooSmall(bytes: file.count)) }
    let length = file.withBytes(0..<8) {
      UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self))
    }
    let available = file.count - 8
    guard length <= UInt64(maximumHeaderBytes) else {
      let swapped = length.byteSwapped
      if swapped <= UInt64(min(available, maximumHeaderBytes)), available > 0,
        file.withBytes(8..<9, { $0[0] }) == UInt8(ascii: "{")
      {
        throw CheckpointError(path: file.path, problem: .headerLengthBigEndian(swapped))
      }
      throw failure(.headerLengthBeyondLimit(length, limit: maximumHeaderBytes))
    }
    guard Int(length) <= available else {
      throw failure(.headerTruncated(length: Int(length), available: available))
    }
    guard length >= 2 else { throw failure(.headerTooSmall(bytes: 8 + Int(length))) }
    return 8..<8 + Int(length)
  }

  /// Checks that the data is covered from its first byte to its last, each byte once.
  private static func checkCoverage(
    _ tensors: [CheckpointTensor], file: MappedFile, dataStart: Int
  ) throws(CheckpointError) {
    var order = Array(tensors.indices)
    // By begin, then by end, so that an empty tensor comes before the one at the same place.
    func precedes(_ a: Int, _ b: Int) -> Bool {
      let (a, b) = (tensors[a].range, tensors[b].range)
      return (a.lowerBound, a.upperBound) < (b.lowerBound, b.upperBound)
    }
    if !zip(order, order.dropFirst()).allSatisfy({ !precedes($1, $0) }) { order.sort(by: precedes) }
    var end = dataStart
    for position in order {
      let tensor = tensors[position]
      let begin = tensor.range.lowerBound
      if begin != end {
        throw CheckpointError(
          path: file.path, place: tensor.name,
          problem: begin > end
            ? .gap(from: end - dataStart, to: begin - dataStart)
            : .overlap(begin: begin - dataStart, after: end - dataStart))
      }
      end = tensor.range.upperBound
    }
    if end != file.count {
      throw CheckpointError(path: file.path, problem: .trailingBytes(file.count - end))
    }
  }
}
