/// The pieces of a vocabulary in one array, with lookups from bytes to id and from id to bytes.
///
/// Both lookups run in the inner loop of tokenization: bytes to id by open addressing over a power
/// of two at least twice the count, id to bytes by offset.
struct PieceTable: Sendable {
  /// The bytes of all pieces, and the end offset of each.
  let text: [UInt8]
  let ends: [UInt32]
  /// Ids by hash; -1 for a free slot.
  private let slots: [Int32]
  /// Byte length of the longest piece.
  let longest: Int

  /// Maximum probe length. Chance collisions stay far below; a file constructed to collide is
  /// refused.
  private static let maximumProbes = 512

  /// - Parameter isFound: whether the id can be found by its bytes; of equal pieces the first
  ///   counts.
  /// - Precondition: `ends` ascend, and the last one equals `text.count`.
  /// - Returns: nil if too many pieces have the same hash.
  init?(text: [UInt8], ends: [UInt32], isFound: (Int) -> Bool) {
    self.text = text
    self.ends = ends
    var capacity = 16
    while capacity < 2 * ends.count { capacity *= 2 }
    var slots = [Int32](repeating: -1, count: capacity)
    var failed = false
    text.withUnsafeBytes { bytes in
      ends.withUnsafeBufferPointer { ends in
        slots.withUnsafeMutableBufferPointer { slots in
          var start = 0
          for id in ends.indices {
            let range = start..<Int(ends[id])
            start = range.upperBound
            if !isFound(id) { continue }
            var slot = Self.hash(bytes, range) & (capacity - 1)
            var probes = 0
            while slots[slot] >= 0 {
              let other = Int(slots[slot])
              let first = other == 0 ? 0 : Int(ends[other - 1])
              if Self.areEqual(bytes, first..<Int(ends[other]), bytes, range) { break }
              slot = (slot + 1) & (capacity - 1)
              probes += 1
            }
            if slots[slot] < 0 { slots[slot] = Int32(id) }
            if probes > Self.maximumProbes {
              failed = true
              return
            }
          }
        }
      }
    }
    if failed { return nil }
    self.slots = slots
    var start: UInt32 = 0
    longest = ends.reduce(0) { longest, end in
      defer { start = end }
      return max(longest, Int(end - start))
    }
  }

  var count: Int { ends.count }

  func range(_ id: Int) -> Range<Int> {
    (id == 0 ? 0 : Int(ends[id - 1]))..<Int(ends[id])
  }

  func bytes(_ id: Int) -> ArraySlice<UInt8> { text[range(id)] }

  /// The id of the piece equal to `range` of `bytes`.
  func id(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int? {
    guard range.count <= longest else { return nil }
    var slot = Self.hash(bytes, range) & (slots.count - 1)
    return text.withUnsafeBytes { text in
      while slots[slot] >= 0 {
        let found = Int(slots[slot])
        if Self.areEqual(text, self.range(found), bytes, range) { return found }
        slot = (slot + 1) & (slots.count - 1)
      }
      return nil
    }
  }

  func id<Bytes: Collection>(_ bytes: Bytes) -> Int? where Bytes.Element == UInt8 {
    let copy = Array(bytes)
    return copy.withUnsafeBytes { id($0, 0..<$0.count) }
  }

  /// Hashes eight bytes at a time by multiplying and folding.
  private static func hash(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int {
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15 ^ UInt64(range.count)
    var offset = range.lowerBound
    func mix(_ word: UInt64) {
      let product = (state ^ word).multipliedFullWidth(by: 0xff51_afd7_ed55_8ccd)
      state = product.high ^ product.low
    }
    while range.upperBound - offset >= 8 {
      mix(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
      offset += 8
    }
    var last: UInt64 = 0
    while offset < range.upperBound {
      last = last << 8 | UInt64(bytes[offset])
      offset += 1
    }
    mix(last)
    return Int(truncatingIfNeeded: state ^ state >> 29)
  }

  private static func areEqual(
    _ a: UnsafeRawBufferPointer, _ first: Range<Int>, _ b: UnsafeRawBufferPointer,
    _ second: Range<Int>
  ) -> Bool {
    guard first.count == second.count else { return false }
    for index in 0..<first.count
    where a[first.lowerBound + index] != b[second.lowerBound + index] {
      return false
    }
    return true
  }
}
