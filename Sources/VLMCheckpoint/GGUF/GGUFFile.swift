import VLMFoundation

/// Reads little-endian GGUF files of versions 2 and 3: typed metadata, then tensors, plain or
/// block-quantized. Tensor data stays in the mapped file until it is read.
///
/// The header is validated completely when the file is opened. Tensors are contiguous in the
/// header's order, so none share bytes.
package struct GGUFFile: Sendable {
  /// Maximum tensors per file. The largest models have about ten thousand.
  package static let maximumTensors = 1 << 20
  /// Maximum metadata entries. Models have about thirty; those that list many licences and base
  /// models have about a hundred.
  package static let maximumEntries = 1 << 16
  /// Maximum bytes of a key, set by the format.
  package static let maximumKeyBytes = 65535
  /// Maximum bytes of a tensor's name, set by the format.
  package static let maximumNameBytes = 64
  /// Maximum bytes of a string. The longest are chat templates and licences.
  package static let maximumStringBytes = 16 << 20
  /// Maximum elements of an array. The longest are the merges of large vocabularies.
  package static let maximumArrayCount = 16 << 20
  /// Maximum nesting of arrays. No known file nests any.
  package static let maximumDepth = 4
  /// Maximum rank, set by the format.
  package static let maximumRank = 4
  /// Maximum alignment in bytes: the largest page size a machine might map.
  package static let maximumAlignment = 1 << 20
  static let defaultAlignment = 32

  /// The metadata; of the first part if the file is split.
  package let metadata: GGUFMetadata
  package let catalog: TensorCatalog

  /// Whether the file starts with GGUF's magic.
  package static func matches(_ file: MappedFile) -> Bool {
    file.count >= 4 && file.withBytes(0..<4) { $0.elementsEqual("GGUF".utf8) }
  }

  /// Reads a file and, if it is split, the other parts of the same model.
  ///
  /// - Throws: `CheckpointError` naming the key, tensor or byte that is wrong, or the part that is
  ///   missing.
  package init(_ file: MappedFile) throws(CheckpointError) {
    let part = try GGUFPart(file)
    let parts = try GGUFSplit.parts(of: part)
    let path = part.file.path
    var tensors: [CheckpointTensor] = []
    var index: [ExactString: Int32] = [:]
    for tensor in parts.lazy.flatMap(\.tensors) {
      guard index.updateValue(Int32(tensors.count), forKey: ExactString(tensor.name)) == nil else {
        throw CheckpointError(
          path: tensor.source.path, place: tensor.name, problem: .duplicateName)
      }
      tensors.append(tensor)
    }
    metadata = parts[0].metadata
    catalog = TensorCatalog(
      path: path, tensors: tensors,
      metadata: metadata.entries.map { (key: $0.key, value: $0.value.text) },
      warnings: parts.flatMap(\.warnings), index: index, format: .gguf, gguf: metadata)
  }

  package init(path: String) throws(CheckpointError) {
    try self.init(MappedFile.ofCheckpoint(path: path))
  }
}

/// One file of a model.
struct GGUFPart {
  let file: MappedFile
  let metadata: GGUFMetadata
  let tensors: [CheckpointTensor]
  let warnings: [Note]

  init(_ file: MappedFile) throws(CheckpointError) {
    let result = file.withBytes(0..<file.count) { bytes in
      Result { () throws(CheckpointError) in try GGUFHeader(bytes, source: file) }
    }
    let header = try result.get()
    self.file = file
    metadata = header.metadata
    var tensors: [CheckpointTensor] = []
    tensors.reserveCapacity(header.tensors.count)
    let available = max(0, file.count - header.dataStart)
    for info in header.tensors {
      guard info.range.upperBound <= available else {
        throw CheckpointError(
          path: file.path, place: info.name,
          problem: .dataTruncated(end: info.range.upperBound, available: available))
      }
      let start = header.dataStart + info.range.lowerBound
      tensors.append(
        CheckpointTensor(
          name: info.name, dtype: info.type.plain ?? .f32, shape: info.shape, source: file,
          range: start..<start + info.range.count,
          blocks: info.type.plain == nil ? info.type : nil))
    }
    self.tensors = tensors
    let used = header.tensors.last?.range.upperBound ?? 0
    let rest = available - used
    warnings =
      rest >= header.alignment
      ? ["\(rest) bytes follow the last tensor's data and are not read"] : []
  }
}
