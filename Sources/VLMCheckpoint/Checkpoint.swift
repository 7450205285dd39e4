import VLMFoundation

/// Opens a checkpoint of any supported format and layout.
package enum Checkpoint {
  /// Reads a tensor file, a shard index, or a folder that holds either.
  ///
  /// - Parameters:
  ///   - links: where symbolic links to shards may lead.
  ///   - options: how PyTorch files are read.
  ///   - mmproj: the vision file of a LLaVA in GGUF; `path` is its language model.
  package static func read(
    path: String, links: ShardIndex.Links = .contained, options: PyTorchFile.Options = .init(),
    mmproj: String? = nil
  ) throws(CheckpointError) -> TensorCatalog {
    let (place, note) = try CheckpointPath.resolved(path)
    let weights = try CheckpointFolder.weights(place, mmproj: mmproj)
    var notes = note.map { [Note($0)] } ?? []
    if case .halves(let language, let vision) = weights {
      return try readFile(path: language).joining(vision: vision).adding(notes)
    }
    if case .file(_, let choice) = weights { notes += choice }
    var catalog = try read(weights, path: path, links: links, options: options)
    if let mmproj { catalog = try catalog.joining(vision: mmproj) }
    guard case .named(let state) = options.state, catalog.format == .safetensors else {
      return catalog.adding(notes)
    }
    return try catalog.selecting(state).adding(notes)
  }

  private static func read(
    _ weights: CheckpointFolder.Weights, path: String, links: ShardIndex.Links,
    options: PyTorchFile.Options
  ) throws(CheckpointError) -> TensorCatalog {
    switch weights {
    case .file(let file, _), .halves(let file, _):
      return file.hasSuffix(".json")
        ? try ShardIndex.read(path: file, links: links, options: options)
        : try readFile(path: file, options: options)
    case .shards(let shards, let folder):
      var merged = ShardMerger(path: path, wanted: nil)
      for shard in shards {
        let file = try ShardIndex.resolve(shard, index: folder, links: links)
        try merged.add(try readFile(path: file, options: options), shard: shard)
      }
      return try merged.finish(totalSize: nil)
    case .parallel(let parts, let folder):
      var catalogs: [TensorCatalog] = []
      for part in parts {
        let file = try ShardIndex.resolve(part, index: folder, links: links)
        catalogs.append(try readFile(path: file, options: options))
      }
      return try TensorParallelShards.merge(catalogs, names: parts, path: path)
    }
  }

  /// Whether a folder holds model weights, not only adapters.
  package static func hasModel(folder: String) -> Bool { CheckpointFolder.hasModel(folder) }

  /// Reads one tensor file. The content determines the format, not the name.
  package static func readFile(
    path: String, options: PyTorchFile.Options = .init()
  ) throws(CheckpointError) -> TensorCatalog {
    let file = try MappedFile.ofCheckpoint(path: path)
    // aria2 allocates the full size at the start, so the size does not reveal an unfinished
    // download.
    if FileSystem.kind(path + ".aria2") != nil {
      throw CheckpointError(path: path, problem: .unfinished(path + ".aria2"))
    }
    let catalog =
      GGUFFile.matches(file)
      ? try GGUFFile(file).catalog
      : PyTorchFile.matches(file)
        ? try PyTorchFile.read(file, options: options) : try SafetensorsFile.read(file)
    return ZeroTail.note(file, catalog).map { catalog.adding([$0]) } ?? catalog
  }
}
