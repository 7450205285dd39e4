import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// Finds the weights in a folder written by timm, Hugging Face, open_clip or llama.cpp.
enum CheckpointFolder {
  /// Well-known file names, in the order in which a folder is searched for them.
  private static let knownNames = [
    // A single file takes precedence over an index, as in transformers.
    "model.safetensors", "model.safetensors.index.json", "open_clip_model.safetensors",
    "pytorch_model.bin", "pytorch_model.bin.index.json", "open_clip_pytorch_model.bin",
    // The output of LLaVA's pretraining stage.
    "mm_projector.bin",
  ]
  /// Extensions of weight files that have none of the well-known names.
  private static let knownEndings = [
    ".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".pth.tar", ".gguf",
  ]
  /// Training state that trainers save beside the weights.
  private static let trainingStateNames = [
    "training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt",
    "rng_state.pth",
  ]
  /// Adapter files of peft, which may stand alone or beside a model.
  private static let adapterNames = [
    "adapter_model.safetensors", "adapter_model.bin", "non_lora_trainables.bin",
  ]

  /// Extensions of weight files in unsupported formats, to be named in the error message.
  private static let otherEndings =
    OtherWeights.endings + [
      ".ot", ".npz", ".npy", ".pkl", ".pickle", ".joblib", ".index", ".distcp", ".ggml", ".vlmz",
      ".tar", ".gz", ".zip", ".nemo", ".ckpt.meta", ".mar", ".safetensors.index", ".llamafile",
      ".rar", ".7z", ".xz", ".bz2", ".zst",
    ]
  /// Extensions of unfinished downloads.
  private static let unfinishedEndings = [
    ".incomplete", ".aria2", ".part", ".crdownload", ".download", ".partial", ".!qB", ".tmp",
  ]

  /// Whether the folder holds model weights, not only adapters.
  static func hasModel(_ folder: String) -> Bool {
    CheckpointPath.names(folder).contains { isWeights($0) && !adapterNames.contains($0) }
  }

  /// Where the weights of a checkpoint are.
  enum Weights {
    /// A tensor file or an index, with notes about the choice for the user.
    case file(String, notes: [Note] = [])
    /// The shards of a model without an index: their names, and the folder's path with a trailing
    /// slash.
    case shards([String], folder: String)
    /// The tensor-parallel shards of Meta's original layout; each holds a slice of every matrix.
    case parallel([String], folder: String)
    /// A language model and its vision file (mmproj), both GGUF.
    case halves(language: String, vision: String)
  }

  /// A file name of the form `model-00002-of-00005.safetensors`.
  private struct ShardName {
    let stem: Substring
    let number: Int
    let count: Int
    let ending: Substring

    init?(_ name: String) {
      guard let dot = name.lastIndex(of: ".") else { return nil }
      let parts = name[..<dot].split(separator: "-", omittingEmptySubsequences: false)
      guard parts.count >= 4, parts[parts.count - 2] == "of",
        let number = Self.number(parts[parts.count - 3]),
        let count = Self.number(parts[parts.count - 1]),
        number >= 1, number <= count
      else { return nil }
      stem = name[..<parts[parts.count - 3].startIndex]
      (self.number, self.count, ending) = (number, count, name[dot...])
    }

    private static func number(_ text: Substring) -> Int? {
      text.utf8.count == 5 && text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
    }

    func isSibling(of other: ShardName) -> Bool {
      count == other.count && String(stem).hasSameBytes(as: String(other.stem))
        && ending == other.ending
    }
  }

