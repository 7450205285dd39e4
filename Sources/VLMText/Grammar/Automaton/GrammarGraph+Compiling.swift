extension GrammarGraph {
  /// Edges of all nodes together, each once for every node that has it.
  private static let maximumEdges = 1 << 20

  /// The automaton of a grammar.
  ///
  /// - Throws: `TextError` for a grammar that is too large, that has no text, or in which a rule begins
  ///   with itself.
  static func compile(
    _ rules: [GrammarRule], root: Int, file: String
  ) throws(TextError) -> GrammarAutomaton {
    let graph = try GrammarGraph(rules, root: root, file: file)
    let reachesEnd = graph.nodesReachingEnd(reading: true)
    guard reachesEnd[Int(graph.starts[root])] else {
      throw TextError(
        file: file, place: "'\(rules[root].name)'",
        .value(found: "no text that it matches", expected: "at least one of limited length"))
    }
    var compiler = GraphCompiler(
      graph: graph, reachesEnd: reachesEnd, isSkippable: graph.nodesReachingEnd(reading: false))
    guard compiler.compile(from: root, maximumEdges: maximumEdges) else {
      throw TextError(
        file: file, place: "size",
        .value(found: "more than \(maximumEdges) edges", expected: "fewer optional parts in a row"))
    }
    guard let automaton = compiler.automaton(root: root) else {
      let name = compiler.recursive.map { rules[$0].name } ?? ""
      throw TextError(
        file: file, place: "rule '\(name)'",
        .value(
          found: "a rule that begins with itself",
          expected: "something that is read before it comes again, such as 'a ::= b (\",\" b)*'"))
    }
    return automaton
  }

  /// The nodes from which the end of their rule is reached: by any edge, or without reading.
  private func nodesReachingEnd(reading: Bool) -> [Bool] {
    var sources = [[Int32]](repeating: [], count: nodes.count)
    var callers = [[Int32]](repeating: [], count: starts.count)
    for (index, node) in nodes.enumerated() {
      for target in node.empty { sources[Int(target)].append(Int32(index)) }
      if reading { for edge in node.bytes { sources[Int(edge.target)].append(Int32(index)) } }
      if let call = node.call {
        sources[Int(call.target)].append(Int32(index))
        callers[Int(call.rule)].append(Int32(index))
      }
    }
    var ruleOfStart: [Int32: Int] = [:]
    for (rule, start) in starts.enumerated() where start >= 0 { ruleOfStart[start] = rule }
    var reaches = [Bool](repeating: false, count: nodes.count)
    var work = ends.filter { $0 >= 0 }
    for node in work { reaches[Int(node)] = true }
    func visit(_ node: Int32) {
      guard !reaches[Int(node)] else { return }
      if let call = nodes[Int(node)].call {
        guard reaches[Int(call.target)], reaches[Int(starts[Int(call.rule)])] else { return }
      }
      reaches[Int(node)] = true
      work.append(node)
    }
    while let node = work.popLast() {
      for source in sources[Int(node)] { visit(source) }
      if let rule = ruleOfStart[node] { for caller in callers[rule] { visit(caller) } }
    }
    return reaches
  }
}

/// Makes the graph's empty edges part of the nodes before them, and numbers the rules anew so that
/// each begins with later ones only.
private struct GraphCompiler {
  let graph: GrammarGraph
  let reachesEnd: [Bool]
  let isSkippable: [Bool]
  private var nodes: [GrammarAutomaton.Node] = []
  private var numbers: [Int32: Int32] = [:]
  private var pending: [Int32] = []
  /// A rule that begins with itself, where one was found.
  private(set) var recursive: Int?

  init(graph: GrammarGraph, reachesEnd: [Bool], isSkippable: [Bool]) {
    self.graph = graph
    self.reachesEnd = reachesEnd
    self.isSkippable = isSkippable
  }

