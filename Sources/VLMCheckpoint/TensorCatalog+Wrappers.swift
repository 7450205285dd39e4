import VLMFoundation

extension TensorCatalog {
  /// PyTorch modules that wrap others to compile, shard or recompute them, and leave their names in
  /// the state dict.
  private static let wrappers: Set<Substring> = [
    "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module",
  ]
  /// The prefix that data-parallel training adds to every name.
  private static let parallel = "module."

  /// The catalog without wrapper names: `_orig_mod.` of `torch.compile`, `_fsdp_wrapped_module.`
  /// and `_checkpoint_wrapped_module.` anywhere, and `module.` if every name begins with it.
  /// Unchanged if two tensors would get the same name.
  package func unwrapped() -> TensorCatalog {
    guard gguf == nil, !tensors.isEmpty else { return self }
    var names = tensors.map(\.name)
    for (position, name) in names.enumerated() where Self.mayHaveWrapper(name) {
      let parts = name.split(separator: ".", omittingEmptySubsequences: false)
      guard parts.contains(where: { Self.wrappers.contains($0) }) else { continue }
      names[position] = parts.filter { !Self.wrappers.contains($0) }.joined(separator: ".")
    }
    let count = names.map(Self.parallelCount).min() ?? 0
    if count > 0 {
      names = names.map { String(decoding: $0.utf8.dropFirst(count), as: UTF8.self) }
    }
    guard zip(names, tensors).contains(where: { !$0.hasSameBytes(as: $1.name) }),
      !names.contains(""), Set(names.map { ExactString($0) }).count == names.count
    else { return self }
    return renamed(names)
  }

  /// Whether a component of a name begins with an underscore, as all wrappers do.
  private static func mayHaveWrapper(_ name: String) -> Bool {
    var previous = UInt8(ascii: ".")
    for byte in name.utf8 {
      if byte == UInt8(ascii: "_"), previous == UInt8(ascii: ".") { return true }
      previous = byte
    }
    return false
  }

  /// Bytes of the data-parallel prefixes of a name.
  private static func parallelCount(_ name: String) -> Int {
    var rest = name.utf8[...]
    while rest.starts(with: parallel.utf8) { rest = rest.dropFirst(parallel.utf8.count) }
    return name.utf8.count - rest.count
  }

  /// The tensors whose names begin with `prefix`, which is removed.
  package func selecting(prefix: String) -> TensorCatalog {
    let positions = tensors.indices.filter { position in
      let name = tensors[position].name
      return name.hasPrefix(prefix) && name.utf8.count > prefix.utf8.count
    }
    return selecting(
      positions, names: positions.map { String(tensors[$0].name.dropFirst(prefix.count)) })
  }

  /// Applies the choice of a state to a file whose hierarchy is only in dotted names.
  ///
  /// - Throws: `.noSuchState` with the existing prefixes if no name begins with `state`.
  func selecting(_ state: String) throws(CheckpointError) -> TensorCatalog {
    let result = selecting(prefix: state + ".")
    guard result.tensors.isEmpty else { return result }
    var choices: [String] = []
    for tensor in tensors {
      guard let dot = tensor.name.firstIndex(of: "."), choices.count < 20 else { continue }
      let part = String(tensor.name[..<dot])
      if !choices.contains(part) { choices.append(part) }
    }
    throw CheckpointError(path: path, problem: .noSuchState(state, choices: choices))
  }
}