  /// Finds the weights at `path`, a file or a folder.
  ///
  /// The parts of a split GGUF file count as one model, represented by its first part. So do
  /// complete sets of shards that have lost their index, and tensor-parallel shards.
  ///
  /// - Parameter mmproj: the vision file that the user names for a language model in GGUF.
  /// - Throws: `.severalModels` if the folder is ambiguous, `.noWeights` if it has no weights.
  static func weights(
    _ path: String, mmproj: String? = nil
  ) throws(CheckpointError) -> Weights {
    guard FileSystem.kind(path) == S_IFDIR else {
      if let absence = CheckpointPath.absence(path) { throw absence }
      return try TensorParallelShards.around(file: path) ?? .file(path)
    }
    let folder = path.hasSuffix("/") ? path : path + "/"
    let known = knownNames.filter { FileSystem.kind(folder + $0) != nil }
    if let first = known.first {
      let index = known.dropFirst().first { $0.hasPrefix(first) }
      let note = index.map {
        "the folder has '\(first)' and '\($0)': reading '\(first)', as transformers does"
      }
      return .file(folder + first, notes: note.map { [Note($0)] } ?? [])
    }
    let names = CheckpointPath.names(path).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    if let broken = names.first(where: { knownNames.contains($0) }) {
      throw CheckpointError(path: folder + broken, problem: .brokenLink)
    }
    var candidates = names.filter { name in
      isWeights(name) && FileSystem.kind(folder + name) != S_IFDIR
        && !OtherWeights.isPart(name, of: folder)
    }
    // The original layout of Meta or Mistral beside the one of transformers, or adapters beside a
    // model.
    let others = candidates.filter {
      !$0.hasPrefix("consolidated.") && !adapterNames.contains($0)
    }
    if !others.isEmpty { candidates = others }
    guard let first = candidates.first else { throw noWeights(path, names) }
    if let part = GGUFSplit.Name(first) {
      // The names are sorted, so the parts of one model are adjacent and in order.
      let isOne = candidates.allSatisfy {
        guard let other = GGUFSplit.Name($0) else { return false }
        return ExactString(other.stem) == ExactString(part.stem) && other.count == part.count
      }
      if isOne { return .file(folder + first) }
    }
    if let parts = try TensorParallelShards.names(candidates, path) {
      return .parallel(parts, folder: folder)
    }
    if let shards = try shards(candidates, path) { return .shards(shards, folder: folder) }
    guard candidates.count == 1 else {
      if let (language, vision) = try GGUFVision.halves(candidates, folder: folder, given: mmproj) {
        return .halves(language: language, vision: vision)
      }
      throw CheckpointError(path: path, problem: .severalModels(candidates))
    }
    return .file(folder + first)
  }

  private static func isWeights(_ name: String) -> Bool {
    let lower = name.lowercased()
    return (knownEndings.contains { lower.hasSuffix($0) } || knownNames.contains(name))
      && !name.hasPrefix(".") && !trainingStateNames.contains(name)
  }

  /// The error for a folder without weights. It points to subfolders with weights, unfinished
  /// downloads, or files of other formats.
  private static func noWeights(_ path: String, _ names: [String]) -> CheckpointError {
    let folder = path.hasSuffix("/") ? path : path + "/"
    if FileSystem.kind(folder + "model_index.json") != nil {
      return CheckpointError(path: path, problem: .pipeline)
    }
    if let kind = OtherWeights.kind(ofFolder: folder, names) {
      return CheckpointError(path: path, problem: .otherKind(kind))
    }
    let inner = names.filter { name in
      !name.hasPrefix(".") && FileSystem.kind(folder + name) == S_IFDIR
        && CheckpointPath.names(folder + name).contains { file in
          isWeights(file) && !OtherWeights.isPart(file, of: folder + name + "/")
        }
    }
    let cached = (names + CheckpointPath.names(folder + "hub").map { "hub/" + $0 }).filter {
      ($0.hasPrefix("models--") || $0.hasPrefix("hub/models--"))
        && FileSystem.kind(folder + $0 + "/snapshots") == S_IFDIR
    }.sorted()
    if inner.isEmpty, let first = cached.first {
      return CheckpointError(path: path, problem: .innerFolders(cached, ready: folder + first))
    }
    if inner.isEmpty, let store = store(path, folder, names) { return store }
    if !inner.isEmpty {
      // Checkpoints of a trainer, named by step.
      let steps = inner.compactMap { name in
        name.dropping("checkpoint-").flatMap { Int($0) }.map { (step: $0, name: name) }
      }
      let newest = steps.max { $0.step < $1.step }?.name
      return CheckpointError(
        path: path, problem: .innerFolders(inner, ready: folder + (newest ?? inner[0])))
    }
    let cache = folder + ".cache/huggingface/download"
    // A snapshot of the Hub's cache has its files in the model's blobs.
    let blobs = FileSystem.kind(folder + "../../snapshots") == S_IFDIR ? folder + "../../blobs" : ""
    let unfinished = names + CheckpointPath.names(cache) + CheckpointPath.names(blobs)
    if let name = unfinished.first(where: { name in
      unfinishedEndings.contains { name.hasSuffix($0) }
    }) {
      return CheckpointError(path: path, problem: .unfinished(name))
    }
    var others = names.filter(isOther)
    // Exports lie in folders of their own: onnx/model.onnx.
    for name in names where others.isEmpty && FileSystem.kind(folder + name) == S_IFDIR {
      others = CheckpointPath.names(folder + name).sorted().filter(isOther).map { "\(name)/\($0)" }
    }
    if others.isEmpty, let deep = deeper(folder, names, levels: 4) {
      let place = String(deep.dropFirst(folder.utf8.count))
      return CheckpointError(path: path, problem: .innerFolders([place], ready: deep))
    }
    return CheckpointError(path: path, problem: .noWeights(others))
  }

