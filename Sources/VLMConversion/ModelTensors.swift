import VLMCheckpoint
import VLMContainer
import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// A tensor of a checkpoint or of a container, whose values are read as floats, some outputs at a
/// time.
package struct ModelTensor: Sendable {
  package let name: String
  package let shape: [Int]
  /// The checkpoint's element type, or the container's scheme.
  package let type: String
  private let stored: SourceTensor

  package init(_ tensor: CheckpointTensor) {
    self.init(SourceTensor(tensor, rows: .stored), name: tensor.name, shape: tensor.shape)
  }

  /// A checkpoint's tensor as a model has it.
  ///
  /// - Parameter shape: the model's; the checkpoint's may have extents of 1 more or fewer.
  init(_ tensor: SourceTensor, name: String, shape: [Int]) {
    self.name = name
    self.shape = shape
    type = tensor.stored.typeName
    stored = tensor
  }

  /// - Parameter name: another name than the container's.
  package init(_ entry: TensorEntry, of container: Container, name: String? = nil) {
    self.init(
      SourceTensor(CheckpointTensor(entry, of: container), rows: .stored),
      name: name ?? entry.name, shape: entry.shape)
  }

  package var elementCount: Int { shape.reduce(1, *) }
  /// Along axis 0; a scalar has one.
  package var outputs: Int { shape.first ?? 1 }
  package var perOutput: Int { shape.dropFirst().reduce(1, *) }

  /// Whether the values are numbers at all.
  package var isNumeric: Bool {
    stored.stored.dtype.isConvertibleToFloat && stored.stored.blocks?.isReadable ?? true
  }

  /// Runs of outputs of some `values` values, in order, that both can be read in.
  package static func pieces(_ a: ModelTensor, _ b: ModelTensor? = nil, values: Int) -> [Range<Int>]
  {
    // Units are 1, 16 or everything.
    let unit = max(a.stored.unit, b?.stored.unit ?? 1)
    let step = max(1, values / max(1, a.perOutput) / unit) * unit
    return stride(from: 0, to: a.outputs, by: step).map { $0..<min($0 + step, a.outputs) }
  }

  /// The values of the outputs `range` in C order of the shape.
  func values(_ range: Range<Int>) throws(CheckpointError) -> [Float] {
    var values = [Float](repeating: 0, count: range.count * perOutput)
    let result = values.withUnsafeMutableBufferPointer { buffer in
      Result { () throws(CheckpointError) in try read(range, into: buffer) }
    }
    try result.get()
    return values
  }

  /// Writes the values of the outputs `range` in C order of the shape.
  package func read(
    _ range: Range<Int>, into values: UnsafeMutableBufferPointer<Float>
  ) throws(CheckpointError) {
    precondition(values.count == range.count * perOutput, "as many values as are asked for")
    try stored.readFloats(range.lowerBound * perOutput..<range.upperBound * perOutput, into: values)
  }

  /// Says that what was read will not be read again soon.
  package func release() {
    for (file, range) in stored.fileRanges(ofElements: 0..<elementCount) { file.release(range) }
  }
}

/// The tensors of a model file of any kind that is read here.
package struct ModelTensors {
  package enum Kind: Sendable, Equatable { case checkpoint, container }

  package let path: String
  package let kind: Kind
  /// In the order of the file.
  package let tensors: [ModelTensor]
  package let container: Container?
  package let catalog: TensorCatalog?
  /// Names of tensors that are no part of the model, where that is known.
  private(set) var unused: Set<ExactString> = []

  /// Opens a container, a file of tensors, or a folder or index of several.
  package static func open(
    path: String, options: PyTorchFile.Options = .init()
  ) throws -> ModelTensors {
    if try ModelFileKind.of(path) == .container {
      let container = try Container.open(path: path)
      return ModelTensors(
        path: path, kind: .container,
        tensors: container.tensors.map { ModelTensor($0, of: container) }, container: container,
        catalog: nil)
    }
    let catalog = try Checkpoint.read(path: path, options: options)
    return ModelTensors(
      path: path, kind: .checkpoint, tensors: catalog.tensors.map { ModelTensor($0) },
      container: nil, catalog: catalog)
  }

  /// The tensors under the names that a container gives them, with those that are no part of the
  /// model under their own.
  ///
  /// - Throws: where the model is not recognised.
  func canonical(options: PyTorchFile.Options) throws -> ModelTensors {
    guard catalog != nil else { return self }
    let source = try SourceRecognition.of(path, options: options)
    var seen = Set<ExactString>()
    var renamed: [ModelTensor] = []
    for (name, origin) in source.checkpoint.tensors {
      guard let tensor = try source.catalog.tensor(of: origin) else { continue }
      for stored in origin.stored { seen.insert(ExactString(stored)) }
      renamed.append(
        ModelTensor(
          SourceTensor(tensor, rows: origin.rows, added: origin.added), name: name,
          shape: origin.shape))
    }
    let others = source.catalog.tensors.filter { !seen.contains(ExactString($0.name)) }
    return ModelTensors(
      path: path, kind: kind, tensors: renamed + others.map { ModelTensor($0) }, container: nil,
      catalog: source.catalog, unused: Set(others.map { ExactString($0.name) }))
  }

  /// A container's tensors under the names of the checkpoint that it was made from; nil where it
  /// does not know them. A checkpoint's are as they are.
  ///
  /// - Throws: `ContainerError`, `ConversionError` for a container whose provenance is damaged.
  func original() throws -> ModelTensors? {
    guard let container else { return self }
    guard let names = try container.originalNames() else { return nil }
    return ModelTensors(
      path: path, kind: kind,
      tensors: container.tensors.map { ModelTensor($0, of: container, name: names[$0.name]) },
      container: container, catalog: nil)
  }

  /// - Throws: when a file that the tensors lie in has changed since it was opened.
  package func checkUnchanged() throws {
    try container?.checkUnchanged()
    try catalog?.checkUnchanged()
  }

  /// How many tensors both have under the same name in the same shape.
  func shared(with other: ModelTensors) -> Int {
    var shapes: [ExactString: [Int]] = [:]
    for tensor in tensors { shapes[ExactString(tensor.name)] = tensor.shape }
    return other.tensors.count { shapes[ExactString($0.name)] == $0.shape }
  }

  /// Whether it can hold nothing but a model: a container, or what was extracted from one.
  var isModelAlone: Bool {
    container != nil
      || catalog?.metadata.contains { $0.key == ExtractedModel.key(.config) } ?? false
  }
}
