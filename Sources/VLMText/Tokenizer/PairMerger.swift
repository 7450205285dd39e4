/// Decides which neighbours may be merged. The lowest `priority` is merged first; ties go to the
/// leftmost pair.
protocol MergeRule {
  /// - Parameters:
  ///   - left, right: ids of the neighbours; -1 for a symbol that is not a piece.
  ///   - range: the byte range of both.
  func join(_ left: Int32, _ right: Int32, _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>)
    -> (priority: UInt32, result: Int32)?

  /// Whether a piece is only an intermediate step of merging.
  func isStep(_ id: Int32) -> Bool
}

/// Merges neighbours until no rule applies: byte-pair encoding in O(n log n).
///
/// Symbols form a linked list in arrays; candidate pairs wait in a heap. Outdated pairs are
/// recognised when they are popped, instead of being removed from the heap.
struct PairMerger {
  /// The symbols: before merging the initial parts of the text, afterwards the result. `id` is -1
  /// for a symbol that is not a piece.
  struct Symbol {
    var id: Int32
    /// Whether the symbol is never merged.
    var isFrozen = false
    /// Byte offsets in the text.
    var start: Int32
    var end: Int32
    fileprivate var previous: Int32 = -1
    fileprivate var next: Int32 = -1
    fileprivate var isDead = false

    init(id: Int32, _ range: Range<Int>, isFrozen: Bool = false) {
      self.id = id
      self.isFrozen = isFrozen
      start = Int32(range.lowerBound)
      end = Int32(range.upperBound)
    }

    var range: Range<Int> { Int(start)..<Int(end) }
  }

  private struct Candidate {
    let priority: UInt32
    let result: Int32
    let left: Int32
    let right: Int32
    /// End of the right symbol when the pair was found, to detect outdated pairs.
    let end: Int32

    static func < (a: Candidate, b: Candidate) -> Bool {
      a.priority != b.priority ? a.priority < b.priority : a.left < b.left
    }
  }

  private var heap: [Candidate] = []
  /// For each intermediate piece: the byte length of the left part of its last merge.
  private(set) var leftLengths: [Int32: Int] = [:]

  /// Merges `symbols`, which cover a range of `bytes`, in place.
  mutating func merge<Rule: MergeRule>(
    _ symbols: inout [Symbol], _ bytes: UnsafeRawBufferPointer, _ rule: Rule
  ) {
    guard symbols.count > 1 else { return }
    heap.removeAll(keepingCapacity: true)
    leftLengths.removeAll(keepingCapacity: true)
    for index in symbols.indices {
      symbols[index].previous = Int32(index) - 1
      symbols[index].next = index + 1 < symbols.count ? Int32(index) + 1 : -1
    }
    for index in 1..<symbols.count {
      offer(Int32(index - 1), Int32(index), symbols, bytes, rule)
    }
    while let best = pop() {
      let (left, right) = (Int(best.left), Int(best.right))
      guard !symbols[left].isDead, symbols[left].next == best.right,
        symbols[right].end == best.end
      else { continue }
      let next = symbols[right].next
      symbols[left].id = best.result
      symbols[left].end = best.end
      symbols[left].next = next
      symbols[right].isDead = true
      if next >= 0 {
        symbols[Int(next)].previous = best.left
        offer(best.left, next, symbols, bytes, rule)
      }
      let previous = symbols[left].previous
      if previous >= 0 { offer(previous, best.left, symbols, bytes, rule) }
    }
    symbols.removeAll { $0.isDead }
  }

  private mutating func offer<Rule: MergeRule>(
    _ left: Int32, _ right: Int32, _ symbols: [Symbol], _ bytes: UnsafeRawBufferPointer,
    _ rule: Rule
  ) {
    let (a, b) = (symbols[Int(left)], symbols[Int(right)])
    guard !a.isFrozen, !b.isFrozen,
      let found = rule.join(a.id, b.id, bytes, Int(a.start)..<Int(b.end))
    else { return }
    if rule.isStep(found.result) { leftLengths[found.result] = a.range.count }
    push(
      Candidate(
        priority: found.priority, result: found.result, left: left, right: right, end: b.end))
  }

  private mutating func push(_ candidate: Candidate) {
    heap.append(candidate)
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      if !(candidate < heap[parent]) { break }
      heap[child] = heap[parent]
      child = parent
    }
    heap[child] = candidate
  }

  private mutating func pop() -> Candidate? {
    guard let best = heap.first, let last = heap.popLast() else { return nil }
    if heap.isEmpty { return best }
    var hole = 0
    while true {
      var child = 2 * hole + 1
      if child >= heap.count { break }
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      if !(heap[child] < last) { break }
      heap[hole] = heap[child]
      hole = child
    }
    heap[hole] = last
    return best
  }
}

/// SentencePiece's rule: a pair may be merged if the vocabulary has the concatenation; the piece
/// with the highest score comes first.
struct ScoreRule: MergeRule {
  let pieces: PieceTable
  let scores: [Float]
  let kinds: [PieceKind]

  func isStep(_ id: Int32) -> Bool { kinds[Int(id)] == .unused }

  func join(
    _ left: Int32, _ right: Int32, _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>
  ) -> (priority: UInt32, result: Int32)? {
    guard let id = pieces.id(bytes, range) else { return nil }
    return (Self.priority(scores[id]), Int32(id))
  }

  /// Maps a score to a priority of reversed order; the two zeros are equal.
  static func priority(_ score: Float) -> UInt32 {
    let bits = (score + 0).bitPattern
    let ascending = bits >> 31 == 1 ? ~bits : bits | 1 << 31
    return ~ascending
  }
}

/// The rule of a merge list: the lowest rank comes first.
struct RankRule: MergeRule {
  let merges: MergeTable

  func isStep(_ id: Int32) -> Bool { false }

  func join(
    _ left: Int32, _ right: Int32, _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>
  ) -> (priority: UInt32, result: Int32)? {
    guard left >= 0, right >= 0, let rank = merges.rank(left, right) else { return nil }
    return (UInt32(rank), Int32(bitPattern: merges.merges[rank].result))
  }
}
