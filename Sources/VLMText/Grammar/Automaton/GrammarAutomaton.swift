/// A grammar as a pushdown automaton over bytes: for each rule a graph of nodes, whose edges read a
/// byte or call a rule and go on where it ends.
///
/// Bytes, not characters, because a token may end inside a character. There are no empty edges, no
/// rule begins with itself, and from each node the end can be reached: so every stack of nodes is
/// the beginning of a text that the grammar has.
struct GrammarAutomaton: Sendable {
  /// Reads one byte of a range.
  struct ByteEdge: Sendable, Hashable {
    let low: UInt8
    let high: UInt8
    let target: Int32
  }

  /// Calls a rule.
  struct CallEdge: Sendable, Hashable {
    let rule: Int32
    /// Where to go on; `tail` where the caller ends too.
    let target: Int32

    static let tail: Int32 = -1
  }

  struct Node: Sendable {
    var bytes: [ByteEdge] = []
    var calls: [CallEdge] = []
    /// Whether the rule may end here.
    var isEnd = false
  }

  let nodes: [Node]
  /// The first node of each rule. A rule begins only with calls of later ones.
  let starts: [Int32]
  /// The number of the rule for whole texts.
  let root: Int
  /// Bytes of one class are alike to every edge.
  let classes: [UInt8]
  /// One byte of each class.
  let representatives: [UInt8]

  init(nodes: [Node], starts: [Int32], root: Int) {
    self.nodes = nodes
    self.starts = starts
    self.root = root
    var isBoundary = [Bool](repeating: false, count: 257)
    for node in nodes {
      for edge in node.bytes {
        isBoundary[Int(edge.low)] = true
        isBoundary[Int(edge.high) + 1] = true
      }
    }
    var classes: [UInt8] = []
    var representatives: [UInt8] = []
    for byte in 0..<256 {
      if byte == 0 || isBoundary[byte] { representatives.append(UInt8(byte)) }
      classes.append(UInt8(representatives.count - 1))
    }
    self.classes = classes
    self.representatives = representatives
  }
}
