import VLMContainer
import VLMFoundation
import VLMTensor

extension Conversion {
  /// What tells these weights from others of the same shapes: the XXH64 of a few values of each
  /// matrix, all of which training changes.
  package func weightsDigest() throws -> String {
    var hash = XXH64()
    for item in plan.items where item.spec.role.isMatrix {
      let tensor = try source.tensor(item.spec.path)
      let count = tensor.elementCount
      let sample = min(64, count)
      var values = [Float](repeating: 0, count: sample)
      // From the middle: of a table of embeddings the first rows are seldom trained.
      let first = (count - sample) / 2
      try values.withUnsafeMutableBufferPointer {
        try tensor.readFloats(first..<first + sample, into: $0)
      }
      values.withUnsafeBytes { hash.update($0) }
    }
    return hexadecimalText(hash.digest)
  }

  /// A line about matrices that no statistics change, because the source has them in the scheme that
  /// is asked for; nil where there are none.
  package var noteOfKeptMatrices: String? {
    let wanted = plan.wantedDetails
    let kept = plan.items.filter { item in
      guard wanted[item.spec.path] != nil,
        let stored = (try? source.tensor(item.spec.path))?.container
      else { return false }
      return stored.format == item.format && stored.shape == item.spec.shape
    }
    guard let first = kept.first else { return nil }
    return "calibration changes nothing of \(kept.count) of \(wanted.count) matrices: they are "
      + "\(first.format.scheme.name) in the source, and copied; convert the checkpoint that it was "
      + "made from"
  }
}
