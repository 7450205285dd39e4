import VLMContainer

/// The table of operations, at the end of a delta.
enum DeltaTable {
  static func encode(_ operations: [DeltaOperation]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(operations.count * DeltaFormat.entrySize)
    for operation in operations {
      bytes.append(operation.method.rawValue)
      bytes.appendZeros(7)
      bytes.append(little: UInt64(operation.length))
      bytes.append(little: UInt64(operation.base.lowerBound))
      bytes.append(little: UInt64(operation.base.count))
      bytes.append(little: UInt64(operation.storedByteCount))
      bytes.append(little: operation.storedHash)
      bytes.append(little: operation.targetHash)
    }
    return bytes
  }

  /// Reads and validates the table of `file`, the bytes of a whole delta.
  static func decode(
    _ file: UnsafeRawBufferPointer, header: DeltaHeader, path: String
  ) throws(DeltaError) -> [DeltaOperation] {
    let table = file.slice(header.tableOffset..<file.count)
    let hash = XXH64.hash(table)
    guard hash == header.tableHash else {
      throw DeltaError(
        path: path, place: .table, .hash(.d08, found: hash, expected: header.tableHash))
    }
    var operations: [DeltaOperation] = []
    operations.reserveCapacity(header.operationCount)
    var (end, length) = (DeltaFormat.headerSize, 0)
    for index in 0..<header.operationCount {
      let start = index * DeltaFormat.entrySize
      let operation = try decodeEntry(
        table.slice(start..<start + DeltaFormat.entrySize), index: index, header: header,
        available: header.tableOffset - end, path: path)
      // The stored bytes lie in the file, so that their sum is no larger.
      end += operation.storedByteCount
      let (sum, overflow) = length.addingReportingOverflow(operation.length)
      guard !overflow, sum <= header.target.byteCount else {
        throw DeltaError(
          path: path, place: .operation(index),
          .value(
            .d14, field: "length", found: "\(operation.length)",
            expected: "at most \(header.target.byteCount - length), what is left of the target"))
      }
      length = sum
      operations.append(operation)
    }
    guard end == header.tableOffset else {
      throw DeltaError(
        path: path, place: .table,
        .value(
          .d13, field: "stored bytes end at", found: "\(end)",
          expected: "\(header.tableOffset), where the table begins"))
    }
    guard length == header.target.byteCount else {
      throw DeltaError(
        path: path, place: .table,
        .value(
          .d14, field: "sum of the lengths", found: "\(length)",
          expected: "\(header.target.byteCount), the target's size"))
    }
    return operations
  }

  private static func decodeEntry(
    _ entry: UnsafeRawBufferPointer, index: Int, header: DeltaHeader, available: Int, path: String
  ) throws(DeltaError) -> DeltaOperation {
    func fail(_ problem: DeltaError.Problem) -> DeltaError {
      DeltaError(path: path, place: .operation(index), problem)
    }
    func fail(
      _ rule: DeltaRule, _ field: String, _ found: UInt64, _ expected: String
    ) -> DeltaError {
      fail(.value(rule, field: field, found: "\(found)", expected: expected))
    }
    guard let method = DeltaOperation.Method(rawValue: entry[0]) else {
      throw fail(.d09, "method", UInt64(entry[0]), "0 to 5; update vlm-convert")
    }
    guard isZero(entry.slice(1..<8)) else {
      throw fail(.broken(.d09, "reserved bytes are not zero"))
    }

    let length: UInt64 = entry.little(8)
    let most = method == .copy ? Int.max : DeltaFormat.maximumPiece
    guard length > 0, length <= UInt64(most) else {
      throw fail(.d10, "length", length, "1 to \(most)")
    }
    if let word = method.wordSize, length % UInt64(word) != 0 {
      throw fail(.d10, "length", length, "a multiple of \(word)")
    }

    let (offset, count) = (entry.little(16, as: UInt64.self), entry.little(24, as: UInt64.self))
    let (sum, overflow) = offset.addingReportingOverflow(count)
    guard !overflow, sum <= UInt64(header.base.byteCount) else {
      throw fail(
        .d11, "end in the base", overflow ? .max : sum,
        "at most \(header.base.byteCount), the base's size")
    }
    switch method {
    case .copy, .bytes, .words16, .words32:
      guard count == length else {
        throw fail(.d11, "bytes of the base", count, "\(length), the length")
      }
    case .stored:
      guard offset == 0, count == 0 else {
        throw fail(.d11, "bytes of the base", count, "none, at 0")
      }
    case .patch:
      guard count <= UInt64(DeltaFormat.maximumPrefix), count > 0 || offset == 0 else {
        throw fail(
          .d11, "bytes of the base", count, "at most \(DeltaFormat.maximumPrefix), or none, at 0")
      }
    }

    let stored: UInt64 = entry.little(32)
    let hash: UInt64 = entry.little(40)
    switch method {
    case .copy:
      guard stored == 0, hash == 0 else { throw fail(.d12, "stored bytes", stored, "none") }
    case .stored:
      guard stored == length else { throw fail(.d12, "stored bytes", stored, "\(length)") }
    case .patch, .bytes, .words16, .words32:
      guard stored > 0 else { throw fail(.d12, "stored bytes", stored, "1 or more") }
    }
    guard stored <= UInt64(available) else {
      throw fail(.d12, "stored bytes", stored, "at most \(available), those before the table")
    }
    // Each is at most the size of a file or of a piece.
    return DeltaOperation(
      method: method, length: Int(length), base: Int(offset)..<Int(sum),
      storedByteCount: Int(stored), storedHash: hash, targetHash: entry.little(48))
  }
}
