import VLMTensor

/// A matrix, and what it costs in each scheme that it may have.
package struct MixtureItem: Sendable, Equatable {
  package struct Choice: Sendable, Equatable {
    package let scheme: Scheme
    /// What the matrix takes of the budget.
    package let byteCount: Int
    /// What the model loses by it, in the unit of the budget's loss: 0 or more.
    package let loss: Double

    package init(scheme: Scheme, byteCount: Int, loss: Double) {
      self.scheme = scheme
      self.byteCount = byteCount
      self.loss = loss.isFinite ? max(0, loss) : .greatestFiniteMagnitude / 1e9
    }

    /// The loss for a choice between schemes. Those that cost the same but for a percent are told
    /// apart by speed: codes of 4 and 8 bits are unpacked in fewer steps than others.
    var weighedLoss: Double {
      scheme.codeBits & (scheme.codeBits - 1) == 0 ? loss : loss * 1.01
    }
  }

  package let name: String
  package let role: TensorRole
  /// By bytes, ascending; one for a matrix whose scheme is given.
  package let choices: [Choice]

  package init(name: String, role: TensorRole, choices: [Choice]) {
    precondition(!choices.isEmpty, "a matrix with a scheme")
    self.name = name
    self.role = role
    self.choices = choices.sorted { ($0.byteCount, $0.loss) < ($1.byteCount, $1.loss) }
  }

  /// Places of the choices that lie on the lower convex hull of loss over bytes: from each to the
  /// next a byte gains less.
  var hull: [Int] {
    var hull: [Int] = []
    func gain(_ from: Int, _ to: Int) -> Double {
      (choices[from].weighedLoss - choices[to].weighedLoss)
        / Double(choices[to].byteCount - choices[from].byteCount)
    }
    for place in choices.indices {
      if let last = hull.last {
        let (a, b) = (choices[last], choices[place])
        guard b.byteCount > a.byteCount, b.weighedLoss < a.weighedLoss else { continue }
      }
      while hull.count > 1,
        gain(hull[hull.count - 2], hull[hull.count - 1]) <= gain(hull[hull.count - 1], place)
      {
        hull.removeLast()
      }
      hull.append(place)
    }
    return hull
  }
}

/// A scheme for each matrix.
package struct Mixture: Sendable, Equatable {
  /// Of each item the place of its choice.
  package var places: [Int]
  package let byteCount: Int
  package let loss: Double

  init(_ places: [Int], of items: [MixtureItem]) {
    self.places = places
    byteCount = zip(items, places).reduce(0) { $0 + $1.0.choices[$1.1].byteCount }
    loss = zip(items, places).reduce(0) { $0 + $1.0.choices[$1.1].loss }
  }
}
