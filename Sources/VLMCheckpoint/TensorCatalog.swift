import VLMTensor

/// A tensor in a checkpoint: what it is, and which bytes of which file hold it.
///
/// The bytes are its elements in C order, little-endian, without gaps, at any alignment. The reader
/// that made it has checked that `range` lies in the file and has the size of `shape` in `dtype`.
package struct CheckpointTensor: Sendable {
  package let name: String
  package let dtype: DType
  /// At most eight extents; empty for a scalar.
  package let shape: [Int]
  package let source: MappedFile
  package let range: Range<Int>

  /// Product of the extents, which the reader has checked not to overflow.
  package var elementCount: Int { shape.reduce(1, *) }

  /// The tensor's bytes, valid inside `body` only.
  package func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try source.withBytes(range, body)
  }
}

/// The tensors of a checkpoint, in the order it lists them, each name once.
package struct TensorCatalog: Sendable {
  /// The file, or the index of several.
  package let path: String
  package let tensors: [CheckpointTensor]
  /// What the checkpoint says about itself, in its order, each key once.
  package let metadata: [(key: String, value: String)]
  /// Departures from the format that do no harm, one line each, without the file's name.
  package let warnings: [String]
  private let index: [ExactString: Int32]

  /// `index` holds the position of each name in `tensors`.
  init(
    path: String, tensors: [CheckpointTensor], metadata: [(key: String, value: String)],
    warnings: [String], index: [ExactString: Int32]
  ) {
    self.path = path
    self.tensors = tensors
    self.metadata = metadata
    self.warnings = warnings
    self.index = index
  }

  /// The tensor called `name`, byte for byte.
  package subscript(name: String) -> CheckpointTensor? {
    index[ExactString(name)].map { tensors[Int($0)] }
  }

  /// Sum of the tensors' bytes.
  package var byteCount: Int { tensors.reduce(0) { $0 + $1.range.count } }

  /// The files that hold the tensors, each once.
  package var sources: [MappedFile] {
    var seen = Set<ObjectIdentifier>()
    return tensors.map(\.source).filter { seen.insert(ObjectIdentifier($0)).inserted }
  }

  /// - Throws: when a file is no longer what was mapped, so what was read from it may be mixed.
  package func checkUnchanged() throws(CheckpointError) {
    for source in sources {
      do throws(FileError) {
        try source.checkUnchanged()
      } catch {
        throw CheckpointError(error)
      }
    }
  }
}
