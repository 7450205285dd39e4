/// Where in a grammar a text has come to: a set of stacks for every beginning, and the steps between
/// them, found as they are needed and kept.
struct GrammarStates {
  let automaton: GrammarAutomaton
  private(set) var stacks = StackSets()
  /// Where the row of a set begins in `cells`; -1 without one.
  private var rows: [Int32] = []
  /// The set behind each class of bytes; `unknown` where it was not looked for.
  private var cells: [Int32] = []
  private var resumed: [Int32: Int32] = [:]

  // Scratch of a step.
  private var below: [Int32: Int32] = [:]
  private var isAccepted = false
  private var popped: Set<Int32> = []
  private var work: [StackSets.Entry] = []
  private var calls: [Int32]

  private static let unknown: Int32 = -1

  /// Edges and entries looked at for steps that were not known.
  private(set) var effort = 0

  init(_ automaton: GrammarAutomaton) {
    self.automaton = automaton
    calls = [Int32](repeating: StackSets.none, count: automaton.starts.count)
  }

  /// Bytes that the states take, about.
  var byteCount: Int {
    4 * cells.count + 4 * rows.count + 40 * stacks.entryCount + 120 * stacks.count
  }

  /// Before any text.
  mutating func start() -> Int32 {
    begin()
    call(Int32(automaton.root), StackSets.bottom)
    // A grammar of the empty text alone has nothing to read.
    isAccepted = automaton.nodes[Int(automaton.starts[automaton.root])].isEnd
    return finish()
  }

  /// Behind one more byte; `StackSets.none` where no text goes on so.
  mutating func step(_ set: Int32, _ byte: UInt8) -> Int32 {
    let width = automaton.representatives.count
    while rows.count <= Int(set) { rows.append(-1) }
    if rows[Int(set)] < 0 {
      guard cells.count < Int(Int32.max) - width else { return StackSets.none }
      rows[Int(set)] = Int32(cells.count)
      cells.append(contentsOf: repeatElement(Self.unknown, count: width))
    }
    let cell = Int(rows[Int(set)]) + Int(automaton.classes[Int(byte)])
    if cells[cell] != Self.unknown { return cells[cell] }
    begin()
    for entry in stacks[set].entries {
      let edges = automaton.nodes[Int(entry.node)].bytes
      effort += 1 + edges.count
      for edge in edges {
        if edge.low > byte { break }
        if edge.high >= byte { reach(edge.target, entry.below) }
      }
    }
    let next = finish()
    cells[cell] = next
    return next
  }

  /// Where callers go on when the rule above them has ended: what can be read from the nodes of
  /// `set`, which wait.
  mutating func resume(_ set: Int32) -> Int32 {
    if let known = resumed[set] { return known }
    begin()
    let waiting = stacks[set]
    isAccepted = waiting.hasEmpty
    for entry in waiting.entries { reach(entry.node, entry.below) }
    let next = finish()
    resumed[set] = next
    return next
  }

  /// Nothing but `node`, with no callers.
  mutating func alone(_ node: Int32) -> Int32 { stacks.push(node, on: StackSets.bottom) }

  /// The same stacks as `set` of other states of the same automaton.
  mutating func copy(_ set: Int32, of other: GrammarStates) -> Int32 {
    stacks.copy(set, of: other.stacks)
  }

  // MARK: A step

  private mutating func begin() {
    below.removeAll(keepingCapacity: true)
    popped.removeAll(keepingCapacity: true)
    work.removeAll(keepingCapacity: true)
    isAccepted = false
  }

  /// `node` was reached, with the callers in `below`; what ends there goes on in them.
  private mutating func reach(_ node: Int32, _ below: Int32) {
    work.append(.init(node: node, below: below))
    while let entry = work.popLast() {
      let known = self.below[entry.node] ?? StackSets.none
      let all = stacks.union(known, entry.below)
      if all == known { continue }
      self.below[entry.node] = all
      guard automaton.nodes[Int(entry.node)].isEnd, popped.insert(entry.below).inserted else {
        continue
      }
      let callers = stacks[entry.below]
      if callers.hasEmpty { isAccepted = true }
      work.append(contentsOf: callers.entries)
    }
  }

  private mutating func call(_ rule: Int32, _ below: Int32) {
    calls[Int(rule)] = stacks.union(calls[Int(rule)], below)
  }

  private mutating func call(from node: Int32, _ below: Int32) {
    for edge in automaton.nodes[Int(node)].calls {
      let isTail = edge.target == GrammarAutomaton.CallEdge.tail
      call(edge.rule, isTail ? below : stacks.push(edge.target, on: below))
    }
  }

  /// The set of all nodes that were reached and can read, with what they call.
  private mutating func finish() -> Int32 {
    effort += below.count + calls.count
    for (node, below) in below { call(from: node, below) }
    // A rule begins with later ones only, so its callers are all known when its turn comes.
    for rule in calls.indices where calls[rule] != StackSets.none {
      let callers = calls[rule]
      calls[rule] = StackSets.none
      let start = automaton.starts[rule]
      call(from: start, callers)
      below[start] = stacks.union(below[start] ?? StackSets.none, callers)
    }
    var result = StackSets.Stacks(hasEmpty: isAccepted)
    for (node, below) in below
    where below != StackSets.none && !automaton.nodes[Int(node)].bytes.isEmpty {
      result.entries.append(.init(node: node, below: below))
    }
    result.entries.sort { $0.node < $1.node }
    return stacks.number(of: result)
  }
}
