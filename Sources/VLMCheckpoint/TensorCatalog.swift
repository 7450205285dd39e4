import VLMFoundation
import VLMTensor

/// The file format of a checkpoint.
package enum CheckpointFormat: String, Sendable {
  case safetensors
  case pyTorchZip = "PyTorch zip"
  case pyTorchLegacy = "PyTorch legacy"
  case torchScript = "TorchScript"
  case gguf = "GGUF"
  /// A converted model.
  case container = "vlmz"

  package var isPyTorch: Bool {
    switch self {
    case .pyTorchZip, .pyTorchLegacy, .torchScript: true
    case .safetensors, .gguf, .container: false
    }
  }
}

/// The tensors of a checkpoint in file order, with unique names.
package struct TensorCatalog: Sendable {
  /// The path of the file or index.
  package let path: String
  package let tensors: [CheckpointTensor]
  /// The checkpoint's metadata in file order, with unique keys.
  package let metadata: [(key: String, value: String)]
  /// Harmless deviations from the format, one line each, without the file's name.
  package let warnings: [Note]
  /// The format of the file, or of the first shard.
  package let format: CheckpointFormat
  /// The typed metadata of a GGUF file.
  package let gguf: GGUFMetadata?
  /// The name of the state that selects these tensors; empty for the whole file.
  package let state: String
  /// The vision file of a LLaVA in GGUF; its tensors are included.
  package private(set) var vision: GGUFVision?
  private let index: [ExactString: Int32]

  /// - Parameter index: the position of each name in `tensors`.
  init(
    path: String, tensors: [CheckpointTensor], metadata: [(key: String, value: String)],
    warnings: [Note], index: [ExactString: Int32], format: CheckpointFormat = .safetensors,
    gguf: GGUFMetadata? = nil, state: String = ""
  ) {
    self.path = path
    self.tensors = tensors
    self.metadata = metadata
    self.warnings = warnings
    self.format = format
    self.gguf = gguf
    self.state = state
    self.index = index
  }

  /// - Precondition: the names are unique.
  package init(path: String, tensors: [CheckpointTensor], format: CheckpointFormat) {
    var index: [ExactString: Int32] = [:]
    for (place, tensor) in tensors.enumerated() { index[ExactString(tensor.name)] = Int32(place) }
    self.init(
      path: path, tensors: tensors, metadata: [], warnings: [], index: index, format: format)
  }

  /// This catalog followed by the tensors of `other`, with `prefix` added to their names.
  ///
  /// - Parameter isIncluded: selects tensors of `other` by name.
  /// - Precondition: none of the prefixed names exists in this catalog.
  package func merging(
    _ other: TensorCatalog, prefix: String, where isIncluded: (String) -> Bool = { _ in true }
  ) -> TensorCatalog {
    var (tensors, index) = (tensors, index)
    for tensor in other.tensors where isIncluded(tensor.name) {
      let renamed = tensor.renamed(prefix + tensor.name)
      let previous = index.updateValue(Int32(tensors.count), forKey: ExactString(renamed.name))
      precondition(previous == nil, "a name of its own")
      tensors.append(renamed)
    }
    return TensorCatalog(
      path: path, tensors: tensors, metadata: metadata, warnings: warnings + other.warnings,
      index: index, format: format, gguf: gguf, state: state)
  }

  /// The same catalog with further warnings.
  package func adding(_ notes: [Note]) -> TensorCatalog {
    guard !notes.isEmpty else { return self }
    var copy = TensorCatalog(
      path: path, tensors: tensors, metadata: metadata, warnings: warnings + notes, index: index,
      format: format, gguf: gguf, state: state)
    copy.vision = vision
    return copy
  }

  /// The tensors at `positions`, renamed to `names`, which are unique.
  func selecting(_ positions: [Int], names: [String]) -> TensorCatalog {
    var index: [ExactString: Int32] = [:]
    for (place, name) in names.enumerated() { index[ExactString(name)] = Int32(place) }
    return TensorCatalog(
      path: path, tensors: zip(positions, names).map { tensors[$0].renamed($1) },
      metadata: metadata, warnings: warnings, index: index, format: format, gguf: gguf,
      state: state)
  }

  /// The same catalog, with the vision file that its last tensors come from.
  func with(_ vision: GGUFVision) -> TensorCatalog {
    var copy = self
    copy.vision = vision
    return copy
  }

  /// All tensors, renamed to `names`, which are unique.
  func renamed(_ names: [String]) -> TensorCatalog {
    selecting(Array(tensors.indices), names: names)
  }

  /// The tensor with exactly this name, compared byte by byte.
  package subscript(name: String) -> CheckpointTensor? {
    index[ExactString(name)].map { tensors[Int($0)] }
  }

  /// Sum of the tensors' bytes.
  package var byteCount: Int { tensors.reduce(0) { $0 + $1.byteCount } }

  /// The files that hold the tensors, without duplicates.
  package var sources: [MappedFile] {
    var seen = Set<ObjectIdentifier>()
    return tensors.flatMap(\.sources).filter { seen.insert(ObjectIdentifier($0)).inserted }
  }

  /// - Throws: if a file has changed since it was mapped, so that the data read may be
  ///   inconsistent.
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
