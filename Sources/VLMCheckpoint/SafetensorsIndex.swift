import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// Reads a checkpoint split over several files: `<name>.safetensors.index.json` or
/// `<name>.bin.index.json`, which maps each tensor to a file of the same folder.
package enum SafetensorsIndex {
  /// Files. The largest published checkpoints have some two hundred, and each stays open.
  package static let maximumShards = 512
  /// Which files a symbolic link in the folder may lead to.
  package enum Links: Sendable {
    /// Those of the folder itself, and of a download cache's `blobs` folder when the index's is
    /// one of its `snapshots`.
    case contained
    case anywhere
  }

  /// Reads a file of tensors, an index, or a folder that holds either.
  ///
  /// - Parameters:
  ///   - options: for PyTorch files.
  ///   - mmproj: the vision half of a LLaVA whose language half this is, both GGUF.
  package static func readCheckpoint(
    path: String, links: Links = .contained, options: PyTorchFile.Options = .init(),
    mmproj: String? = nil
  ) throws(CheckpointError) -> TensorCatalog {
    let (place, note) = try CheckpointPath.resolved(path)
    let weights = try CheckpointFolder.weights(place, mmproj: mmproj)
    var notes = note.map { [$0] } ?? []
    if case .halves(let language, let vision) = weights {
      return try CheckpointFile.read(path: language).joining(vision: vision).adding(notes)
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
    _ weights: CheckpointFolder.Weights, path: String, links: Links, options: PyTorchFile.Options
  ) throws(CheckpointError) -> TensorCatalog {
    switch weights {
    case .file(let file, _), .halves(let file, _):
      return file.hasSuffix(".json")
        ? try read(path: file, links: links, options: options)
        : try CheckpointFile.read(path: file, options: options)
    case .shards(let shards, let folder):
      var merged = Merger(path: path, wanted: nil)
      for shard in shards {
        let file = try resolve(shard, index: folder, links: links)
        try merged.add(try CheckpointFile.read(path: file, options: options), shard: shard)
      }
      return try merged.finish(totalSize: nil)
    case .parallel(let parts, let folder):
      var catalogs: [TensorCatalog] = []
      for part in parts {
        let file = try resolve(part, index: folder, links: links)
        catalogs.append(try CheckpointFile.read(path: file, options: options))
      }
      return try ParallelParts.merge(catalogs, names: parts, path: path)
    }
  }

  /// Whether a folder has weights that are no adapter.
  package static func hasModel(folder: String) -> Bool { CheckpointFolder.hasModel(folder) }

  /// Reads an index and every file it names.
  ///
  /// The tensors are in the files' order, files by name. A tensor that a file holds and the index
  /// does not name is a warning, as is a wrong `total_size`.
  package static func read(
    path: String, links: Links = .contained, options: PyTorchFile.Options = .init()
  ) throws(CheckpointError) -> TensorCatalog {
    let (weightMap, totalSize) = try parse(path)
    var wanted: [ExactString: String] = [:]
    for member in weightMap.members {
      guard let shard = member.value.stringValue else {
        throw CheckpointError(
          path: path, place: member.key,
          problem: .wrongType(
            field: "weight_map", found: member.value.kind, expected: "a string"))
      }
      try checkName(shard, index: path)
      wanted[ExactString(member.key)] = shard
    }
    let shards = Set(wanted.values).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    try checkNames(shards, index: path)
    try checkPresence(shards, index: path)

    var merged = Merger(path: path, wanted: wanted)
    for shard in shards {
      let file = try resolve(shard, index: path, links: links)
      try merged.add(try CheckpointFile.read(path: file, options: options), shard: shard)
    }
    return try merged.finish(totalSize: totalSize)
  }

  /// The `weight_map`, and `metadata.total_size` when it is an integer.
  private static func parse(_ path: String) throws(CheckpointError) -> (JSONObject, Int?) {
    let file: MappedFile
    do throws(FileError) {
      file = try MappedFile(path: path)
    } catch {
      throw CheckpointError(error)
    }
    let parsed = file.withBytes(0..<file.count) { bytes in
      Result { () throws(JSONError) in try JSONValue.parse(bytes) }
    }
    switch parsed {
    case .failure(let error):
      let kind = file.withBytes(0..<min(file.count, 512)) { FileKind.sniff($0) }
      throw CheckpointError(
        path: path,
        problem: kind.flatMap { $0 == "a JSON text" ? nil : .otherKind($0) } ?? .json(error))
    case .success(let value):
      guard let member = value["weight_map"] else {
        let isDescription = ["architectures", "architecture", "model_type", "model_cfg"]
          .contains { value[$0] != nil }
        throw CheckpointError(
          path: path, problem: isDescription ? .description : .missingField("weight_map"))
      }
      guard let map = member.objectValue else {
        throw CheckpointError(
          path: path,
          problem: .wrongType(field: "weight_map", found: member.kind, expected: "an object"))
      }
      return (map, value["metadata"]?["total_size"]?.intValue)
    }
  }

  // MARK: Names of shards

  /// A shard is named as a plain file of the index's folder, or not at all.
  private static func checkName(_ name: String, index: String) throws(CheckpointError) {
    let isPlain = name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "/"), UInt8(ascii: "\\"), UInt8(ascii: ":"), UInt8(ascii: "%"): false
      case 0..<0x20, 0x7f: false
      default: true
      }
    }
    // An index of .bin files may name both kinds, the other only its own.
    let isKnown =
      name.hasSuffix(".safetensors")
      || (index.hasSuffix(".bin.index.json") && name.hasSuffix(".bin"))
    guard isPlain, isKnown, !name.hasPrefix("."),
      name.utf8.count <= 255
    else { throw CheckpointError(path: index, problem: .unsafeShardName(name)) }
  }

  private static func checkNames(_ shards: [String], index: String) throws(CheckpointError) {
    if shards.count > maximumShards {
      throw CheckpointError(
        path: index, problem: .tooManyShards(shards.count, limit: maximumShards))
    }
    var lowered: [String: String] = [:]
    for shard in shards {
      if let other = lowered.updateValue(shard, forKey: shard.lowercased()) {
        throw CheckpointError(path: index, problem: .shardsDifferByCase(other, shard))
      }
    }
  }

  /// Says at once which are not there, as after a download that was broken off or not permitted.
  private static func checkPresence(_ shards: [String], index: String) throws(CheckpointError) {
    let folder = index.splitAtLastSlash.folder
    let missing = shards.filter { !FileSystem.exists(folder + $0) && errno == ENOENT }
    guard missing.isEmpty else {
      throw CheckpointError(path: index, problem: .missingShards(missing))
    }
  }

  /// The shard's path, once its links are known to stay where they may.
  private static func resolve(
    _ shard: String, index: String, links: Links
  ) throws(CheckpointError) -> String {
    let parent = index.splitAtLastSlash.folder
    let folder = parent.isEmpty ? "./" : parent
    let path = parent + shard
    guard links == .contained, let status = FileSystem.status(path, followsLinks: false),
      status.st_mode & S_IFMT == S_IFLNK
    else {
      return path
    }
    guard let home = FileSystem.resolved(folder), let target = FileSystem.resolved(path) else {
      // A link to nowhere: opening it says so.
      return path
    }
    var allowed = [home + "/"]
    // snapshots/REVISION, or a folder in that.
    let parts = home.split(separator: "/", omittingEmptySubsequences: false)
    if let place = parts.dropLast().lastIndex(of: "snapshots"), place > 0 {
      allowed.append(parts[..<place].joined(separator: "/") + "/blobs/")
    }
    guard allowed.contains(where: { target.hasPrefix($0) }) else {
      throw CheckpointError(
        path: path, problem: .symbolicLinkLeaves(folder: home, target: target))
    }
    return target
  }
}

