/// Finds which tokens of a vocabulary may come next, and keeps what it found.
///
/// For most nodes of an automaton it matters little what lies below: in a string of JSON nearly all
/// tokens stay inside, wherever the string stands. So for each node the whole vocabulary is walked
/// once, with nothing below it. That tells which tokens are taken without an end of the node's rule
/// (`Frame.tokens`), and the places in the tree where the rule ends within a token (`Frame.exits`).
/// For a set of stacks only what lies behind those places is walked anew, and the result is kept too.
struct GrammarEngine {
  private(set) var states: GrammarStates
  private let vocabulary: TokenVocabulary
  private var frames: [Int32: Frame] = [:]
  private var masks: [Int32: TokenMask] = [:]
  private var firstMasks: [Int32: TokenMask] = [:]
  private var frameBytes = 0

  private struct Frame {
    /// Few tokens by number, many as a set.
    var few: [Int32]?
    var many: TokenMask?
    /// Nodes of the tree, with others below, at which the rule ends.
    var exits: [Int32]
  }

  /// Nodes of the tree that were visited.
  private var visits = 0
  private var visitLimit = 0

  /// Edges that are looked at to find one mask, and nodes of the tree: more than for any grammar that is
  /// meant for something, and a fraction of a second, for which other answers with a form wait.
  private static let maximumEffort = 4_000_000
  private static let maximumVisits = 20_000_000
  /// Bytes of what is kept, beyond which it is thrown away and found anew.
  private static let maximumKept = 48 << 20

  init(_ automaton: GrammarAutomaton, _ vocabulary: TokenVocabulary) {
    states = GrammarStates(automaton)
    self.vocabulary = vocabulary
  }

  /// Whether the states take so much memory that a text should go on with new ones.
  var isFull: Bool { states.byteCount > Self.maximumKept }

  mutating func start() -> Int32 { states.start() }

  mutating func copy(_ set: Int32, of other: GrammarEngine) -> Int32 {
    states.copy(set, of: other.states)
  }

  /// Behind the bytes of a token.
  mutating func step(_ set: Int32, _ bytes: ArraySlice<UInt8>) -> Int32 {
    var set = set
    for byte in bytes where set != StackSets.none { set = states.step(set, byte) }
    return set
  }

  /// The tokens whose text may come behind `set`; nil when the grammar makes that too much work.
  mutating func mask(_ set: Int32) -> TokenMask? {
    if let mask = masks[set] { return mask }
    let limit = limit()
    var mask = TokenMask(count: vocabulary.count)
    for entry in states.stacks[set].entries {
      guard let frame = frame(entry.node, limit) else { return nil }
      if let many = frame.many { mask.formUnion(many) }
      for token in frame.few ?? [] { mask.insert(Int(token)) }
      guard entry.below != StackSets.bottom, !frame.exits.isEmpty else { continue }
      let callers = states.resume(entry.below)
      for exit in frame.exits {
        let below = Int(exit) + 1..<Int(vocabulary.trie.ends[Int(exit)])
        guard walk(below, callers, &mask, exits: nil, limit) != nil else { return nil }
      }
    }
    if masks.count * mask.words.count * 8 > Self.maximumKept { masks = [:] }
    masks[set] = mask
    return mask
  }

  /// The same at the start of a text from which a space is left out.
  mutating func firstMask(_ set: Int32) -> TokenMask? {
    if let mask = firstMasks[set] { return mask }
    let limit = limit()
    let trie = vocabulary.trie
    var mask = TokenMask(count: vocabulary.count)
    var node = 0
    while node < trie.bytes.count {
      let end = Int(trie.ends[node])
      var range = node..<end
      if trie.bytes[node] == 0x20 {
        for index in trie.tokens(at: node) { mask.insert(Int(trie.tokens[index])) }
        range = node + 1..<end
      }
      guard walk(range, set, &mask, exits: nil, limit) != nil else { return nil }
      node = end
    }
    for token in vocabulary.spaceBytes where states.step(set, 0x20) == StackSets.none {
      mask.remove(token)
    }
    if firstMasks.count > 16 { firstMasks = [:] }
    firstMasks[set] = mask
    return mask
  }

  /// Begins the work on a mask.
  private mutating func limit() -> Int {
    visitLimit = visits + Self.maximumVisits
    return states.effort + Self.maximumEffort
  }

  private mutating func frame(_ node: Int32, _ limit: Int) -> Frame? {
    if let frame = frames[node] { return frame }
    var mask = TokenMask(count: vocabulary.count)
    let all = 0..<vocabulary.trie.bytes.count
    guard let exits = walk(all, states.alone(node), &mask, exits: [], limit) else { return nil }
    var frame = Frame(few: nil, many: mask, exits: exits)
    let count = mask.memberCount
    if count * 64 < mask.count {
      frame.many = nil
      frame.few = (0..<mask.count).filter { mask.contains($0) }.map { Int32($0) }
    }
    frameBytes += 4 * (exits.count + (frame.few?.count ?? 2 * mask.words.count)) + 64
    if frameBytes > Self.maximumKept { (frames, frameBytes) = ([:], 0) }
    frames[node] = frame
    return frame
  }

  /// Walks a part of the tree, all nodes below one, from `set` on.
  ///
  /// - Parameters:
  ///   - mask: gets the tokens that are reached.
  ///   - exits: nil when the nodes at which the lowest rule ends do not matter.
  /// - Returns: `exits` with those nodes; nil when it takes too much work.
  private mutating func walk(
    _ range: Range<Int>, _ set: Int32, _ mask: inout TokenMask, exits: [Int32]?, _ limit: Int
  ) -> [Int32]? {
    guard !range.isEmpty, set != StackSets.none else { return exits ?? [] }
    let trie = vocabulary.trie
    let findsExits = exits != nil
    var exits = exits ?? []
    let base = Int(trie.depths[range.lowerBound])
    // The sets before each node of the path.
    var path = [Int32](repeating: StackSets.none, count: trie.height + 1 - base)
    path[0] = set
    var node = range.lowerBound
    var steps = 0
    while node < range.upperBound {
      steps += 1
      let depth = Int(trie.depths[node]) - base
      let next = states.step(path[depth], trie.bytes[node])
      if next == StackSets.none {
        node = Int(trie.ends[node])
        continue
      }
      if states.effort > limit { return nil }
      path[depth + 1] = next
      for index in trie.tokens(at: node) { mask.insert(Int(trie.tokens[index])) }
      if findsExits, Int(trie.ends[node]) > node + 1, states.stacks[next].hasEmpty {
        exits.append(Int32(node))
      }
      node += 1
    }
    visits += steps
    return visits <= visitLimit ? exits : nil
  }
}
