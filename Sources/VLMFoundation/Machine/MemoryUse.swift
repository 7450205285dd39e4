/// How much memory a model and what computes with it may take.
package enum MemoryUse: Sendable, Equatable {
  /// All of the weights, however much it is.
  case all
  /// All of the weights where memory has room for them, else what there is room for.
  case automatic
  /// So many bytes, with the rest of the process.
  case limited(Int)
  /// So many bytes of weights, whatever the rest of the process takes.
  case weights(Int)
  /// A share, 0 to 1, of what a process that may take so many bytes has left for weights: they are read as
  /// they are used.
  case part(of: Int, share: Double)

  /// The least that can be asked for.
  package static let least = 16 << 20
  /// What weights have at least, however much everything else takes.
  private static let leastOfWeights = 32 << 20

  /// Bytes that the process may take, where the weights have to be read as they are used; nil where all
  /// of them stay in memory.
  ///
  /// - Parameters:
  ///   - weights: bytes of them.
  ///   - available: bytes that are free or hold caches; nil where the system does not say.
  ///   - own: bytes that the process has taken.
  package func limit(weights: Int, available: Int?, own: Int) -> Int? {
    switch self {
    case .all: return nil
    case .automatic:
      // An eighth is for activations and for whoever else is there.
      guard let available else { return nil }
      let usable = available - available / 8
      return weights > usable ? usable + own : nil
    case .limited(let bytes): return weights + own > bytes ? bytes : nil
    case .weights(let bytes): return weights > bytes ? bytes : nil
    case .part(let bytes, _): return bytes
    }
  }

  /// The share of one model of several in a process.
  ///
  /// - Parameters:
  ///   - weights: bytes of its weights.
  ///   - all: bytes of all models' weights.
  package func share(
    weights: Int, of all: Int, available: Int?, own: Int
  ) -> MemoryUse {
    guard all > weights, let limit = limit(weights: all, available: available, own: own) else {
      return self
    }
    let free = Double(max(0, limit - own))
    return .limited(own + Int(free * Double(weights) / Double(all)))
  }

  /// Bytes that weights may have, of `limit` of a process that has taken `own` for everything else.
  package func weightLimit(of limit: Int, own: Int) -> Int {
    if case .weights(let bytes) = self { return bytes }
    if case .part(_, let share) = self {
      return max(Self.leastOfWeights, Int(Double(max(0, limit - own)) * share))
    }
    return max(Self.leastOfWeights, limit - own)
  }
}