/// Puts the shards' catalogs together and checks them against the index.
private struct Merger {
  let path: String
  /// The file of each tensor, as an index has it.
  let wanted: [ExactString: String]?
  private var tensors: [CheckpointTensor] = []
  private var index: [ExactString: Int32] = [:]
  private var metadata: [(key: String, value: String)] = []
  private var metadataKeys = Set<ExactString>()
  private var warnings: [String] = []
  private var format: CheckpointFormat?
  private var shardOf: [ExactString: String] = [:]
  /// Tensors that the index does not name.
  private var unnamed = 0

  private static let listedUnnamed = 20

  init(path: String, wanted: [ExactString: String]?) {
    self.path = path
    self.wanted = wanted
  }

  mutating func add(_ catalog: TensorCatalog, shard: String) throws(CheckpointError) {
    format = format ?? catalog.format
    warnings += catalog.warnings.map { "\(shard.escapedForDisplay()): \($0)" }
    for entry in catalog.metadata where metadataKeys.insert(ExactString(entry.key)).inserted {
      metadata.append(entry)
    }
    for tensor in catalog.tensors {
      let name = ExactString(tensor.name)
      if let other = shardOf.updateValue(shard, forKey: name) {
        throw CheckpointError(path: path, place: tensor.name, problem: .inTwoShards(other, shard))
      }
      if let wanted, wanted[name] == nil {
        unnamed += 1
        if unnamed <= Self.listedUnnamed {
          warnings.append(
            "\(shard.escapedForDisplay()): '\(tensor.name.escapedForDisplay())' is not in the index"
          )
        }
      }
      index[name] = Int32(truncatingIfNeeded: tensors.count)
      tensors.append(tensor)
    }
  }

  consuming func finish(totalSize: Int?) throws(CheckpointError) -> TensorCatalog {
    let strays = (wanted ?? [:]).filter { !(shardOf[$0.key]?.hasSameBytes(as: $0.value) ?? false) }
    let first = strays.min { $0.key.string.utf8.lexicographicallyPrecedes($1.key.string.utf8) }
    if let first {
      throw CheckpointError(
        path: path, place: first.key.string, problem: .notInShard(first.value))
    }
    var warnings = warnings
    if unnamed > Self.listedUnnamed {
      warnings.append("\(unnamed - Self.listedUnnamed) more tensors are not in the index")
    }
    let size = tensors.reduce(0) { $0 + $1.byteCount }
    if let totalSize, totalSize != size {
      warnings.append("total_size is \(totalSize), but the tensors have \(size) bytes")
    }
    return TensorCatalog(
      path: path, tensors: tensors, metadata: metadata, warnings: warnings, index: index,
      format: format ?? .safetensors)
  }
}
