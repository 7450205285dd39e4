import VLMContainer
import VLMConversion
import VLMDelta
import VLMFoundation

/// What a delta is, for people and as JSON.
struct DeltaListing {
  private let path: String
  private let byteCount: Int
  private let base, target: ModelIdentity
  private let methods: [DeltaSummary.Method]
  /// Known only to whoever made it.
  private let tensors: (unchanged: Int, changed: Int, new: Int)?

  /// A delta that was just made.
  init(path: String, _ summary: DeltaSummary) {
    self.path = path
    byteCount = summary.byteCount
    (base, target) = (summary.base, summary.target)
    methods = summary.methods
    tensors = (summary.unchangedTensors, summary.changedTensors, summary.newTensors)
  }

  /// - Returns: nil for a file of another kind.
  /// - Throws: `DeltaError` for a damaged delta.
  init?(path: String) throws {
    guard !FileSystem.isFolder(path) else { return nil }
    let magic = DeltaFile.magic
    let file = try MappedFile(path: path)
    guard file.count >= magic.count,
      file.withBytes(0..<magic.count, { $0.elementsEqual(magic) })
    else { return nil }
    let delta = try DeltaFile(file)
    self.path = path
    byteCount = file.count
    (base, target) = (delta.base, delta.target)
    methods = DeltaSummary.methods(of: delta.operations)
    tensors = nil
  }

  /// "new.vlmzd: 1.2 MB, 1.1 % of the new file; tensors: 212 unchanged, 60 changed, 0 new".
  var headline: String {
    let share = Double(byteCount) / Double(max(1, target.byteCount))
    let percent = "\((share * 1000).rounded() / 10) % of the new file"
    let counts = tensors.map {
      "; tensors: \($0.unchanged) unchanged, \($0.changed) changed, \($0.new) new"
    }
    return "\(path.escapedForDisplay()): \(byteText(byteCount)), \(percent)\(counts ?? "")"
  }

  var lines: [String] {
    let files = [("from", base), ("to", target)].map { word, model in
      "\(word) \(byteText(model.byteCount)), root hash \(hexadecimal(model.rootHash))"
    }
    return [headline] + files
      + methods.map {
        "  \($0.method)  \(byteText($0.targetBytes)) from \(byteText($0.storedBytes)), "
          + "operations: \($0.operations)"
      }
  }

  var json: JSONValue {
    var object = JSONObject()
    object.set("schema", 1)
    object.set("file", .string(path))
    object.set("kind", "vlmzd")
    object.set("bytes", .int(byteCount))
    for (key, model) in [("base", base), ("target", target)] {
      object.set(
        key,
        ["content_hash": .string(hexadecimal(model.rootHash)), "bytes": .int(model.byteCount)])
    }
    if let tensors {
      object.set(
        "tensors",
        [
          "unchanged": .int(tensors.unchanged), "changed": .int(tensors.changed),
          "new": .int(tensors.new),
        ])
    }
    object.set(
      "methods",
      .array(
        methods.map {
          [
            "method": .string("\($0.method)"), "operations": .int($0.operations),
            "target_bytes": .int($0.targetBytes), "stored_bytes": .int($0.storedBytes),
          ]
        }))
    return .object(object)
  }
}
