import VLMFoundation
import VLMTensor

/// Reads the output of `torch.save` and `torch.jit.save`: a zip archive of a pickle and storages,
/// or the older stream of pickles.
///
/// A pickle is a program. This reader interprets it only as far as it describes tensors in
/// containers, and executes nothing: see `PickleMachine`. Storages stay in the mapped file unless
/// they are compressed or in the other byte order.
package enum PyTorchFile {
  package struct Options: Sendable {
    package var state: StateSelection
    /// Whether a storage with a wrong CRC-32 is refused.
    package var verifiesChecksums: Bool

    package init(state: StateSelection = .automatic, verifiesChecksums: Bool = true) {
      self.state = state
      self.verifiesChecksums = verifiesChecksums
    }
  }

  /// Whether the file starts like a zip archive or a pickle.
  package static func matches(_ file: MappedFile) -> Bool {
    guard file.count >= 4 else { return false }
    return file.withBytes(0..<min(file.count, 9)) { bytes in
      if isZip(bytes) { return true }
      // The length of a safetensors header can start with the same two bytes; its ninth byte is a
      // brace.
      let isSafetensors = bytes.count == 9 && bytes[8] == UInt8(ascii: "{")
      return bytes[0] == 0x80 && bytes[1] <= 5 && !isSafetensors
    }
  }

  private static func isZip(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.starts(with: [0x50, 0x4b, 3, 4]) || bytes.starts(with: [0x50, 0x4b, 5, 6])
  }

  /// - Throws: `CheckpointError` naming the entry, storage, tensor or byte of the pickle.
  package static func read(
    _ file: MappedFile, options: Options = Options()
  ) throws(CheckpointError) -> TensorCatalog {
    let isZip = file.withBytes(0..<min(file.count, 4)) { Self.isZip($0) }
    guard isZip else {
      let stream = try LegacyStream(file)
      let storages = TorchStorages(
        file, places: stream.places, isBigEndian: false, verifiesChecksums: false)
      return try catalog(
        stream.tree, storages, format: .pyTorchLegacy, options: options, warnings: [],
        attributes: { _ in nil })
    }
    let archive = try TorchArchive(file, options: options)
    let tree = try archive.tree()
    let code = TorchScriptCode(archive.zip, root: archive.root)
    return try catalog(
      tree, archive.storages(), format: archive.isTorchScript ? .torchScript : .pyTorchZip,
      options: options, warnings: archive.warnings, attributes: { code.attributes($0) })
  }

  package static func read(
    path: String, options: Options = Options()
  ) throws(CheckpointError) -> TensorCatalog {
    try read(MappedFile.ofCheckpoint(path: path), options: options)
  }

  private static func catalog(
    _ tree: PickleTree, _ storages: TorchStorages, format: CheckpointFormat, options: Options,
    warnings: [Note], attributes: @escaping (PickleGlobal) -> Set<String>?
  ) throws(CheckpointError) -> TensorCatalog {
    var (storages, warnings) = (storages, warnings)
    let path = storages.file.path
    try checkRoot(tree, path)
    try storages.check(tree)
    let choice = try choose(tree, options.state, path: path, warnings: &warnings)
    let memory = max(0, TorchStorages.limit(fileCount: storages.file.count) - tree.memory)
    var walk = StateWalk(tree, path: path, memory: memory, attributes: attributes)
    let found = try walk.run(choice.value).compactMap { item -> StateWalk.Found? in
      guard item.name.hasPrefix(choice.prefix) else { return nil }
      let name = String(item.name.dropFirst(choice.prefix.count))
      return name.isEmpty ? nil : StateWalk.Found(name: name, tensor: item.tensor)
    }
    if found.isEmpty, case .named(let name) = options.state, !choice.prefix.isEmpty {
      throw CheckpointError(
        path: path, problem: .pyTorch(.noSuchState(name, choices: StateChoice.choices(tree))))
    }
    var tensors: [CheckpointTensor] = []
    var index: [ExactString: Int32] = [:]
    var bytesLeft = TorchStorages.limit(fileCount: storages.file.count)
    var quantized: [String] = []
    for item in found {
      guard index.updateValue(Int32(tensors.count), forKey: ExactString(item.name)) == nil else {
        throw CheckpointError(path: path, place: item.name, problem: .duplicateName)
      }
      let pickled = tree.tensors[Int(item.tensor)]
      // The machine has checked that the product does not overflow.
      let bytes = pickled.type.byteCount(pickled.shape) ?? 0
      guard bytes + item.name.utf8.count <= bytesLeft else {
        throw CheckpointError(
          path: path, place: item.name,
          problem: .pyTorch(
            .tensor(
              "the tensors up to this one have more than "
                + "\(TorchStorages.limit(fileCount: storages.file.count)) bytes, too many for a "
                + "file of \(storages.file.count)")))
      }
      bytesLeft -= bytes + item.name.utf8.count
      if pickled.type.name.hasPrefix("q") { quantized.append(item.name) }
      tensors.append(try storages.tensor(pickled, name: item.name, tree))
    }
    if let first = quantized.first {
      warnings.append(
        "\(quantized.count) quantized tensors are read as their codes: "
          + "'\(first.escapedForDisplay())'\(quantized.count > 1 ? ", …" : "")")
    }
    // A fixed allowance suffices for class names, whatever else is in memory.
    let metadata = tree.metadata(memory: max(memory - walk.memory, 4 << 20))
    return TensorCatalog(
      path: path, tensors: tensors, metadata: metadata,
      warnings: warnings + storages.warnings, index: index, format: format,
      state: options.state == .everything ? "" : choice.path.joined(separator: "."))
  }

  /// Maximum number of states listed in a warning.
  private static let maximumAlternatives = 20

  /// Checks that the root of the pickle can contain tensors.
  static func checkRoot(_ tree: PickleTree, _ path: String) throws(CheckpointError) {
    func failure(_ problem: PyTorchProblem) -> CheckpointError {
      CheckpointError(path: path, problem: .pyTorch(problem))
    }
    switch tree.root {
    case .dict, .list, .tuple: return
    case .object(let index) where tree.global(tree.objects[Int(index)].type)?.isTorchScript ?? false:
      return
    default: break
    }
    if let name = tree.moduleClass(tree.root) { throw failure(.wholeModule(name)) }
    if let name = tree.className(tree.root) {
      throw failure(.rootIsNoState("an object of class '\(name)'"))
    }
    throw failure(.rootIsNoState(tree.root.kind))
  }

  private static func choose(
    _ tree: PickleTree, _ selection: StateSelection, path: String, warnings: inout [Note]
  ) throws(CheckpointError) -> StateChoice {
    switch selection {
    case .everything: return StateChoice(value: tree.root, path: [], alternatives: [])
    case .automatic:
      let choice = StateChoice.automatic(tree)
      if choice.alternatives.count > choice.path.count {
        warnings.append(
          Note(
            "reading the state '\(choice.path.joined(separator: ".").escapedForDisplay())' of "
              + choice.alternatives.prefix(Self.maximumAlternatives)
              .map { "'\($0.escapedForDisplay(limit: 120))'" }.joined(separator: ", ")
              + (choice.alternatives.count > Self.maximumAlternatives ? ", …" : ""), .anotherState))
      }
      return choice
    case .named(let name):
      // The prefix for names of tensors in a top-level list.
      return StateChoice.named(name, tree)
        ?? StateChoice(value: tree.root, path: [name], alternatives: [], prefix: name + ".")
    }
  }
}
