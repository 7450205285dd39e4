/// The merges of a byte-pair tokenizer by their two pieces.
struct MergeTable: Sendable {
  /// `left` and `right` become `result`; the index in the list is the rank.
  struct Merge: Sendable, Equatable {
    let left: UInt32
    let right: UInt32
    let result: UInt32
  }

  let merges: [Merge]
  /// Ranks by hash of the pair; -1 for a free slot.
  private let slots: [Int32]

  private static let maximumProbes = 512

  /// Of merges of the same pair the last counts, as in a dictionary built in order.
  ///
  /// - Returns: nil if too many pairs have the same hash.
  init?(_ merges: [Merge]) {
    self.merges = merges
    var capacity = 16
    while capacity < 2 * merges.count { capacity *= 2 }
    var slots = [Int32](repeating: -1, count: capacity)
    for (rank, merge) in merges.enumerated() {
      var slot = Self.hash(merge.left, merge.right) & (capacity - 1)
      var probes = 0
      while slots[slot] >= 0 {
        let other = merges[Int(slots[slot])]
        if other.left == merge.left, other.right == merge.right { break }
        slot = (slot + 1) & (capacity - 1)
        probes += 1
      }
      if probes > Self.maximumProbes { return nil }
      slots[slot] = Int32(rank)
    }
    self.slots = slots
  }

  func rank(_ left: Int32, _ right: Int32) -> Int? {
    let (left, right) = (UInt32(bitPattern: left), UInt32(bitPattern: right))
    var slot = Self.hash(left, right) & (slots.count - 1)
    while slots[slot] >= 0 {
      let merge = merges[Int(slots[slot])]
      if merge.left == left, merge.right == right { return Int(slots[slot]) }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  private static func hash(_ left: UInt32, _ right: UInt32) -> Int {
    let key = UInt64(left) << 32 | UInt64(right)
    let product = (key ^ 0x9e37_79b9_7f4a_7c15).multipliedFullWidth(by: 0xff51_afd7_ed55_8ccd)
    return Int(truncatingIfNeeded: product.high ^ product.low)
  }
}
