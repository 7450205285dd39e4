import VLMFoundation
import VLMTensor

/// How a checkpoint is stored.
package enum CheckpointFormat: String, Sendable {
  case safetensors
  case pyTorchZip = "PyTorch zip"
  case pyTorchLegacy = "PyTorch legacy"
  case torchScript = "TorchScript"
  case gguf = "GGUF"
  /// What is converted already.
  case container = "vlmz"

  package var isPyTorch: Bool {
    switch self {
    case .pyTorchZip, .pyTorchLegacy, .torchScript: true
    case .safetensors, .gguf, .container: false
    }
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
  /// Of the file, or of the first of several.
  package let format: CheckpointFormat
  /// The metadata of a GGUF file, with its types.
  package let gguf: GGUFMetadata?
  /// What `--state` would have to name to read the same; empty for all of the file.
  package let state: String
  /// The vision half of a LLaVA in GGUF, whose tensors are among these.
  package private(set) var vision: GGUFVision?
  private let index: [ExactString: Int32]

  /// `index` holds the position of each name in `tensors`.
  init(
    path: String, tensors: [CheckpointTensor], metadata: [(key: String, value: String)],
    warnings: [String], index: [ExactString: Int32], format: CheckpointFormat = .safetensors,
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

  /// - Precondition: no two tensors have one name.
  package init(path: String, tensors: [CheckpointTensor], format: CheckpointFormat) {
    var index: [ExactString: Int32] = [:]
    for (place, tensor) in tensors.enumerated() { index[ExactString(tensor.name)] = Int32(place) }
    self.init(
      path: path, tensors: tensors, metadata: [], warnings: [], index: index, format: format)
  }

  /// This catalog with the tensors of `other`, their names behind `prefix`, added after its own.
  ///
  /// - Parameter isIncluded: which of the other's names are wanted.
  /// - Precondition: none of them, behind `prefix`, is a name of this catalog.
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

  /// The same with more to say.
  package func adding(_ notes: [String]) -> TensorCatalog {
    guard !notes.isEmpty else { return self }
    var copy = TensorCatalog(
      path: path, tensors: tensors, metadata: metadata, warnings: warnings + notes, index: index,
      format: format, gguf: gguf, state: state)
    copy.vision = vision
    return copy
  }

  /// The tensors at `positions`, under `names`, no two the same.
  func selecting(_ positions: [Int], names: [String]) -> TensorCatalog {
    var index: [ExactString: Int32] = [:]
    for (place, name) in names.enumerated() { index[ExactString(name)] = Int32(place) }
    return TensorCatalog(
      path: path, tensors: zip(positions, names).map { tensors[$0].renamed($1) },
      metadata: metadata, warnings: warnings, index: index, format: format, gguf: gguf,
      state: state)
  }

  /// The same with the vision half that its last tensors are from.
  func with(_ vision: GGUFVision) -> TensorCatalog {
    var copy = self
    copy.vision = vision
    return copy
  }

  /// The tensors under other names, as many as there are, no two the same.
  func renamed(_ names: [String]) -> TensorCatalog {
    selecting(Array(tensors.indices), names: names)
  }

  /// The tensor called `name`, byte for byte.
  package subscript(name: String) -> CheckpointTensor? {
    index[ExactString(name)].map { tensors[Int($0)] }
  }

  /// Sum of the tensors' bytes.
  package var byteCount: Int { tensors.reduce(0) { $0 + $1.byteCount } }

  /// The files that hold the tensors, each once.
  package var sources: [MappedFile] {
    var seen = Set<ObjectIdentifier>()
    return tensors.flatMap(\.sources).filter { seen.insert(ObjectIdentifier($0)).inserted }
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
