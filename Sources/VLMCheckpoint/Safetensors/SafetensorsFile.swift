import VLMFoundation
import VLMTensor

/// Reads safetensors: an 8-byte little-endian header length, a JSON header, then the data, which
/// the tensors cover completely, without gaps or overlaps.
///
/// The file is mapped and its header validated completely when it is opened. After that the catalog
/// can be trusted, and no read can leave the file.
package enum SafetensorsFile {
  /// Maximum header bytes, set by the format.
  package static let maximumHeaderBytes = 100_000_000
  /// Maximum bytes of `__metadata__`, keys and values. Training tools store a few megabytes there.
  package static let maximumMetadataBytes = 16 << 20
  /// Maximum bytes of a name. The longest published ones have about 150.
  package static let maximumNameBytes = 1024
  /// Maximum rank. A 3D convolution has five.
  package static let maximumRank = 8
  /// Maximum nesting of the header's JSON. The format needs three levels.
  package static let maximumDepth = 8

  /// - Throws: `CheckpointError` naming the tensor or the byte of the header that is wrong.
  package static func read(path: String) throws(CheckpointError) -> TensorCatalog {
    try read(MappedFile.ofCheckpoint(path: path))
  }

  /// The catalog of a mapped file.
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

  /// The header's byte range, after its length has been checked.
  private static func headerRange(_ file: MappedFile) throws(CheckpointError) -> Range<Int> {
    func failure(_ problem: CheckpointError.Problem) -> CheckpointError {
      // An implausible length is most likely the start of a file of another format.
      let kind = FileKind.sniff(file) ?? OtherWeights.kind(of: file.path)
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

  /// Checks that the tensors cover the data exactly once.
  private static func checkCoverage(
    _ tensors: [CheckpointTensor], file: MappedFile, dataStart: Int
  ) throws(CheckpointError) {
    var order = Array(tensors.indices)
    // Sorted by begin, then by end, so that an empty tensor precedes the one at the same offset.
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
