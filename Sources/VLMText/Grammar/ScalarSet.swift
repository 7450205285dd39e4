/// A set of Unicode scalars, as ascending ranges that neither touch nor overlap. Surrogates, which
/// no text contains, are never members.
struct ScalarSet: Sendable, Equatable {
  private(set) var ranges: [ClosedRange<UInt32>]

  /// The union of `ranges`, in any order, without what is no scalar.
  init(_ ranges: [ClosedRange<UInt32>]) {
    var parts: [ClosedRange<UInt32>] = []
    for range in ranges {
      for whole in [UInt32(0)...0xd7ff, 0xe000...0x10ffff] where whole.overlaps(range) {
        parts.append(range.clamped(to: whole))
      }
    }
    parts.sort { $0.lowerBound < $1.lowerBound }
    var joined: [ClosedRange<UInt32>] = []
    for part in parts {
      if let last = joined.last, part.lowerBound <= last.upperBound + 1 {
        joined[joined.count - 1] = last.lowerBound...max(last.upperBound, part.upperBound)
      } else {
        joined.append(part)
      }
    }
    self.ranges = joined
  }

  init(_ characters: String) { self.init(characters.unicodeScalars.map { $0.value...$0.value }) }

  static let all = ScalarSet([0...0x10ffff])
  static let ascii = ScalarSet([0...0x7f])

  var isEmpty: Bool { ranges.isEmpty }

  /// All scalars that are no members.
  var inverted: ScalarSet {
    var gaps: [ClosedRange<UInt32>] = []
    var next: UInt32 = 0
    for range in ranges {
      if range.lowerBound > next { gaps.append(next...range.lowerBound - 1) }
      next = range.upperBound + 1
    }
    if next <= 0x10ffff { gaps.append(next...0x10ffff) }
    return ScalarSet(gaps)
  }

  func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

  func intersection(_ other: ScalarSet) -> ScalarSet {
    inverted.union(other.inverted).inverted
  }

  func subtracting(_ other: ScalarSet) -> ScalarSet { intersection(other.inverted) }

  func contains(_ scalar: UInt32) -> Bool { ranges.contains { $0.contains(scalar) } }
}
