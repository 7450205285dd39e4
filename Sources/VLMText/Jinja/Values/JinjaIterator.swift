/// An iterator over elements. Each element is returned once, even if several values share the
/// iterator.
class JinjaIterator {
  /// Nesting depth: one more than that of the source.
  let depth: Int

  init(depth: Int) { self.depth = depth }

  /// The next element; nil at the end.
  func next(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject? { nil }
}

final class JinjaElementIterator: JinjaIterator {
  private let elements: [JinjaObject]
  private var position = 0

  init(_ elements: [JinjaObject], depth: Int) {
    self.elements = elements
    super.init(depth: depth)
  }

  override func next(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject? {
    guard position < elements.count else { return nil }
    position += 1
    return elements[position - 1]
  }
}

/// The scalars of a string, each as a string.
final class JinjaScalarIterator: JinjaIterator {
  private let text: JinjaString
  private var position = 0

  init(_ text: JinjaString) {
    self.text = text
    super.init(depth: 1)
  }

  override func next(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject? {
    guard position < text.count else { return nil }
    position += 1
    return try run.string([text.scalars[position - 1]])
  }
}

/// Lazily maps or filters the elements of another iterator.
final class JinjaFilteredIterator: JinjaIterator {
  typealias Body = (JinjaObject, JinjaInterpreter) throws(JinjaError) -> JinjaObject?

  private let source: JinjaIterator
  private let body: Body

  /// - Parameters:
  ///   - depth: the nesting depth of the values captured by `body`.
  ///   - body: returns the mapped element; nil to omit it.
  init(_ source: JinjaIterator, depth: Int = 0, body: @escaping Body) {
    self.source = source
    self.body = body
    super.init(depth: max(source.depth, depth) + 1)
  }

  override func next(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject? {
    while let element = try source.next(run) {
      try run.step()
      if let result = try body(element, run) { return result }
    }
    return nil
  }
}

/// A running loop: its position, and the attributes of `loop`.
final class JinjaLoop {
  private var iterator: JinjaIterator
  /// Number of elements; nil until requested if the source does not know it.
  private var length: Int?
  /// The lookahead element, if any; `.some(nil)` at the end.
  private var ahead: JinjaObject??
  private var pending: [JinjaObject]?
  private var pendingPosition = 0
  private var current: JinjaObject?
  private var before: JinjaObject?
  private(set) var index = -1
  /// The previous arguments of `changed`.
  var lastChanged: [JinjaObject]?
  let level: Int
  /// The loop statement for `loop(…)`, and its enclosing scope.
  private(set) var recursion: (statement: JinjaForStatement, scope: JinjaScope)?
  let valueDepth: Int

  init(
    _ iterator: JinjaIterator, length: Int?, level: Int,
    recursion: (statement: JinjaForStatement, scope: JinjaScope)?
  ) {
    self.iterator = iterator
    self.length = length
    self.level = level
    self.recursion = recursion
    valueDepth = iterator.depth + 1
  }

  private func pull(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject? {
    guard let pending else { return try iterator.next(run) }
    guard pendingPosition < pending.count else { return nil }
    pendingPosition += 1
    return pending[pendingPosition - 1]
  }

  private func peek(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject? {
    if let ahead { return ahead }
    let next = try pull(run)
    ahead = .some(next)
    return next
  }

  func advance(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject? {
    let next = try peek(run)
    ahead = nil
    guard let next else { return nil }
    index += 1
    before = current
    current = next
    return next
  }

  private func count(_ run: JinjaInterpreter) throws(JinjaError) -> Int {
    if let length { return length }
    var rest: [JinjaObject] = []
    while let element = try iterator.next(run) {
      try run.charge(JinjaInterpreter.elementBytes)
      rest.append(element)
    }
    let isAhead: Bool = if case .some(.some) = ahead { true } else { false }
    // The end may have been reached by lookahead.
    if case .some(.none) = ahead, !rest.isEmpty { ahead = nil }
    pending = rest
    let count = rest.count + index + 1 + (isAhead ? 1 : 0)
    length = count
    return count
  }

  /// The value of `loop.name`; nil if there is no such attribute.
  func attribute(_ name: String, _ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject? {
    switch name {
    case "index": return .int(index + 1)
    case "index0": return .int(index)
    case "first": return .bool(index == 0)
    case "last": return .bool(try peek(run) == nil)
    case "length": return .int(try count(run))
    case "revindex": return .int(try count(run) - index)
    case "revindex0": return .int(try count(run) - index - 1)
    case "depth": return .int(level + 1)
    case "depth0": return .int(level)
    case "previtem":
      return before ?? .undefined(JinjaUndefined(.hint("there is no previous item")))
    case "nextitem":
      return try peek(run) ?? .undefined(JinjaUndefined(.hint("there is no next item")))
    case "cycle", "changed": return .method(JinjaMethod(.loop(self), name))
    default: return nil
    }
  }

  /// Ends the loop and releases what it references.
  func finish() {
    lastChanged = nil
    recursion = nil
    iterator = JinjaIterator(depth: 0)
  }
}
