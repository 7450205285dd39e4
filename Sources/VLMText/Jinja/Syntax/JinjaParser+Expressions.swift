// Parses expressions by precedence. A chain of operators of equal precedence becomes one node, so
// that long chains are not deeply nested.

extension JinjaParser {
  /// One expression, or several separated by commas as a tuple.
  ///
  /// - Parameters:
  ///   - inBrackets: whether the list may be empty.
  ///   - end: a name that also ends it.
  mutating func tuple(
    withCondition: Bool = true, inBrackets: Bool = false, end: String? = nil
  ) throws(JinjaError) -> any JinjaExpression {
    var elements: [any JinjaExpression] = []
    var isTuple = false
    while true {
      if case .variableEnd = token.kind { break }
      if case .blockEnd = token.kind { break }
      if isSymbol(")") { break }
      if let end, isName(end) { break }
      elements.append(try expression(withCondition: withCondition))
      guard skip(symbol: ",") else { break }
      isTuple = true
    }
    if !isTuple, let first = elements.first { return first }
    guard isTuple || inBrackets else { throw unexpected("an expression") }
    return JinjaSequenceExpression(elements: elements, kind: .tuple)
  }

  /// - Parameter withCondition: whether `a if b else c` is accepted.
  mutating func expression(withCondition: Bool = true) throws(JinjaError) -> any JinjaExpression {
    let outer = depth
    try nest()
    var value = try or()
    while withCondition, skip(name: "if") {
      try nest()
      let condition = try or()
      let otherwise = skip(name: "else") ? try expression() : nil
      value = JinjaConditional(value: value, condition: condition, otherwise: otherwise)
    }
    depth = outer
    return value
  }

  private mutating func or() throws(JinjaError) -> any JinjaExpression {
    let first = try and()
    guard isName("or") else { return first }
    var operands = [first]
    while skip(name: "or") { operands.append(try and()) }
    return JinjaLogical(operands: operands, stopsAt: true)
  }

  private mutating func and() throws(JinjaError) -> any JinjaExpression {
    let first = try not()
    guard isName("and") else { return first }
    var operands = [first]
    while skip(name: "and") { operands.append(try not()) }
    return JinjaLogical(operands: operands, stopsAt: false)
  }

  private mutating func not() throws(JinjaError) -> any JinjaExpression {
    var count = 0
    while skip(name: "not") { count += 1 }
    let value = try comparison()
    return count == 0 ? value : JinjaNot(value: value, isTwice: count % 2 == 0)
  }

  private mutating func comparison() throws(JinjaError) -> any JinjaExpression {
    let first = try binary(0)
    var rest: [JinjaStep<JinjaRelation>] = []
    while let relation = relation() {
      let line = line
      advance()
      if relation == .notIn { advance() }
      rest.append(
        JinjaStep(operation: relation, operand: try binary(0), line: line))
    }
    return rest.isEmpty ? first : JinjaComparison(first: first, rest: rest)
  }

  private func relation() -> JinjaRelation? {
    switch token.kind {
    case .symbol(let symbol): JinjaRelation(rawValue: symbol)
    case .name("in"): .isIn
    case .name("not"): following.kind == .name("in") ? .notIn : nil
    default: nil
    }
  }

  private static let levels: [String: Int] = [
    "+": 0, "-": 0, "~": 1, "*": 2, "/": 2, "//": 2, "%": 2, "**": 3,
  ]

  /// Left-associative operators of `level` and above.
  private mutating func binary(_ level: Int) throws(JinjaError) -> any JinjaExpression {
    var left = try unary()
    var rest: [JinjaStep<JinjaOperation>] = []
    var current = 0
    while case .symbol(let symbol) = token.kind, let found = Self.levels[symbol], found >= level,
      let operation = JinjaOperation(rawValue: symbol)
    {
      let line = line
      advance()
      if !rest.isEmpty, found != current {
        left = JinjaChain(first: left, rest: rest)
        rest = []
      }
      current = found
      let operand = found == 3 ? try unary() : try binary(found + 1)
      rest.append(JinjaStep(operation: operation, operand: operand, line: line))
    }
    return rest.isEmpty ? left : JinjaChain(first: left, rest: rest)
  }

  private mutating func unary(withFilter: Bool = true) throws(JinjaError) -> any JinjaExpression {
    var base: any JinjaExpression
    if isSymbol("-") || isSymbol("+") {
      let negates = isSymbol("-")
      let line = line
      advance()
      try nest()
      base = JinjaSigned(value: try unary(withFilter: false), negates: negates, line: line)
      depth -= 1
    } else {
      base = try primary()
    }
    var steps: [JinjaPostfix.Step] = []
    while let step = try postfix() { steps.append(step) }
    while withFilter {
      let line = line
      if skip(symbol: "|") {
        steps.append(JinjaPostfix.Step(kind: .filter(try filterCall()), line: line))
      } else if skip(name: "is") {
        steps.append(JinjaPostfix.Step(kind: try test(), line: line))
      } else if isSymbol("(") {
        steps.append(JinjaPostfix.Step(kind: .call(try arguments()), line: line))
      } else {
        break
      }
    }
    return steps.isEmpty ? base : JinjaPostfix(base: base, steps: steps)
  }

  /// Parses `.name`, `[…]` or `(…)`.
  private mutating func postfix() throws(JinjaError) -> JinjaPostfix.Step? {
    let line = line
    if skip(symbol: ".") {
      switch token.kind {
      case .name(let name):
        advance()
        note(word: name)
        return JinjaPostfix.Step(
          kind: .attribute(name, JinjaString(name)), line: line)
      case .integer(let value):
        advance()
        return JinjaPostfix.Step(kind: .item(JinjaConstant(value: .int(value))), line: line)
      default: throw unexpected("a name or a number")
      }
    }
    if skip(symbol: "[") { return JinjaPostfix.Step(kind: try subscripts(), line: line) }
    if isSymbol("(") { return JinjaPostfix.Step(kind: .call(try arguments()), line: line) }
    return nil
  }