  /// The first folder further down that has weights, as in collections and logs of trainers.
  private static func deeper(_ folder: String, _ names: [String], levels: Int) -> String? {
    guard levels > 0 else { return nil }
    // A link may lead back up.
    let inner = names.sorted().prefix(64).filter { name in
      !name.hasPrefix(".")
        && FileSystem.status(folder + name, followsLinks: false)
          .map { $0.st_mode & S_IFMT == S_IFDIR } ?? false
    }
    for name in inner {
      let names = CheckpointPath.names(folder + name)
      if names.contains(where: isWeights) { return folder + name }
    }
    for name in inner {
      let names = CheckpointPath.names(folder + name)
      if let found = deeper(folder + name + "/", names, levels: levels - 1) { return found }
    }
    return nil
  }

  /// The error for ollama's folder, for that of its models, or for its blobs.
  private static func store(
    _ path: String, _ folder: String, _ names: [String]
  ) -> CheckpointError? {
    let isBlobs = names.contains { $0.hasPrefix("sha256-") }
    let prefix = isBlobs ? "" : names.contains("blobs") ? "blobs/" : "models/blobs/"
    let files = CheckpointPath.names(folder + prefix).filter { $0.hasPrefix("sha256-") }.sorted()
    let models = files.map { prefix + $0 }.filter { name in
      guard FileSystem.kind(folder + name) == S_IFREG,
        let file = try? MappedFile(path: folder + name, isInput: false)
      else { return false }
      return GGUFFile.matches(file)
    }
    guard let first = models.first else { return nil }
    return CheckpointError(
      path: path, problem: .store(models, ready: folder + first))
  }

  private static func isOther(_ name: String) -> Bool {
    let lower = name.lowercased()
    return otherEndings.contains { lower.hasSuffix($0) }
  }

  /// `names`, if they are all shards of one model; nil otherwise.
  ///
  /// - Throws: `.missingShards` if some shards are absent.
  private static func shards(
    _ names: [String], _ path: String
  ) throws(CheckpointError) -> [String]? {
    let shards = names.compactMap { ShardName($0) }
    guard shards.count == names.count, let first = shards.first, first.ending != ".gguf",
      first.count > 1, first.count <= ShardIndex.maximumShards,
      shards.allSatisfy({ $0.isSibling(of: first) })
    else { return nil }
    let present = Set(shards.map(\.number))
    let missing = (1...first.count).filter { !present.contains($0) }
    guard missing.isEmpty else {
      let digits = missing.map { "\(100_000 + $0)".dropFirst() }
      let count = "\(100_000 + first.count)".dropFirst()
      throw CheckpointError(
        path: path,
        problem: .missingShards(digits.map { "\(first.stem)\($0)-of-\(count)\(first.ending)" }))
    }
    return names
  }
}
