import VLMContainer
import VLMFoundation
import VLMTensor

/// Writes a file of statistics, a group at a time and in any order, so that none need stay in memory.
///
/// The file appears at its path when it is complete. Until then it is `<path>.partial`, which begins
/// with a marker instead of a header: one that is dropped leaves nothing, unless it is kept for a later
/// calibration, and what a killed process left is taken over.
package final class StatisticsWriter {
  private static let marker = Array("vlm-convert statistics 1\n".utf8)

  private let output: OutputFile
  private let pool: WorkerPool
  /// What the finished file begins with.
  private let head: [UInt8]
  private let arrayBytes: Int
  private let groups: [String: StatisticsGroup]
  /// Offset of each array in the file, by its name.
  private var offsets: [String: Int] = [:]

  /// - Parameters:
  ///   - groups: every group that will be written.
  ///   - provenance: what the statistics are of.
  ///   - pool: adds up what is left of the rows.
  ///   - keeping: leave the unfinished file when this object is dropped, and what an earlier process
  ///     left in it until `restart` or `holds`.
  package init(
    path: String, overwrite: Bool, groups: [StatisticsGroup], provenance: JSONValue,
    pool: WorkerPool, keeping: Bool = false
  ) throws {
    self.pool = pool
    self.groups = Dictionary(groups.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    output = try OutputFile(
      path: path, overwrite: overwrite, marker: Self.marker, keeping: keeping)
    var header = JSONObject()
    header.set("__metadata__", .object(Self.metadata(groups, provenance)))
    header.set(
      StatisticsFile.lossesName,
      [
        "dtype": .string(DType.f64.rawValue),
        "shape": .array(StatisticsFile.lossesShape.map { .int($0) }),
        "data_offsets": [.int(0), .int(StatisticsFile.lossesByteCount)],
      ])
    var end = StatisticsFile.lossesByteCount
    for array in StatisticsArray.all(of: groups) {
      offsets[array.name] = end
      header.set(
        array.name,
        [
          "dtype": .string(array.type.rawValue), "shape": [.int(array.count)],
          "data_offsets": [.int(end), .int(end + array.byteCount)],
        ])
      end += array.byteCount
    }
    var text = Array(JSONValue.object(header).serialized().utf8)
    while text.count % 8 != 0 { text.append(0x20) }
    head = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
    arrayBytes = end
    for name in offsets.keys { offsets[name]? += head.count }
    if !keeping { try restart() }
  }

  /// Of groups and provenance: the same for a calibration that can go on where another was.
  package var headDigest: String { hexadecimalText(XXH64.hash(head)) }

  /// Bytes that the unfinished file will grow by.
  package func missingByteCount() throws(FileError) -> Int {
    max(0, head.count + arrayBytes - (try output.partialByteCount()))
  }

  /// Begins anew, whatever the unfinished file holds.
  package func restart() throws {
    try output.resume(at: 0)
    try output.reserve(head.count + arrayBytes)
    try output.write(Self.marker + head.dropFirst(Self.marker.count))
    // What may never be found out is not known.
    for group in groups.values {
      try write(group, sensitivities: group.tensors.map { _ in 0 })
    }
    let none = [UInt8](repeating: 0, count: StatisticsFile.lossesByteCount)
    try none.withUnsafeBytes { try output.write($0, at: head.count) }
  }

  /// Whether the unfinished file holds these groups, each with the digest that `write` gave; then it is
  /// gone on with.
  package func holds(_ digests: [String: String]) throws -> Bool {
    guard try output.partialByteCount() >= head.count else { return false }
    for (name, digest) in digests {
      guard let group = groups[name] else { return false }
      var hash = XXH64()
      for array in Self.arrays(of: group) {
        guard let offset = offsets[array.name] else { return false }
        var bytes = [UInt8](repeating: 0, count: min(array.byteCount, 1 << 22))
        for start in stride(from: 0, to: array.byteCount, by: bytes.count) {
          let count = min(bytes.count, array.byteCount - start)
          let isThere = try bytes.withUnsafeMutableBytes { bytes in
            let part = UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
            guard try output.read(at: offset + start, into: part) else { return false }
            hash.update(UnsafeRawBufferPointer(part))
            return true
          }
          guard isThere else { return false }
        }
      }
      guard hexadecimalText(hash.digest) == digest else { return false }
    }
    try output.resume(at: max(head.count, min(output.partialByteCount(), head.count + arrayBytes)))
    return true
  }

  /// The arrays of a group that are gathered, in the order in which `write` writes them.
  private static func arrays(of group: StatisticsGroup) -> [StatisticsArray] {
    let kinds: [StatisticsArray.Kind] = [.rows, .sums, .squares]
    return (kinds + (group.hasHessian ? [.hessian] : []))
      .map { StatisticsArray(kind: $0, group: group) }
  }

  private static func metadata(_ groups: [StatisticsGroup], _ provenance: JSONValue) -> JSONObject {
    let content: JSONValue = [
      "version": .int(StatisticsFile.version), "tool": .string(ConversionReport.toolVersion),
      "data": provenance, "together": true,
      "groups": .array(
        groups.map { group in
          [
            "tensors": .array(group.tensors.map { .string($0) }), "inputs": .int(group.inputs),
            "hessian": .bool(group.hasHessian),
          ]
        }),
    ]
    var metadata = JSONObject()
    metadata.set(StatisticsFile.key, .string(content.serialized()))
    return metadata
  }

  /// Writes what was gathered of a group.
  ///
  /// - Returns: a digest of it.
  @discardableResult
  package func write(_ group: StatisticsGroup, _ statistics: InputStatistics) throws -> String {
    var hash = XXH64()
    precondition(group.inputs == statistics.inputs, "statistics of the group's inputs")
    func write(_ kind: StatisticsArray.Kind, _ values: [Double]) throws {
      guard let offset = offsets[StatisticsArray(kind: kind, group: group).name] else { return }
      try values.withUnsafeBytes {
        hash.update($0)
        try output.write($0, at: offset)
      }
    }
    try write(.rows, [Double(statistics.rowCount)])
    try write(.sums, statistics.sums)
    try write(.squares, statistics.squares)
    guard group.hasHessian, let gram = statistics.gram,
      var offset = offsets[StatisticsArray(kind: .hessian, group: group).name]
    else { return hexadecimalText(hash.digest) }
    try gram.withUpperTriangle(pool: pool) { row in
      hash.update(UnsafeRawBufferPointer(row))
      try output.write(UnsafeRawBufferPointer(row), at: offset)
      offset += row.count * MemoryLayout<Float>.stride
    }
    return hexadecimalText(hash.digest)
  }

  /// Makes what was written so far last.
  package func sync() throws { try output.sync() }

  /// The header finally replaces the marker.
  private func finish() throws {
    try head.withUnsafeBytes {
      try output.write(UnsafeRawBufferPointer(rebasing: $0[..<Self.marker.count]), at: 0)
    }
  }

  /// Writes what the model loses by errors of a group's matrices.
  ///
  /// - Parameter values: for each matrix of the group.
  package func write(_ group: StatisticsGroup, sensitivities values: [Double]) throws {
    precondition(group.tensors.count == values.count, "a value for each matrix")
    guard let offset = offsets[StatisticsArray(kind: .sensitivity, group: group).name] else {
      return
    }
    try values.withUnsafeBytes { try output.write($0, at: offset) }
  }

  /// Puts the file in its place.
  package func commit() throws {
    try finish()
    try output.commit()
  }

  /// The file before it is in its place. What is mapped of it stays when this object is dropped.
  package func opened() throws -> StatisticsFile {
    try finish()
    let file = try StatisticsFile(
      try MappedFile(path: output.temporaryPath, isInput: false), name: output.path)
    // A calibration that is broken off after this leaves an unfinished file.
    try Self.marker.withUnsafeBytes { try output.write($0, at: 0) }
    return file
  }
}