  /// Parses the rest after `[`.
  private mutating func subscripts() throws(JinjaError) -> JinjaPostfix.Kind {
    var bounds: [(any JinjaExpression)?] = []
    var isSlice = false
    var elements: [any JinjaExpression] = []
    while !isSymbol("]") {
      if !elements.isEmpty { try expect(.symbol(",")) }
      let first = isSymbol(":") ? nil : try expression()
      guard isSymbol(":") else {
        if let first { elements.append(first) }
        continue
      }
      guard elements.isEmpty else { throw error(.unsupported("a slice in a tuple")) }
      isSlice = true
      bounds = [first]
      while bounds.count < 3, skip(symbol: ":") {
        bounds.append(isSymbol(":") || isSymbol("]") ? nil : try expression())
      }
      break
    }
    try expect(.symbol("]"))
    if isSlice {
      return .slice(bounds[0], bounds[1], bounds.count > 2 ? bounds[2] : nil)
    }
    if elements.count == 1 { return .item(elements[0]) }
    return .item(JinjaSequenceExpression(elements: elements, kind: .tuple))
  }

  /// Parses a filter after `|`.
  mutating func filterCall() throws(JinjaError) -> JinjaFilterCall {
    let line = line
    let name = try dottedName()
    let arguments = isSymbol("(") ? try self.arguments() : JinjaCallArguments()
    return JinjaFilterCall(
      name: name, filter: JinjaFilters.table[name], arguments: arguments, line: line)
  }

  private mutating func dottedName() throws(JinjaError) -> String {
    var name = try expectName()
    while skip(symbol: ".") { name += "." + (try expectName()) }
    return name
  }

  /// Parses a test after `is`.
  private mutating func test() throws(JinjaError) -> JinjaPostfix.Kind {
    let negates = skip(name: "not")
    let name = try dottedName()
    var arguments = JinjaCallArguments()
    switch token.kind {
    case .symbol("("): arguments = try self.arguments()
    case .name("else"), .name("or"), .name("and"): break
    case .name("is"): throw error(.syntax("tests cannot be chained with 'is'"))
    case .name, .string, .integer, .float, .symbol("["), .symbol("{"):
      let base = try primary()
      var steps: [JinjaPostfix.Step] = []
      while let step = try postfix() { steps.append(step) }
      arguments.positional = [steps.isEmpty ? base : JinjaPostfix(base: base, steps: steps)]
    default: break
    }
    return .test(
      JinjaTestCall(
        name: name, test: JinjaTests.table[name], arguments: arguments, negates: negates))
  }

  /// Parses call arguments from `(` to `)`.
  private mutating func arguments() throws(JinjaError) -> JinjaCallArguments {
    try expect(.symbol("("))
    var arguments = JinjaCallArguments()
    var isFirst = true
    while !isSymbol(")") {
      if !isFirst {
        try expect(.symbol(","))
        if isSymbol(")") { break }
      }
      isFirst = false
      let isOrdered = arguments.unpackedNames == nil
      if isSymbol("*") {
        guard isOrdered, arguments.unpacked == nil else { throw unexpected("')'") }
        advance()
        arguments.unpacked = try expression()
      } else if isSymbol("**") {
        guard isOrdered else { throw unexpected("')'") }
        advance()
        arguments.unpackedNames = try expression()
      } else if case .name(let name) = token.kind, following.kind == .symbol("=") {
        guard isOrdered else { throw unexpected("')'") }
        advance()
        advance()
        arguments.named.append(JinjaCallArguments.Named(name: name, value: try expression()))
      } else {
        guard isOrdered, arguments.unpacked == nil, arguments.named.isEmpty else {
          throw unexpected("an argument with a name")
        }
        arguments.positional.append(try expression())
      }
    }
    try expect(.symbol(")"))
    return arguments
  }

  private mutating func primary() throws(JinjaError) -> any JinjaExpression {
    let line = line
    switch token.kind {
    case .name(let name):
      advance()
      if let constant = Self.constants[name] { return JinjaConstant(value: constant) }
      return JinjaName(number: use(name), name: name)
    case .string(let first):
      var text = first
      advance()
      while case .string(let next) = token.kind {
        text.scalars += next.scalars
        advance()
      }
      note(word: text.string)
      return JinjaConstant(value: .string(text))
    case .integer(let value):
      advance()
      return JinjaConstant(value: .int(value))
    case .float(let value):
      advance()
      return JinjaConstant(value: .float(value))
    case .symbol("("):
      advance()
      let value = try tuple(inBrackets: true)
      try expect(.symbol(")"))
      return value
    case .symbol("["):
      advance()
      var elements: [any JinjaExpression] = []
      while !isSymbol("]") {
        if !elements.isEmpty { try expect(.symbol(",")) }
        if isSymbol("]") { break }
        elements.append(try expression())
      }
      advance()
      return JinjaSequenceExpression(elements: elements, kind: .list)
    case .symbol("{"):
      advance()
      var members: [JinjaDictionaryExpression.Member] = []
      while !isSymbol("}") {
        if !members.isEmpty { try expect(.symbol(",")) }
        if isSymbol("}") { break }
        let key = try expression()
        try expect(.symbol(":"))
        members.append(JinjaDictionaryExpression.Member(key: key, value: try expression()))
      }
      advance()
      return JinjaDictionaryExpression(members: members, line: line)
    default: throw unexpected("an expression")
    }
  }
}
