import VLMFoundation
import VLMTensor

/// A model in Meta's original layout: `consolidated.00.pth`, `consolidated.01.pth` …, one file per
/// device of the tensor-parallel group, each with a slice of every matrix.
///
/// fairscale's layers split the matrices: `ColumnParallelLinear` by outputs, `RowParallelLinear` by
/// inputs. Norms are replicated in every file.
enum TensorParallelShards {
  /// Number and extension of a name such as `consolidated.03.pth`.
  private static func number(_ name: String) -> (number: Int, ending: Substring)? {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "consolidated", (2...3).contains(parts[1].utf8.count),
      parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      ["pth", "pt", "safetensors"].contains(parts[2]), let number = Int(parts[1])
    else { return nil }
    return (number, parts[2])
  }

  /// `names`, which are sorted, if they are the shards of one model; nil otherwise, and for a
  /// single shard.
  ///
  /// - Throws: `.missingShards` if the numbers have gaps.
  static func names(_ names: [String], _ path: String) throws(CheckpointError) -> [String]? {
    let parts = names.compactMap { number($0) }
    guard parts.count == names.count, let last = parts.last, parts.count > 1 || last.number > 0,
      last.number < ShardIndex.maximumShards, parts.allSatisfy({ $0.ending == last.ending })
    else { return nil }
    let present = Set(parts.map(\.number))
    let missing = (0...last.number).filter { !present.contains($0) }
    guard missing.isEmpty else {
      throw CheckpointError(
        path: path,
        problem: .missingShards(
          missing.map { "consolidated.\($0 < 10 ? "0" : "")\($0).\(last.ending)" }))
    }
    return names
  }

  /// All shards beside the one that the user names; nil if there are no others.
  static func around(file: String) throws(CheckpointError) -> CheckpointFolder.Weights? {
    let (parent, name) = file.splitAtLastSlash
    guard let ending = number(name)?.ending else { return nil }
    let folder = parent.isEmpty ? "./" : parent
    let siblings = CheckpointPath.names(folder).filter { number($0)?.ending == ending }.sorted()
    return try names(siblings, folder).map { .parallel($0, folder: folder) }
  }

  /// Concatenates the slices of each tensor, without reading them.
  ///
  /// - Throws: `CheckpointError` naming the tensor that a shard lacks, or whose shape does not
  ///   match.
  static func merge(
    _ parts: [TensorCatalog], names: [String], path: String
  ) throws(CheckpointError) -> TensorCatalog {
    guard let first = parts.first else {
      throw CheckpointError(path: path, problem: .noWeights([]))
    }
    // The query projection is split by outputs, so every shard has all of its inputs.
    let width = first.tensors.first { $0.name.hasSuffix("attention.wq.weight") }?.shape.last
    var (tensors, index) = ([CheckpointTensor](), [ExactString: Int32]())
    for tensor in first.tensors {
      var pieces = [tensor]
      for (part, name) in zip(parts, names).dropFirst() {
        guard let piece = part[tensor.name] else {
          throw CheckpointError(path: path, place: tensor.name, problem: .notInPart(name))
        }
        pieces.append(piece)
      }
      index[ExactString(tensor.name)] = Int32(truncatingIfNeeded: tensors.count)
      guard let axis = axis(tensor, width: width) else {
        tensors.append(tensor)
        continue
      }
      tensors.append(try joined(pieces, axis: axis, path: path))
    }
    for part in parts.dropFirst() {
      if let stray = part.tensors.first(where: { index[ExactString($0.name)] == nil }) {
        throw CheckpointError(path: path, place: stray.name, problem: .notInPart(names[0]))
      }
    }
    return TensorCatalog(
      path: path, tensors: tensors, metadata: first.metadata,
      warnings: parts.flatMap(\.warnings), index: index, format: first.format)
  }

  /// The axis along which a tensor is split; nil if it is replicated.
  private static func axis(_ tensor: CheckpointTensor, width: Int?) -> Int? {
    guard tensor.shape.count == 2 else { return nil }
    switch tensor.name.split(separator: ".").suffix(2).first {
    case "wq", "wk", "wv", "w1", "w3", "output": return 0
    case "wo", "w2": return 1
    // Split along the hidden size up to LLaMA 2, along the vocabulary since LLaMA 3.
    case "tok_embeddings": return tensor.shape[1] == width ? 0 : 1
    default: return nil
    }
  }

  private static func joined(
    _ pieces: [CheckpointTensor], axis: Int, path: String
  ) throws(CheckpointError) -> CheckpointTensor {
    let first = pieces[0]
    var shape = first.shape
    shape[axis] = 0
    for piece in pieces {
      guard piece.shape.count == 2, piece.dtype == first.dtype, piece.blocks == nil,
        piece.dtype.bitCount % 8 == 0, piece.shape[1 - axis] == shape[1 - axis]
      else {
        let expected = "\(first.dtype.rawValue) and \(shape[1 - axis]) along axis \(1 - axis)"
        throw CheckpointError(
          path: path, place: first.name,
          problem: .parallelPart(found: piece.shape, expected: expected))
      }
      let (sum, overflow) = shape[axis].addingReportingOverflow(piece.shape[axis])
      shape[axis] = sum
      guard !overflow, first.dtype.byteCount(shape: shape) != nil else {
        throw CheckpointError(path: path, place: first.name, problem: .sizeOverflow(shape))
      }
    }
    return CheckpointTensor(joining: pieces, axis: axis, shape: shape)
  }
}
