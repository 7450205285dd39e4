/// The graph of a grammar's rules while it is built: with empty edges, and with nodes from which no
/// end is reached.
struct GrammarGraph {
  struct Node {
    var empty: [Int32] = []
    var bytes: [GrammarAutomaton.ByteEdge] = []
    /// The rule, and where to go on.
    var call: (rule: Int32, target: Int32)?
  }

  private(set) var nodes: [Node] = []
  /// First and last node of each rule that `root` needs.
  private(set) var starts: [Int32]
  private(set) var ends: [Int32]
  private let rules: [GrammarRule]
  /// Rules that are copied where they are called.
  private let isCopied: [Bool]
  private let file: String
  private var pending: [Int] = []

  /// Nodes of a graph: with 100 bytes each, and as much again for what is made of them.
  static let maximumNodes = 1 << 17
  /// Beyond so many nodes rules are no longer copied.
  private static let maximumCopied = 1 << 15

  /// - Throws: `TextError` for a grammar that is too large.
  init(_ rules: [GrammarRule], root: Int, file: String) throws(TextError) {
    self.rules = rules
    self.file = file
    isCopied = CopiedRules.find(rules)
    starts = [Int32](repeating: -1, count: rules.count)
    ends = starts
    try declare(root)
    while let rule = pending.popLast() {
      let start = try build(rules[rule].expression, to: ends[rule])
      nodes[Int(starts[rule])].empty.append(start)
    }
  }

  private mutating func declare(_ rule: Int) throws(TextError) {
    guard starts[rule] < 0 else { return }
    starts[rule] = try add(Node())
    ends[rule] = try add(Node())
    pending.append(rule)
  }

  private mutating func add(_ node: Node) throws(TextError) -> Int32 {
    guard nodes.count < Self.maximumNodes else {
      throw TextError(
        file: file, place: "size",
        .value(
          found: "more than \(Self.maximumNodes) steps", expected: "fewer or shorter repetitions"))
    }
    nodes.append(node)
    return Int32(nodes.count - 1)
  }

  /// The node from which `expression` leads to `next`.
  private mutating func build(
    _ expression: GrammarExpression, to next: Int32
  ) throws(TextError) -> Int32 {
    switch expression {
    case .bytes(let bytes):
      var next = next
      for byte in bytes.reversed() {
        next = try add(Node(bytes: [.init(low: byte, high: byte, target: next)]))
      }
      return next
    case .scalars(let set): return try build(set, to: next)
    case .sequence(let parts):
      var next = next
      for part in parts.reversed() { next = try build(part, to: next) }
      return next
    case .choice(let choices): return try build(choices, to: next)
    case .repeated(let part, let minimum, let maximum):
      return try build(part, minimum, maximum, to: next)
    case .rule(let rule):
      if isCopied[rule], nodes.count < Self.maximumCopied {
        return try build(rules[rule].expression, to: next)
      }
      try declare(rule)
      return try add(Node(call: (Int32(rule), next)))
    case .list(let items, let separator): return try build(items, separator, to: next)
    }
  }

  private mutating func build(
    _ choices: [GrammarExpression], to next: Int32
  ) throws(TextError) -> Int32 {
    var texts: [[UInt8]] = []
    var others: [Int32] = []
    for choice in choices {
      if let text = choice.onlyText {
        texts.append(text)
      } else {
        others.append(try build(choice, to: next))
      }
    }
    let start = try add(Node(empty: others))
    try add(texts, from: start, to: next)
    return start
  }

  /// A tree of texts, so that what many begin with is looked at once.
  private mutating func add(
    _ texts: [[UInt8]], from start: Int32, to next: Int32
  ) throws(TextError) {
    var before: [UInt8] = []
    // The nodes of the text before: behind none of its bytes, behind the first …, without the last.
    var path = [start]
    for text in texts.sorted(by: { $0.lexicographicallyPrecedes($1) }) where text != before {
      guard let last = text.last else { continue }
      let common = zip(text.dropLast(), before).prefix { $0 == $1 }.count
      path.removeLast(path.count - 1 - min(common, path.count - 1))
      for byte in text[(path.count - 1)...].dropLast() {
        let node = try add(Node())
        nodes[Int(path[path.count - 1])].bytes.append(.init(low: byte, high: byte, target: node))
        path.append(node)
      }
      nodes[Int(path[path.count - 1])].bytes.append(.init(low: last, high: last, target: next))
      before = text
    }
    if texts.contains(where: \.isEmpty) { nodes[Int(start)].empty.append(next) }
  }

