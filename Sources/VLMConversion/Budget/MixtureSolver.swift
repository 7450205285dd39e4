import VLMTensor

/// Chooses a scheme for each matrix, so that the sum of losses is least within a number of bytes,
/// or the number of bytes within a loss.
///
/// Each matrix goes along its convex hull, and of all matrices the step that gains most for a byte
/// is taken next (Lagrange's rule, which is right but for the last steps). The last bytes are
/// filled with what still fits. The few largest matrices, such as a head, whose steps may be too
/// large for what is left, are tried in each of their schemes. In the end matrices exchange bytes as
/// long as that gains. The same items give the same mixture.
package struct MixtureSolver: Sendable {
  package let items: [MixtureItem]
  private let hulls: [[Int]]
  /// All steps along the hulls, those that gain most for a byte first.
  private let steps: [Step]
  /// Items that are tried in each of their schemes.
  private let large: [Int]

  /// From one place of an item's hull to the next.
  private struct Step {
    let item: Int
    let end: Int
    let gain: Double
  }

  private static let largeCount = 2
  /// Part of all bytes from which an item counts as large.
  private static let largeShare = 0.02

  package init(_ items: [MixtureItem]) {
    self.items = items
    let hulls = items.map(\.hull)
    self.hulls = hulls
    var steps: [Step] = []
    for (item, hull) in hulls.enumerated() {
      let choices = items[item].choices
      for (from, to) in zip(hull, hull.dropFirst()) {
        let bytes = choices[to].byteCount - choices[from].byteCount
        steps.append(
          Step(
            item: item, end: to,
            gain: (choices[from].weighedLoss - choices[to].weighedLoss) / Double(bytes)))
      }
    }
    self.steps = steps.sorted {
      ($1.gain, $0.item, $0.end) < ($0.gain, $1.item, $1.end)
    }
    let sizes = items.map { $0.choices.last?.byteCount ?? 0 }
    let total = Double(sizes.reduce(0, +))
    large = Array(
      items.indices.filter {
        items[$0].choices.count > 1 && Double(sizes[$0]) > Self.largeShare * total
      }
      .sorted { (sizes[$1], $0) < (sizes[$0], $1) }.prefix(Self.largeCount))
  }

  /// The mixture of the fewest bytes.
  package var smallest: Mixture { Mixture(items.map { _ in 0 }, of: items) }

  /// The mixture that loses least.
  package var best: Mixture {
    Mixture(
      items.map { item in
        item.choices.indices.min {
          (item.choices[$0].loss, $0) < (item.choices[$1].loss, $1)
        } ?? 0
      }, of: items)
  }

  /// The mixture of at most `bytes` bytes that loses least; nil where none is so small.
  package func mixture(within bytes: Int) -> Mixture? {
    walked(within: bytes).map { exchanged($0, within: bytes) }
  }

  private func walked(within bytes: Int) -> Mixture? {
    best(
      of: starts.map { start in
        filled(walk(from: start) { mixture, step in mixture + step <= bytes }, within: bytes)
      }.filter { $0.byteCount <= bytes }
    ) { ($0.loss, $0.byteCount) < ($1.loss, $1.byteCount) }
  }

  /// The smallest mixture that loses at most `loss`; nil where none loses so little.
  package func mixture(losing loss: Double) -> Mixture? {
    best(
      of: starts.map { start in
        var left = Mixture(start.places, of: items).loss
        return walk(from: start) { _, _ in
          left > loss
        } taken: {
          left -= $0
        }
      }.filter { $0.loss <= loss }
    ) { ($0.byteCount, $0.loss) < ($1.byteCount, $1.loss) }
      ?? (best.loss <= loss ? best : nil)
  }

  /// Bytes and losses from the smallest mixture to the best one.
  ///
  /// - Parameter count: points at most, 2 or more.
  package func curve(points count: Int) -> [Mixture] {
    let (low, high) = (Double(smallest.byteCount), Double(best.byteCount))
    guard low > 0, high > low, count > 1 else { return [best] }
    var curve: [Mixture] = []
    for point in 0..<count {
      let bytes = low + (high - low) * Double(point) / Double(count - 1)
      guard let found = walked(within: Int(bytes.rounded(.up))) else { continue }
      if let last = curve.last, found.byteCount <= last.byteCount { continue }
      curve.append(found)
    }
    return curve
  }

  // MARK: - Walking

  /// Where a walk begins: places of all items, and those that stay.
  private struct Start {
    var places: [Int]
    var fixed: Set<Int>
  }

  /// The smallest choices, with the large items in each of theirs.
  private var starts: [Start] {
    var starts = [Start(places: hulls.map { $0.first ?? 0 }, fixed: [])]
    for item in large {
      starts = starts.flatMap { start in
        hulls[item].map { place in
          var other = start
          other.places[item] = place
          other.fixed.insert(item)
          return other
        }
      }
    }
    return starts
  }

  /// Takes steps in their order as far as they may be taken; an item whose step may not stays
  /// there.
  ///
  /// - Parameters:
  ///   - may: whether a step is taken: bytes so far, and those that it adds.
  ///   - taken: hears of the loss that a step takes away.
  private func walk(
    from start: Start, _ may: (Int, Int) -> Bool, taken: (Double) -> Void = { _ in }
  ) -> Mixture {
    var places = start.places
    var closed = start.fixed
    var bytes = zip(items, places).reduce(0) { $0 + $1.0.choices[$1.1].byteCount }
    for step in steps where !closed.contains(step.item) {
      let choices = items[step.item].choices
      let (from, to) = (choices[places[step.item]], choices[step.end])
      guard may(bytes, to.byteCount - from.byteCount) else {
        closed.insert(step.item)
        continue
      }
      bytes += to.byteCount - from.byteCount
      taken(from.loss - to.loss)
      places[step.item] = step.end
    }
    return Mixture(places, of: items)
  }

  /// Spends what is left on whatever gains most and fits.
  private func filled(_ mixture: Mixture, within bytes: Int) -> Mixture {
    var (places, left) = (mixture.places, bytes - mixture.byteCount)
    while left > 0 {
      var best: (item: Int, place: Int, gain: Double)?
      for (item, place) in places.enumerated() {
        let choices = items[item].choices
        for other in choices.indices
        where choices[other].byteCount - choices[place].byteCount <= left {
          let gain = choices[place].weighedLoss - choices[other].weighedLoss
          if gain > best?.gain ?? 0 { best = (item, other, gain) }
        }
      }
      guard let best else { break }
      let choices = items[best.item].choices
      left -= choices[best.place].byteCount - choices[places[best.item]].byteCount
      places[best.item] = best.place
    }
    return Mixture(places, of: items)
  }

  /// Exchanges, at most.
  private static let mostExchanges = 64

  /// Takes bytes from one item for another as long as both together lose less.
  private func exchanged(_ mixture: Mixture, within bytes: Int) -> Mixture {
    var mixture = mixture
    for _ in 0..<Self.mostExchanges {
      guard let places = exchange(in: mixture, within: bytes) else { break }
      mixture = filled(Mixture(places, of: items), within: bytes)
    }
    return mixture
  }

  /// The exchange of two items that gains most; nil where none does.
  private func exchange(in mixture: Mixture, within bytes: Int) -> [Int]? {
    let left = bytes - mixture.byteCount
    var best: (places: [Int], gain: Double)?
    for (giver, held) in mixture.places.enumerated() {
      let choices = items[giver].choices
      for lower in 0..<held {
        let freed = left + choices[held].byteCount - choices[lower].byteCount
        let cost = choices[lower].weighedLoss - choices[held].weighedLoss
        for (taker, place) in mixture.places.enumerated() where taker != giver {
          let others = items[taker].choices
          for higher in others.indices.dropFirst(place + 1)
          where others[higher].byteCount - others[place].byteCount <= freed {
            let gain = others[place].weighedLoss - others[higher].weighedLoss - cost
            if gain > best?.gain ?? 0 {
              var places = mixture.places
              (places[giver], places[taker]) = (lower, higher)
              best = (places, gain)
            }
          }
        }
      }
    }
    return best?.places
  }

  private func best(
    of mixtures: [Mixture], _ isBetter: (Mixture, Mixture) -> Bool
  ) -> Mixture? {
    mixtures.reduce(nil) { best, next in
      guard let best else { return next }
      return isBetter(next, best) ? next : best
    }
  }
}
