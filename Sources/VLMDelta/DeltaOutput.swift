import VLMContainer
import VLMFoundation

/// A delta that is being written: operations as they come, table and header at the end.
struct DeltaOutput {
  private(set) var operations: [DeltaOperation] = []
  private let file: OutputFile
  /// Copies of neighbouring bytes are one operation.
  private var copy: (base: Range<Int>, hash: XXH64)?

  init(path: String, overwrite: Bool) throws(FileError) {
    file = try OutputFile(path: path, overwrite: overwrite)
    try file.write([UInt8](repeating: 0, count: DeltaFormat.headerSize))
  }

  /// - Parameter target: the bytes that `piece` makes.
  mutating func append(
    _ piece: PieceEncoder.Encoded, target: UnsafeRawBufferPointer
  ) throws(FileError) {
    if piece.method == .copy {
      if copy?.base.upperBound != piece.base.lowerBound { endCopy() }
      var hash = copy?.hash ?? XXH64()
      hash.update(target)
      copy = ((copy?.base.lowerBound ?? piece.base.lowerBound)..<piece.base.upperBound, hash)
      return
    }
    endCopy()
    try file.write(piece.stored)
    operations.append(
      DeltaOperation(
        method: piece.method, length: target.count, base: piece.base,
        storedByteCount: piece.stored.count, storedHash: XXH64.hash(piece.stored),
        targetHash: XXH64.hash(target)))
  }

  private mutating func endCopy() {
    guard let copy else { return }
    operations.append(
      DeltaOperation(
        method: .copy, length: copy.base.count, base: copy.base, storedByteCount: 0, storedHash: 0,
        targetHash: copy.hash.digest))
    self.copy = nil
  }

  /// Writes what is left and moves the file to its place.
  ///
  /// - Returns: bytes of the file.
  mutating func finish(base: ModelIdentity, target: ModelIdentity) throws(FileError) -> Int {
    endCopy()
    let tableOffset = file.count
    let table = DeltaTable.encode(operations)
    try file.write(table)
    let header = DeltaHeader(
      operationCount: operations.count, byteCount: file.count, tableOffset: tableOffset,
      tableHash: XXH64.hash(table), base: base, target: target)
    let file = file
    let result = header.encoded().withUnsafeBytes { bytes in
      Result { () throws(FileError) in try file.write(bytes, at: 0) }
    }
    try result.get()
    try file.commit()
    return file.count
  }
}
