import Synchronization
import VLMContainer
import VLMFoundation

/// An open delta. Header and table have been validated, the stored bytes have not: `verify`.
package final class DeltaFile: Sendable {
  package let file: MappedFile
  /// The model that it is applied to.
  package let base: ModelIdentity
  /// The model that it makes.
  package let target: ModelIdentity
  package let operations: [DeltaOperation]
  /// Where the stored bytes of each operation are.
  private let storedRanges: [Range<Int>]

  /// The magic bytes of every delta.
  package static let magic = DeltaFormat.magic

  package var path: String { file.path }

  /// Opens and validates the file at `path`.
  package static func open(path: String) throws(DeltaError) -> DeltaFile {
    let file: MappedFile
    do { file = try MappedFile(path: path) } catch { throw DeltaError(error) }
    return try DeltaFile(file)
  }

  /// Validates a mapped file.
  package init(_ file: MappedFile) throws(DeltaError) {
    defer { withExtendedLifetime(file) {} }
    let bytes = file.bytes(0..<file.count)
    let header = try DeltaHeader(bytes, path: file.path)
    let operations = try DeltaTable.decode(bytes, header: header, path: file.path)
    var ranges: [Range<Int>] = []
    ranges.reserveCapacity(operations.count)
    var end = DeltaFormat.headerSize
    for operation in operations {
      ranges.append(end..<end + operation.storedByteCount)
      end += operation.storedByteCount
    }
    self.file = file
    base = header.base
    target = header.target
    self.operations = operations
    storedRanges = ranges
  }

  /// Checks all stored bytes, and what the frames say of themselves [D15, D16].
  ///
  /// - Parameters:
  ///   - progress: called with the bytes done and the total, by one thread at a time.
  ///   - loop: iterates over the operations; sequentially by default.
  package func verify(
    progress: ((Int, Int) -> Void)? = nil,
    loop: Container.Loop = { count, body in (0..<count).forEach(body) }
  ) throws(DeltaError) {
    defer { withExtendedLifetime(file) {} }
    let found = Mutex<(done: Int, first: (index: Int, error: DeltaError)?)>((0, nil))
    loop(operations.count) { index in
      var failure: DeltaError?
      do throws(DeltaError) { try verify(index) } catch { failure = error }
      found.withLock { found in
        found.done += storedRanges[index].count
        progress?(found.done, file.count)
        if let failure, found.first.map({ index < $0.index }) ?? true {
          found.first = (index, failure)
        }
      }
    }
    if let first = found.withLock({ $0.first }) { throw first.error }
  }

  private func verify(_ index: Int) throws(DeltaError) {
    let (operation, stored) = (operations[index], file.bytes(storedRanges[index]))
    guard operation.method != .copy else { return }
    let hash = XXH64.hash(stored)
    guard hash == operation.storedHash else {
      throw DeltaError(
        path: path, place: .operation(index),
        .hash(.d15, found: hash, expected: operation.storedHash))
    }
    guard operation.method.isFrame else { return }
    do { try DeltaFrame.check(stored, length: operation.length) } catch {
      throw fault(error, index)
    }
  }

  /// The bytes that an operation makes, checked [D19, D20].
  ///
  /// - Parameters:
  ///   - index: of an operation that does not copy: those are in `base` already.
  ///   - base: all bytes of the base.
  /// - Precondition: `verify` has returned, and `base` has the size that the header says.
  package func bytes(
    of index: Int, base: UnsafeRawBufferPointer
  ) throws(DeltaError) -> [UInt8] {
    precondition(base.count == self.base.byteCount, "the base")
    let operation = operations[index]
    let stored = file.bytes(storedRanges[index])
    let old = UnsafeRawBufferPointer(rebasing: base[operation.base])
    let made: [UInt8]
    switch operation.method {
    case .copy: preconditionFailure("copied where it is")
    case .stored: made = Array(stored)
    case .patch: made = try decompress(stored, prefix: old, index)
    case .bytes, .words16, .words32:
      let none = UnsafeRawBufferPointer(start: nil, count: 0)
      let difference = try decompress(stored, prefix: none, index)
      made = difference.withUnsafeBytes {
        Difference.apply($0, base: old, wordSize: operation.method.wordSize ?? 1)
      }
    }
    try check(made.withUnsafeBytes { XXH64.hash($0) }, of: index)
    return made
  }

  /// - Parameter hash: XXH64 of what operation `index` made [D20].
  func check(_ hash: UInt64, of index: Int) throws(DeltaError) {
    let expected = operations[index].targetHash
    guard hash == expected else {
      throw DeltaError(
        path: path, place: .operation(index), .hash(.d20, found: hash, expected: expected))
    }
  }

  private func decompress(
    _ stored: UnsafeRawBufferPointer, prefix: UnsafeRawBufferPointer, _ index: Int
  ) throws(DeltaError) -> [UInt8] {
    do {
      return try DeltaFrame.decompress(stored, prefix: prefix, length: operations[index].length)
    } catch { throw fault(error, index) }
  }

  private func fault(_ failure: DeltaFrame.Failure, _ index: Int) -> DeltaError {
    switch failure {
    case .noMemory: DeltaError(path: path, place: .operation(index), .noMemory)
    case .broken(let rule, let text):
      DeltaError(path: path, place: .operation(index), .broken(rule, text))
    }
  }

  /// Drops the pages of what operations `range` stored from memory.
  func release(_ range: Range<Int>) {
    guard let first = range.first, let last = range.last else { return }
    file.release(storedRanges[first].lowerBound..<storedRanges[last].upperBound)
  }
}
