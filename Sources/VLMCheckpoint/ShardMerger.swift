import VLMFoundation

/// Merges the catalogs of shards and checks them against the index.
struct ShardMerger {
  let path: String
  /// The shard of each tensor according to the index; nil without an index.
  let wanted: [ExactString: String]?
  private var tensors: [CheckpointTensor] = []
  private var index: [ExactString: Int32] = [:]
  private var metadata: [(key: String, value: String)] = []
  private var metadataKeys = Set<ExactString>()
  private var warnings: [Note] = []
  private var format: CheckpointFormat?
  private var shardOf: [ExactString: String] = [:]
  /// Number of tensors that the index does not name.
  private var unnamed = 0

  private static let listedUnnamed = 20

  init(path: String, wanted: [ExactString: String]?) {
    self.path = path
    self.wanted = wanted
  }

  mutating func add(_ catalog: TensorCatalog, shard: String) throws(CheckpointError) {
    format = format ?? catalog.format
    warnings += catalog.warnings.map { $0.following(shard.escapedForDisplay() + ": ") }
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
