/// An expression.
protocol JinjaExpression: Sendable {
  /// Evaluates the expression. Called through `JinjaInterpreter.value`, which counts steps.
  func evaluate(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject
}

struct JinjaConstant: JinjaExpression {
  let value: JinjaLiteral

  func evaluate(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject { value.object }
}

struct JinjaName: JinjaExpression {
  let number: Int
  let name: String

  func evaluate(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject {
    try run.lookup(number) ?? .undefined(JinjaUndefined(.name(name)))
  }
}

/// A list or a tuple.
struct JinjaSequenceExpression: JinjaExpression {
  let elements: [any JinjaExpression]
  let kind: JinjaSequence.Kind

  func evaluate(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject {
    var values: [JinjaObject] = []
    values.reserveCapacity(elements.count)
    for element in elements { values.append(try run.value(element)) }
    return try run.sequence(values, kind)
  }
}

struct JinjaDictionaryExpression: JinjaExpression {
  struct Member: Sendable {
    let key: any JinjaExpression
    let value: any JinjaExpression
  }

  let members: [Member]
  let line: Int

  func evaluate(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject {
    var builder = JinjaDictionaryBuilder()
    for member in members {
      let key = try run.value(member.key)
      let value = try run.value(member.value)
      run.line = line
      try builder.set(key, value, run)
    }
    return try builder.object(run)
  }
}

/// `value if condition else otherwise`.
struct JinjaConditional: JinjaExpression {
  let value: any JinjaExpression
  let condition: any JinjaExpression
  let otherwise: (any JinjaExpression)?

  func evaluate(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject {
    if try run.value(condition).isTrue { return try run.value(value) }
    if let otherwise { return try run.value(otherwise) }
    return .undefined(
      JinjaUndefined(
        .hint(
          "the inline if-expression on line \(run.line) evaluated to false and no else section was"
            + " defined.")))
  }
}

/// `and` or `or`: the first operand that decides the result, otherwise the last.
struct JinjaLogical: JinjaExpression {
  let operands: [any JinjaExpression]
  let stopsAt: Bool

  func evaluate(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject {
    var result = JinjaObject.null
    for operand in operands {
      result = try run.value(operand)
      if result.isTrue == stopsAt { break }
    }
    return result
  }
}

struct JinjaNot: JinjaExpression {
  let value: any JinjaExpression
  let isTwice: Bool

  func evaluate(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject {
    .bool(try run.value(value).isTrue == isTwice)
  }
}

/// An operator with its right operand.
struct JinjaStep<Operator: Sendable>: Sendable {
  let operation: Operator
  let operand: any JinjaExpression
  let line: Int

  /// Evaluates the right operand and sets the line of subsequent errors to the operator's.
  func right(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject {
    let right = try run.value(operand)
    run.line = line
    return right
  }
}

struct JinjaComparison: JinjaExpression {
  let first: any JinjaExpression
  let rest: [JinjaStep<JinjaRelation>]

  func evaluate(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject {
    var left = try run.value(first)
    for step in rest {
      let right = try step.right(run)
      guard try run.holds(step.operation, left, right) else { return .bool(false) }
      left = right
    }
    return .bool(true)
  }
}

/// Left-associative operators of one precedence.
struct JinjaChain: JinjaExpression {
  let first: any JinjaExpression
  let rest: [JinjaStep<JinjaOperation>]

  func evaluate(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject {
    var left = try run.value(first)
    if rest.first?.operation == .concatenate { return try concatenated(left, run) }
    for step in rest {
      left = try run.apply(step.operation, left, try step.right(run))
    }
    return left
  }

  /// String concatenation with `~`, which has a precedence of its own.
  private func concatenated(
    _ first: JinjaObject, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    var scalars = try run.text(of: first).scalars
    for step in rest {
      let text = try run.text(of: try run.value(step.operand))
      run.line = step.line
      try run.charge(text.count, each: 4)
      scalars += text.scalars
    }
    return try run.string(scalars)
  }
}

struct JinjaSigned: JinjaExpression {
  let value: any JinjaExpression
  let negates: Bool
  let line: Int

  func evaluate(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject {
    let value = try run.value(value)
    run.line = line
    return try run.signed(value, negates: negates)
  }
}

/// The argument expressions of a call.
struct JinjaCallArguments: Sendable {
  struct Named: Sendable {
    let name: String
    let value: any JinjaExpression
  }

