import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// The index of a sharded checkpoint: `<name>.safetensors.index.json` or `<name>.bin.index.json`.
/// It maps each tensor to a file of the same folder.
package enum ShardIndex {
  /// Maximum number of shards. The largest published checkpoints have about two hundred, and each
  /// file stays open.
  package static let maximumShards = 512
  /// Which files symbolic links in the folder may lead to.
  package enum Links: Sendable {
    /// Files of the folder itself, and of a download cache's `blobs` folder if the index is in one
    /// of its `snapshots`.
    case contained
    case anywhere
  }

  /// Reads an index and every shard it names.
  ///
  /// Tensors are listed in the order of their shards, sorted by name. A tensor that the index does
  /// not name causes a warning, and so does a wrong `total_size`.
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

    var merged = ShardMerger(path: path, wanted: wanted)
    for shard in shards {
      let file = try resolve(shard, index: path, links: links)
      try merged.add(try Checkpoint.readFile(path: file, options: options), shard: shard)
    }
    return try merged.finish(totalSize: totalSize)
  }

  /// The `weight_map`, and `metadata.total_size` if it is an integer.
  private static func parse(_ path: String) throws(CheckpointError) -> (JSONObject, Int?) {
    let file = try MappedFile.ofCheckpoint(path: path)
    if let kind = FileKind.standIn(file) {
      throw CheckpointError(path: path, problem: file.count == 0 ? .empty : .otherKind(kind))
    }
    let parsed = file.withBytes(0..<file.count) { bytes in
      Result { () throws(JSONError) in try JSONValue.parse(bytes, limits: .file) }
    }
    switch parsed {
    case .failure(let error):
      let kind = FileKind.sniff(file).flatMap { $0 == .json ? nil : $0 }
      throw CheckpointError(path: path, problem: kind.map { .otherKind($0) } ?? .json(error))
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

  /// Checks that a shard's name is a plain file name, so that it stays in the index's folder.
  private static func checkName(_ name: String, index: String) throws(CheckpointError) {
    let isPlain = name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "/"), UInt8(ascii: "\\"), UInt8(ascii: ":"), UInt8(ascii: "%"): false
      case 0..<0x20, 0x7f: false
      default: true
      }
    }
    // An index of .bin files may also name safetensors files, but not vice versa.
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

  /// Reports all missing shards together, as after an interrupted download.
  private static func checkPresence(_ shards: [String], index: String) throws(CheckpointError) {
    let folder = index.splitAtLastSlash.folder
    let missing = shards.filter { !FileSystem.exists(folder + $0) && errno == ENOENT }
    guard missing.isEmpty else {
      throw CheckpointError(path: index, problem: .missingShards(missing))
    }
  }

  /// The shard's path, after checking where its symbolic links lead.
  static func resolve(
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
      // A dangling link; opening it reports the error.
      return path
    }
    var allowed = [home + "/"]
    // The folder is snapshots/REVISION, or a folder in it.
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
