import VLMTensor

extension TensorCatalog {
  /// Modules of PyTorch that stand around others to compile, shard or recompute them, and leave
  /// their names in the state dict.
  private static let wrappers: Set<Substring> = [
    "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module",
  ]
  /// What data-parallel training puts before every name.
  private static let parallel = "module."

  /// The catalog without the names of such modules: `_orig_mod.` of `torch.compile`,
  /// `_fsdp_wrapped_module.` and `_checkpoint_wrapped_module.` anywhere, `module.` where every name
  /// begins with it. As it is where two tensors would have one name then.
  package func unwrapped() -> TensorCatalog {
    guard gguf == nil, !tensors.isEmpty else { return self }
    var names = tensors.map(\.name)
    for (position, name) in names.enumerated() {
      let parts = name.split(separator: ".", omittingEmptySubsequences: false)
      guard parts.contains(where: { Self.wrappers.contains($0) }) else { continue }
      names[position] = parts.filter { !Self.wrappers.contains($0) }.joined(separator: ".")
    }
    while names.allSatisfy({ $0.hasPrefix(Self.parallel) }) {
      names = names.map { String($0.dropFirst(Self.parallel.count)) }
    }
    guard zip(names, tensors).contains(where: { !$0.hasSameBytes(as: $1.name) }),
      !names.contains(""), Set(names.map { ExactString($0) }).count == names.count
    else { return self }
    return renamed(names)
  }
}