  var positional: [any JinjaExpression] = []
  var named: [Named] = []
  /// The operands of `*` and `**`.
  var unpacked: (any JinjaExpression)?
  var unpackedNames: (any JinjaExpression)?

  func evaluate(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaArguments {
    var arguments = JinjaArguments()
    for expression in positional { arguments.positional.append(try run.value(expression)) }
    for argument in named {
      try arguments.add(argument.name, try run.value(argument.value), run)
    }
    if let unpacked {
      arguments.positional += try run.elements(of: try run.value(unpacked))
    }
    if let unpackedNames {
      guard case .dictionary(let members) = try run.value(unpackedNames) else {
        throw run.error(.value("argument after ** must be a mapping"))
      }
      for (key, value) in zip(members.keys, members.values) {
        guard case .string(let name) = key else {
          throw run.error(.value("keywords must be strings"))
        }
        try arguments.add(name.string, value, run)
      }
    }
    return arguments
  }
}

struct JinjaFilterCall: Sendable {
  let name: String
  /// Nil if there is no filter or test of this name, which is an error only when it is evaluated.
  nonisolated(unsafe) let filter: JinjaFilters.Filter?
  let arguments: JinjaCallArguments
  let line: Int

  func apply(_ run: JinjaInterpreter, to value: JinjaObject) throws(JinjaError) -> JinjaObject {
    let arguments = try arguments.evaluate(run)
    run.line = line
    guard let filter else { throw run.error(.unsupported("the filter '\(name)'")) }
    return try filter(run, value, arguments)
  }
}

struct JinjaTestCall: Sendable {
  let name: String
  nonisolated(unsafe) let test: JinjaTests.Test?
  let arguments: JinjaCallArguments
  let negates: Bool

  func holds(_ run: JinjaInterpreter, for value: JinjaObject) throws(JinjaError) -> Bool {
    let arguments = try arguments.evaluate(run)
    guard let test else { throw run.error(.unsupported("the test '\(name)'")) }
    return try test(run, value, arguments) != negates
  }
}

/// A chain of postfix operations on a value: `.name`, `[…]`, `(…)`, `|filter`, `is test`, from the
/// left.
struct JinjaPostfix: JinjaExpression {
  enum Kind: Sendable {
    case attribute(String, JinjaString)
    case item(any JinjaExpression)
    case slice((any JinjaExpression)?, (any JinjaExpression)?, (any JinjaExpression)?)
    case call(JinjaCallArguments)
    case filter(JinjaFilterCall)
    case test(JinjaTestCall)
  }

  struct Step: Sendable {
    let kind: Kind
    let line: Int
  }

  let base: any JinjaExpression
  let steps: [Step]

  func evaluate(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject {
    try value(run, steps[...])
  }

  /// Evaluates the chain, which starts with the first of `steps`.
  func value(_ run: JinjaInterpreter, _ steps: ArraySlice<Step>) throws(JinjaError) -> JinjaObject {
    var value = try run.value(base)
    for step in steps { value = try apply(step, to: value, run) }
    return value
  }

  private func apply(
    _ step: Step, to value: JinjaObject, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    switch step.kind {
    case .attribute(let name, let key):
      run.line = step.line
      return try run.attribute(name, key, of: value)
    case .item(let expression):
      let key = try run.value(expression)
      run.line = step.line
      return try run.item(key, of: value)
    case .slice(let start, let end, let stride):
      return try slice(start, end, stride, of: value, run, line: step.line)
    case .call(let arguments):
      let arguments = try arguments.evaluate(run)
      run.line = step.line
      return try run.call(value, arguments)
    case .filter(let call): return try call.apply(run, to: value)
    case .test(let call):
      run.line = step.line
      return .bool(try call.holds(run, for: value))
    }
  }

  private func slice(
    _ start: (any JinjaExpression)?, _ end: (any JinjaExpression)?,
    _ stride: (any JinjaExpression)?, of value: JinjaObject, _ run: JinjaInterpreter, line: Int
  ) throws(JinjaError) -> JinjaObject {
    var bounds: [JinjaObject] = []
    for bound in [start, end, stride] {
      if let bound { bounds.append(try run.value(bound)) } else { bounds.append(.null) }
    }
    run.line = line
    return try run.slice(value, bounds[0], bounds[1], bounds[2])
  }
}