  private mutating func build(
    _ part: GrammarExpression, _ minimum: Int, _ maximum: Int?, to next: Int32
  ) throws(TextError) -> Int32 {
    var next = next
    if let maximum {
      let end = next
      for _ in minimum..<max(minimum, maximum) {
        next = try add(Node(empty: [end, try build(part, to: next)]))
      }
    } else {
      let loop = try add(Node(empty: [next]))
      let body = try build(part, to: loop)
      nodes[Int(loop)].empty.append(body)
      next = loop
    }
    for _ in 0..<minimum { next = try build(part, to: next) }
    return next
  }

  /// Two chains of nodes: before the first item, and behind one, where a separator stands before the
  /// next.
  private mutating func build(
    _ items: [GrammarExpression.ListItem], _ separator: GrammarExpression, to next: Int32
  ) throws(TextError) -> Int32 {
    var (first, later) = (next, next)
    for item in items.reversed() {
      let body = try build(item.expression, to: later)
      let separated = try build(separator, to: body)
      if item.isOptional {
        first = try add(Node(empty: [first, body]))
        later = try add(Node(empty: [later, separated]))
      } else {
        (first, later) = (body, separated)
      }
    }
    return first
  }

  /// A graph that has one node for all ways to go on from a leading byte.
  private mutating func build(_ set: ScalarSet, to next: Int32) throws(TextError) -> Int32 {
    var sequences: [[ClosedRange<UInt8>]] = []
    UTF8Ranges.forEach(set) { sequences.append($0) }
    // Nodes by what is still to be read.
    var tails: [[ClosedRange<UInt8>]: Int32] = [[]: next]
    var node = Node()
    for sequence in sequences {
      for length in 1..<max(1, sequence.count) {
        let tail = Array(sequence.suffix(length))
        guard tails[tail] == nil, let target = tails[Array(tail.dropFirst())] else { continue }
        tails[tail] = try add(
          Node(bytes: [.init(low: tail[0].lowerBound, high: tail[0].upperBound, target: target)]))
      }
      guard let head = sequence.first, let target = tails[Array(sequence.dropFirst())] else {
        continue
      }
      node.bytes.append(.init(low: head.lowerBound, high: head.upperBound, target: target))
    }
    return try add(node)
  }
}

/// Which rules are copied where they are called: those of a few bounded steps, such as a digit or a
/// character of a string.
///
/// A call ends almost everywhere in such a rule, so that nothing would be known of a token without
/// its caller; see `GrammarEngine`.
enum CopiedRules {
  private static let maximumWeight = 128
  private static let maximumDepth = 64

  static func find(_ rules: [GrammarRule]) -> [Bool] {
    /// Nil while not known; `.max` for rules that are not copied.
    var weights = [Int?](repeating: nil, count: rules.count)
    func weight(ofRule rule: Int, depth: Int) -> Int {
      if let weight = weights[rule] { return weight }
      // What leads back here calls itself.
      weights[rule] = Int.max
      guard depth < maximumDepth else { return .max }
      let found = weight(rules[rule].expression, depth: depth + 1)
      weights[rule] = found <= maximumWeight ? found : Int.max
      return weights[rule] ?? Int.max
    }
    func sum(_ parts: [GrammarExpression], depth: Int) -> Int {
      var total = 1
      for part in parts {
        let next = weight(part, depth: depth)
        guard next <= maximumWeight else { return .max }
        total += next
        guard total <= maximumWeight else { return .max }
      }
      return total
    }
    func weight(_ expression: GrammarExpression, depth: Int) -> Int {
      switch expression {
      case .bytes(let bytes): return bytes.count
      case .scalars(let set): return min(8, 1 + set.ranges.count)
      case .sequence(let parts), .choice(let parts): return sum(parts, depth: depth)
      case .repeated(let part, let minimum, let maximum):
        guard let maximum else { return .max }
        let one = weight(part, depth: depth)
        guard one <= maximumWeight else { return .max }
        return (one + 1) * min(max(minimum, maximum), maximumWeight + 1)
      case .rule(let rule): return weight(ofRule: rule, depth: depth)
      case .list(let items, let separator):
        return sum([separator] + items.map(\.expression), depth: depth)
      }
    }
    return rules.indices.map { weight(ofRule: $0, depth: 0) <= maximumWeight }
  }
}
