import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// Finds the weights in a folder as timm, Hugging Face, open_clip and llama.cpp fill it.
enum CheckpointFolder {
  /// What a folder is searched for, in this order.
  private static let knownNames = [
    "model.safetensors.index.json", "model.safetensors", "open_clip_model.safetensors",
    "pytorch_model.bin.index.json", "pytorch_model.bin", "open_clip_pytorch_model.bin",
    // What training's first stage leaves of a LLaVA.
    "mm_projector.bin",
  ]
  /// How the only weights of a folder may end when they have none of these names.
  private static let knownEndings = [
    ".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".pth.tar", ".gguf",
  ]
  /// What trainers leave beside the weights.
  private static let foreignNames = [
    "training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt",
  ]

  /// How files end that hold weights in other formats, to name them where there are no others.
  private static let otherEndings = [
    ".msgpack", ".h5", ".hdf5", ".keras", ".onnx", ".tflite", ".pb", ".ot", ".npz", ".npy", ".pkl",
    ".pickle", ".joblib", ".index", ".distcp", ".mlmodel", ".xml", ".ggml", ".vlmz", ".tar", ".gz",
    ".zip", ".nemo", ".engine", ".pdparams", ".params", ".ckpt.meta",
  ]

  /// Whether the folder has weights under a name that means a whole model.
  static func hasModel(_ folder: String) -> Bool {
    knownNames.contains { access(folder + "/" + $0, F_OK) == 0 }
  }

  /// The files or the index of weights at `path`, which may be the folder that has them.
  enum Weights {
    case file(String)
    /// The parts of a model without an index, by their names in the folder, and its path with a
    /// slash at its end.
    case shards([String], folder: String)
    /// A language model and its vision half, both GGUF.
    case halves(language: String, vision: String)
  }

  /// A name as `model-00002-of-00005.safetensors`.
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

  /// The parts of a split GGUF file are one model; the first that is there stands for all. So are
  /// those that transformers writes, where their index is lost and all are there.
  ///
  ///
  /// - Parameter mmproj: the vision half that the user names for a language model in GGUF.
  /// - Throws: `.severalModels` where a folder leaves a choice, `.noWeights` where it has none.
  static func weights(
    _ path: String, mmproj: String? = nil
  ) throws(CheckpointError) -> Weights {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      return .file(path)
    }
    let folder = path.hasSuffix("/") ? path : path + "/"
    if let known = knownNames.first(where: { access(folder + $0, F_OK) == 0 }) {
      return .file(folder + known)
    }
    let names = fileNames(path).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let candidates = names.filter { name in
      knownEndings.contains { name.hasSuffix($0) } && !name.hasPrefix(".")
        && !foreignNames.contains(name)
    }
    guard let first = candidates.first else {
      let others = names.filter { name in otherEndings.contains { name.hasSuffix($0) } }
      throw CheckpointError(path: path, problem: .noWeights(others))
    }
    if let part = GGUFSplit.Name(first) {
      // Sorted, so the parts of one model stand together in their order.
      let isOne = candidates.allSatisfy {
        guard let other = GGUFSplit.Name($0) else { return false }
        return ExactString(other.stem) == ExactString(part.stem) && other.count == part.count
      }
      if isOne { return .file(folder + first) }
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

  /// `names`, when they are all parts of one model.
  ///
  /// - Throws: `.missingShards` when they are some of them.
  private static func shards(
    _ names: [String], _ path: String
  ) throws(CheckpointError) -> [String]? {
    let shards = names.compactMap { ShardName($0) }
    guard shards.count == names.count, let first = shards.first, first.ending != ".gguf",
      first.count > 1, first.count <= SafetensorsIndex.maximumShards,
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

  static func fileNames(_ folder: String) -> [String] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      names.append(name)
    }
    return names
  }
}
