import VLMFoundation
import VLMZ

/// How several models share the memory that a server may take: what is for weights, and what for the keys
/// and values of their answers.
///
/// Keys and values get what weights leave, or a quarter where they leave less, and no more than answers can
/// use. Weights that have no room then are read as they are used, with whatever the process has not taken at
/// that moment.
package struct MemoryShares: Sendable, Equatable {
  /// What a model would take.
  package struct Need: Sendable, Equatable {
    /// Bytes of its weights.
    package let weights: Int
    /// Bytes of keys and values of as many whole contexts as are computed at once; 0 for a model that
    /// writes no text.
    package let keyValues: Int
    /// Bytes of keys and values without which the model does not start.
    package let leastKeyValues: Int
    /// Bytes of activations and of pictures that are kept.
    package let others: Int

    package init(weights: Int, keyValues: Int, leastKeyValues: Int = 0, others: Int) {
      (self.weights, self.keyValues, self.others) = (weights, keyValues, others)
      self.leastKeyValues = min(leastKeyValues, keyValues)
    }
  }

  /// What a model may take.
  package struct Share: Sendable, Equatable {
    package let weights: MemoryUse
    /// Bytes of keys and values.
    package let keyValues: Int
  }

  /// What requests take on their way: bodies, pictures, towers, texts. A quarter where that is less.
  private static let reserve = 64.0 * 1_048_576

  /// In the order of the models.
  package let shares: [Share]

  /// - Parameters:
  ///   - limit: bytes that the process may take.
  ///   - own: what it has taken before it opens models.
  package init(limit: Int, own: Int, needs: [Need]) {
    func sum(_ value: (Need) -> Int) -> Double { needs.reduce(0) { $0 + Double(value($1)) } }
    // Sums of what is asked for may be more than an integer holds.
    let left = Double(max(0, limit - own))
    let free = left - min(left / 4, Self.reserve)
    let (weights, wanted, others) = (sum(\.weights), sum(\.keyValues), sum(\.others))
    let least = sum(\.leastKeyValues)
    let keyValues = min(wanted, max(free / 4, free - weights - others))
    let fits = weights + others + keyValues <= free
    shares = needs.map { need in
      // What none can do without comes first, where there is so much.
      let first = keyValues >= least ? Double(need.leastKeyValues) : 0
      let shared = keyValues >= least ? (keyValues - least, wanted - least) : (keyValues, wanted)
      let own = Double(need.keyValues) - first
      let part = first + (shared.1 > 0 ? shared.0 * own / shared.1 : 0)
      let share = weights > 0 ? Double(need.weights) / weights : 1
      return Share(
        weights: fits ? .all : .part(of: limit, share: share),
        keyValues: min(need.keyValues, Int(part.rounded(.up))))
    }
  }
}

extension MemoryShares.Need {
  /// What a model takes with an engine of these options.
  package init(_ model: Model, weights: Int, _ options: BatchEngineOptions) {
    let engine = model.engineBytes(options)
    self.init(
      weights: weights, keyValues: engine?.keyValues ?? 0,
      leastKeyValues: engine?.leastKeyValues ?? 0, others: engine?.others ?? 0)
  }
}
