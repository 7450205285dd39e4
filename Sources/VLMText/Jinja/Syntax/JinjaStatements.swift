/// How a statement completed.
enum JinjaFlow: Sendable { case done, broken, continued }

/// A statement.
protocol JinjaStatement: Sendable {
  /// Executes the statement. Called through `JinjaInterpreter.execute`, which counts steps.
  func run(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaFlow
}

/// An assignment target.
indirect enum JinjaTarget: Sendable {
  case name(Int)
  case attribute(Int, name: String, attribute: String)
  case tuple([JinjaTarget])
}

struct JinjaTextStatement: JinjaStatement {
  let text: JinjaString

  func run(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaFlow {
    try run.write(text)
    return .done
  }
}

struct JinjaPrintStatement: JinjaStatement {
  let value: any JinjaExpression
  let line: Int

  func run(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaFlow {
    run.line = line
    let value = try run.value(value)
    try run.write(run.text(of: value))
    return .done
  }
}

struct JinjaIfStatement: JinjaStatement {
  struct Branch: Sendable {
    let condition: any JinjaExpression
    let body: [any JinjaStatement]
  }

  let branches: [Branch]
  let otherwise: [any JinjaStatement]

  func run(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaFlow {
    for branch in branches where try run.value(branch.condition).isTrue {
      return try run.execute(branch.body)
    }
    return try run.execute(otherwise)
  }
}

struct JinjaForStatement: JinjaStatement {
  let target: JinjaTarget
  let sequence: any JinjaExpression
  let filter: (any JinjaExpression)?
  let isRecursive: Bool
  let body: [any JinjaStatement]
  let otherwise: [any JinjaStatement]
  let loopName: Int
  let line: Int

  func run(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaFlow {
    run.line = line
    try loop(run, over: try run.value(sequence), level: 0)
    return .done
  }

  /// - Parameter level: recursion level of the loop, from 0.
  func loop(_ run: JinjaInterpreter, over value: JinjaObject, level: Int) throws(JinjaError) {
    run.line = line
    let outer = run.scope
    defer { run.scope = outer }
    let loop = try start(run, over: value, level: level)
    let scope = JinjaScope(parent: outer)
    while let element = try loop.advance(run) {
      try run.step()
      scope.removeAll()
      run.scope = scope
      scope.set(loopName, .loop(loop))
      run.line = line
      try run.assign(element, to: target)
      if try run.execute(body) == .broken { break }
    }
    let isEmpty = loop.index < 0
    loop.finish()
    guard isEmpty, !otherwise.isEmpty else { return }
    run.scope = JinjaScope(parent: outer)
    _ = try run.execute(otherwise)
  }

  private func start(
    _ run: JinjaInterpreter, over value: JinjaObject, level: Int
  ) throws(JinjaError) -> JinjaLoop {
    var iterator = try run.iterator(over: value)
    var length = run.length(ifKnown: value)
    let outer = run.scope
    if let filter {
      let (target, line) = (target, line)
      let scope = JinjaScope(parent: outer)
      length = nil
      let body: JinjaFilteredIterator.Body = {
        (element: JinjaObject, run: JinjaInterpreter) throws(JinjaError) -> JinjaObject? in
        let current = run.scope
        defer { run.scope = current }
        run.scope = scope
        run.line = line
        try run.assign(element, to: target)
        return try run.value(filter).isTrue ? element : nil
      }
      iterator = JinjaFilteredIterator(iterator, body: body)
    }
    try run.check(depth: iterator.depth + 1)
    return JinjaLoop(
      iterator, length: length, level: level, recursion: isRecursive ? (self, outer) : nil)
  }
}

struct JinjaJumpStatement: JinjaStatement {
  let flow: JinjaFlow

  func run(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaFlow { flow }
}

struct JinjaSetStatement: JinjaStatement {
  let target: JinjaTarget
  let value: any JinjaExpression
  let line: Int

  func run(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaFlow {
    run.line = line
    let value = try run.value(value)
    run.line = line
    try run.assign(value, to: target)
    return .done
  }
}

/// A body whose output is filtered, then assigned to a variable or written.
struct JinjaFilteredStatement: JinjaStatement {
  let filters: [JinjaFilterCall]
  let body: [any JinjaStatement]
  let target: JinjaTarget?
  let line: Int

  func run(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaFlow {
    let (text, flow) = try run.captured(body, in: JinjaScope(parent: run.scope))
    guard flow == .done else { return flow }
    var value = text
    for filter in filters { value = try filter.apply(run, to: value) }
    run.line = line
    if let target {
      try run.assign(value, to: target)
    } else {
      try run.write(run.text(of: value))
    }
    return .done
  }
}

/// A body with a scope of its own.
struct JinjaScopeStatement: JinjaStatement {
  let body: [any JinjaStatement]

  func run(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaFlow {
    let outer = run.scope
    defer { run.scope = outer }
    run.scope = JinjaScope(parent: outer)
    return try run.execute(body)
  }
}

struct JinjaWithStatement: JinjaStatement {
  struct Binding: Sendable {
    let target: JinjaTarget
    let value: any JinjaExpression
  }

  let bindings: [Binding]
  let body: [any JinjaStatement]
  let line: Int

  func run(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaFlow {
    let outer = run.scope
    defer { run.scope = outer }
    // All values are evaluated in the outer scope.
    var values: [JinjaObject] = []
    for binding in bindings { values.append(try run.value(binding.value)) }
    run.scope = JinjaScope(parent: outer)
    run.line = line
    for (binding, value) in zip(bindings, values) { try run.assign(value, to: binding.target) }
    return try run.execute(body)
  }
}

/// A macro, or the body of a call block.
struct JinjaMacro: Sendable {
  struct Parameter: Sendable {
    let name: String
    let number: Int
    let initial: (any JinjaExpression)?
  }

  let name: String
  let parameters: [Parameter]
  let body: [any JinjaStatement]
  /// The name numbers of `caller`, `kwargs` and `varargs`, if the body uses them.
  let caller: Int?
  let keywords: Int?
  let rest: Int?
}

struct JinjaMacroStatement: JinjaStatement {
  let number: Int
  let macro: JinjaMacro

  func run(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaFlow {
    run.scope.set(number, try run.closure(macro))
    return .done
  }
}

struct JinjaCallStatement: JinjaStatement {
  /// An expression that ends in a call.
  let call: JinjaPostfix
  let caller: JinjaMacro
  let line: Int

  func run(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaFlow {
    guard let last = call.steps.last, case .call(let arguments) = last.kind else { return .done }
    let callee = try call.value(run, call.steps.dropLast())
    var values = try arguments.evaluate(run)
    run.line = line
    try values.add("caller", try run.closure(caller), run)
    try run.write(run.text(of: try run.call(callee, values)))
    return .done
  }
}
