import VLMFoundation
import VLMTensor

/// Writes a file of statistics, a group at a time and in any order, so that none need stay in memory.
///
/// The file appears at its path when it is complete; one that is dropped leaves nothing.
package final class StatisticsWriter {
  private let output: OutputFile
  private let pool: WorkerPool
  /// Offset of each array in the file, by its name.
  private var offsets: [String: Int] = [:]

  /// - Parameters:
  ///   - groups: every group that will be written.
  ///   - provenance: what the statistics are of.
  ///   - pool: adds up what is left of the rows.
  package init(
    path: String, overwrite: Bool, groups: [StatisticsGroup], provenance: JSONValue,
    pool: WorkerPool
  ) throws {
    self.pool = pool
    output = try OutputFile(path: path, overwrite: overwrite)
    var header = JSONObject()
    header.set("__metadata__", .object(Self.metadata(groups, provenance)))
    var end = 0
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
    try output.reserve(8 + text.count + end)
    try output.write(withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text)
    for name in offsets.keys { offsets[name]? += output.count }
  }

  private static func metadata(_ groups: [StatisticsGroup], _ provenance: JSONValue) -> JSONObject {
    let content: JSONValue = [
      "version": .int(StatisticsFile.version), "tool": .string(ConversionReport.toolVersion),
      "data": provenance,
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
  package func write(_ group: StatisticsGroup, _ statistics: InputStatistics) throws {
    precondition(group.inputs == statistics.inputs, "statistics of the group's inputs")
    func write(_ kind: StatisticsArray.Kind, _ values: [Double]) throws {
      guard let offset = offsets[StatisticsArray(kind: kind, group: group).name] else { return }
      try values.withUnsafeBytes { try output.write($0, at: offset) }
    }
    try write(.rows, [Double(statistics.rowCount)])
    try write(.sums, statistics.sums)
    try write(.squares, statistics.squares)
    guard group.hasHessian, let gram = statistics.gram,
      var offset = offsets[StatisticsArray(kind: .hessian, group: group).name]
    else { return }
    try gram.withUpperTriangle(pool: pool) { row in
      try output.write(UnsafeRawBufferPointer(row), at: offset)
      offset += row.count * MemoryLayout<Float>.stride
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
  package func commit() throws { try output.commit() }

  /// The file before it is in its place. What is mapped of it stays when this object is dropped.
  package func opened() throws -> StatisticsFile {
    try StatisticsFile(try MappedFile(path: output.temporaryPath), name: output.path)
  }
}
