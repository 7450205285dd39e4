/// Sets of stacks of an automaton's nodes, each set once and known by its number.
///
/// A set says for each node that is on top of one of its stacks which set lies below, and whether the
/// empty stack is in it. So stacks that differ at the bottom alone share the rest, and an ambiguous
/// grammar does not make exponentially many of them.
struct StackSets {
  /// A node on top, and the number of the set below it.
  struct Entry: Hashable {
    let node: Int32
    let below: Int32
  }

  struct Stacks: Hashable {
    /// Whether the empty stack is one of them: where nothing is above it, the text may end.
    var hasEmpty = false
    /// By ascending nodes, each once.
    var entries: [Entry] = []
  }

  /// No stack at all.
  static let none: Int32 = 0
  /// The empty stack alone.
  static let bottom: Int32 = 1
  /// Nodes of a stack. JSON takes two for each object or array in another.
  static let maximumDepth = 512

  private var sets: [Stacks] = [Stacks(), Stacks(hasEmpty: true)]
  private var numbers: [Stacks: Int32] = [Stacks(): none, Stacks(hasEmpty: true): bottom]
  private var depths: [Int32] = [0, 0]
  private var unions: [Int64: Int32] = [:]
  /// Entries of all sets, to bound their memory.
  private(set) var entryCount = 0

  var count: Int { sets.count }

  subscript(_ set: Int32) -> Stacks { sets[Int(set)] }

  /// Nodes of the highest stack.
  func depth(_ set: Int32) -> Int { Int(depths[Int(set)]) }

  /// `node` on top of each stack of `below`; none where that becomes too high.
  mutating func push(_ node: Int32, on below: Int32) -> Int32 {
    guard below != Self.none, depth(below) < Self.maximumDepth else { return Self.none }
    return number(of: Stacks(entries: [Entry(node: node, below: below)]))
  }

  mutating func number(of stacks: Stacks) -> Int32 {
    if let number = numbers[stacks] { return number }
    let number = Int32(sets.count)
    sets.append(stacks)
    numbers[stacks] = number
    depths.append((stacks.entries.map { depths[Int($0.below)] }.max() ?? -1) + 1)
    entryCount += stacks.entries.count + 4
    return number
  }

  /// The stacks of either. Goes as deep as the stacks are high.
  mutating func union(_ a: Int32, _ b: Int32) -> Int32 {
    if a == b || b == Self.none { return a }
    if a == Self.none { return b }
    let key = Int64(min(a, b)) << 32 | Int64(max(a, b))
    if let known = unions[key] { return known }
    let (first, second) = (sets[Int(a)], sets[Int(b)])
    var result = Stacks(hasEmpty: first.hasEmpty || second.hasEmpty)
    result.entries.reserveCapacity(first.entries.count + second.entries.count)
    var (i, j) = (0, 0)
    while i < first.entries.count || j < second.entries.count {
      if j == second.entries.count
        || (i < first.entries.count && first.entries[i].node < second.entries[j].node)
      {
        result.entries.append(first.entries[i])
        i += 1
      } else if i == first.entries.count || second.entries[j].node < first.entries[i].node {
        result.entries.append(second.entries[j])
        j += 1
      } else {
        let below = union(first.entries[i].below, second.entries[j].below)
        result.entries.append(Entry(node: first.entries[i].node, below: below))
        (i, j) = (i + 1, j + 1)
      }
    }
    let number = number(of: result)
    unions[key] = number
    entryCount += 2
    return number
  }

  /// The set with the same stacks as `set` of `other`.
  mutating func copy(_ set: Int32, of other: StackSets) -> Int32 {
    var known: [Int32: Int32] = [:]
    func copy(_ set: Int32, into sets: inout StackSets) -> Int32 {
      if set <= Self.bottom { return set }
      if let number = known[set] { return number }
      var stacks = other[set]
      for index in stacks.entries.indices {
        let entry = stacks.entries[index]
        stacks.entries[index] = Entry(
          node: entry.node, below: copy(entry.below, into: &sets))
      }
      let number = sets.number(of: stacks)
      known[set] = number
      return number
    }
    return copy(set, into: &self)
  }
}