  /// - Returns: false when there are more edges.
  mutating func compile(from root: Int, maximumEdges: Int) -> Bool {
    let ends = Set(graph.ends)
    _ = number(graph.starts[root])
    var edges = 0
    var seen = [Int32](repeating: -1, count: graph.nodes.count)
    while let source = pending.popLast() {
      guard let number = numbers[source] else { continue }
      var node = GrammarAutomaton.Node()
      var calls: [GrammarAutomaton.CallEdge] = []
      var bytes = Set<GrammarAutomaton.ByteEdge>()
      var work = [source]
      seen[Int(source)] = number
      func visit(_ next: Int32) {
        guard reachesEnd[Int(next)], seen[Int(next)] != number else { return }
        seen[Int(next)] = number
        work.append(next)
      }
      while let at = work.popLast() {
        edges += 1
        if ends.contains(at) { node.isEnd = true }
        let part = graph.nodes[Int(at)]
        for next in part.empty { visit(next) }
        for edge in part.bytes where reachesEnd[Int(edge.target)] {
          bytes.insert(.init(low: edge.low, high: edge.high, target: self.number(edge.target)))
        }
        if let call = part.call, reachesEnd[Int(at)] {
          let start = graph.starts[Int(call.rule)]
          _ = self.number(start)
          calls.append(.init(rule: call.rule, target: self.number(call.target)))
          if isSkippable[Int(start)] { visit(call.target) }
        }
        edges += part.bytes.count + part.empty.count
        guard edges <= maximumEdges else { return false }
      }
      node.bytes = bytes.sorted { ($0.low, $0.high, $0.target) < ($1.low, $1.high, $1.target) }
      node.calls = calls
      nodes[Int(number)] = node
    }
    return true
  }

  private mutating func number(_ node: Int32) -> Int32 {
    if let number = numbers[node] { return number }
    let number = Int32(nodes.count)
    numbers[node] = number
    nodes.append(.init())
    pending.append(node)
    return number
  }

  /// Nil when a rule begins with itself.
  mutating func automaton(root: Int) -> GrammarAutomaton? {
    let rules = graph.starts.indices.filter { numbers[graph.starts[$0]] != nil }
    guard let order = sorted(rules) else { return nil }
    var renamed: [Int32: Int32] = [:]
    for (number, rule) in order.enumerated() { renamed[Int32(rule)] = Int32(number) }
    let isEndAlone = nodes.map { $0.isEnd && $0.bytes.isEmpty && $0.calls.isEmpty }
    for index in nodes.indices {
      let calls = nodes[index].calls.map { call in
        GrammarAutomaton.CallEdge(
          rule: renamed[call.rule] ?? 0,
          target: isEndAlone[Int(call.target)] ? GrammarAutomaton.CallEdge.tail : call.target)
      }
      nodes[index].calls = Set(calls).sorted { ($0.rule, $0.target) < ($1.rule, $1.target) }
    }
    return GrammarAutomaton(
      nodes: nodes, starts: order.map { numbers[graph.starts[$0]] ?? 0 },
      root: Int(renamed[Int32(root)] ?? 0))
  }

  /// The rules, each before those that it begins with (Kahn's algorithm).
  private mutating func sorted(_ rules: [Int]) -> [Int]? {
    func begins(_ rule: Int) -> [Int] {
      guard let start = numbers[graph.starts[rule]] else { return [] }
      return Set(nodes[Int(start)].calls.map { Int($0.rule) }).sorted()
    }
    var callers = [Int: Int](uniqueKeysWithValues: rules.map { ($0, 0) })
    for rule in rules { for called in begins(rule) { callers[called, default: 0] += 1 } }
    var free = rules.filter { callers[$0] == 0 }
    var order: [Int] = []
    while let rule = free.popLast() {
      order.append(rule)
      for called in begins(rule) {
        callers[called, default: 0] -= 1
        if callers[called] == 0 { free.append(called) }
      }
    }
    guard order.count < rules.count else { return order }
    // From a rule that is left, back to one that begins with it, until one comes again.
    let left = Set(rules).subtracting(order)
    var before: [Int: Int] = [:]
    for rule in left.sorted() { for called in begins(rule) { before[called] = rule } }
    var seen = Set<Int>()
    var rule = left.min() ?? 0
    while seen.insert(rule).inserted { rule = before[rule] ?? rule }
    recursive = rule
    return nil
  }
}
