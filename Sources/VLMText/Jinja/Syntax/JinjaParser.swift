/// Numbers the variable names of a template.
struct JinjaSymbols: Sendable {
  private(set) var names: [String] = []
  private var numbers: [String: Int] = [:]

  mutating func number(of name: String) -> Int {
    if let number = numbers[name] { return number }
    numbers[name] = names.count
    names.append(name)
    return names.count - 1
  }

  func number(ifKnown name: String) -> Int? { numbers[name] }
}

/// Parses tokens to statements.
struct JinjaParser {
  private let tokens: [JinjaToken]
  private var position = 0
  private let maximumDepth: Int
  var depth = 0
  /// Number of enclosing loops within the current macro.
  private var loops = 0

  var symbols = JinjaSymbols()
  private(set) var freeNames: Set<String> = []
  private(set) var words: Set<String> = []
  /// Names assigned in the enclosing blocks.
  private var scopes: [Set<String>] = [[]]
  /// The names in `macroNames` that the current macro uses.
  private var special: Set<String> = []

  /// Implicit names of a macro call.
  private static let macroNames: Set<String> = ["caller", "varargs", "kwargs"]

  init(_ tokens: [JinjaToken], maximumDepth: Int) {
    self.tokens = tokens
    self.maximumDepth = maximumDepth
  }

  mutating func parse() throws(JinjaError) -> [any JinjaStatement] {
    let body = try statements(until: [])
    return body
  }

  // MARK: Tokens

  var token: JinjaToken { tokens[position] }
  var line: Int { token.line }
  var following: JinjaToken { tokens[min(position + 1, tokens.count - 1)] }

  mutating func advance() { position = min(position + 1, tokens.count - 1) }

  func isName(_ name: String) -> Bool { token.kind == .name(name) }
  func isSymbol(_ symbol: String) -> Bool { token.kind == .symbol(symbol) }

  mutating func skip(name: String) -> Bool {
    guard isName(name) else { return false }
    advance()
    return true
  }

  mutating func skip(symbol: String) -> Bool {
    guard isSymbol(symbol) else { return false }
    advance()
    return true
  }

  mutating func expect(_ kind: JinjaToken.Kind) throws(JinjaError) {
    guard token.kind == kind else {
      throw unexpected(JinjaToken(line: line, kind: kind).shown)
    }
    advance()
  }

  mutating func expectName() throws(JinjaError) -> String {
    guard case .name(let name) = token.kind else { throw unexpected("a name") }
    advance()
    return name
  }

  func unexpected(_ expected: String) -> JinjaError {
    error(.unexpected(found: token.shown, expected: expected))
  }

  func error(_ problem: JinjaError.Problem) -> JinjaError { JinjaError(line: line, problem) }

  /// Enters a nesting level; the caller restores `depth`.
  mutating func nest() throws(JinjaError) {
    depth += 1
    if depth > maximumDepth {
      throw error(.limit(.nesting, found: depth, expected: maximumDepth))
    }
  }

  // MARK: Names

  mutating func note(word: String) { words.insert(word) }

  /// Registers a name that is read.
  mutating func use(_ name: String) -> Int {
    if Self.macroNames.contains(name) { special.insert(name) }
    if !scopes.contains(where: { $0.contains(name) }) { freeNames.insert(name) }
    return symbols.number(of: name)
  }

  /// Registers a name that is assigned.
  mutating func bind(_ name: String) -> Int {
    scopes[scopes.count - 1].insert(name)
    return symbols.number(of: name)
  }

  // MARK: Statements

  /// Parses statements up to a tag that begins with one of `ends`, whose name is the next token;
  /// without `ends`, up to the end of the template.
  private mutating func statements(until ends: [String]) throws(JinjaError)
    -> [any JinjaStatement]
  {
    var body: [any JinjaStatement] = []
    while true {
      switch token.kind {
      case .data(let text):
        body.append(JinjaTextStatement(text: text))
        advance()
      case .variableBegin:
        advance()
        let line = line
        body.append(JinjaPrintStatement(value: try tuple(), line: line))
        try expect(.variableEnd)
      case .blockBegin:
        advance()
        if case .name(let name) = token.kind, ends.contains(name) { return body }
        body.append(try statement())
        try expect(.blockEnd)
      default:
        guard ends.isEmpty, token.kind == .end else {
          throw unexpected(ends.map { "'\($0)'" }.joined(separator: " or "))
        }
        return body
      }
    }
  }

  /// Parses the body of a block after its opening tag. Names assigned in it are local.
  ///
  /// - Parameter names: names defined from the start.
  private mutating func block(
    until ends: [String], names: Set<String> = [], ownNames: Bool = true
  ) throws(JinjaError) -> [any JinjaStatement] {
    _ = skip(symbol: ":")
    try expect(.blockEnd)
    try nest()
    if ownNames { scopes.append(names) }
    let body = try statements(until: ends)
    if ownNames { scopes.removeLast() }
    depth -= 1
    return body
  }

  private mutating func statement() throws(JinjaError) -> any JinjaStatement {
    let line = line
    guard case .name(let tag) = token.kind else { throw unexpected("the name of a tag") }
    advance()
    switch tag {
    case "if": return try ifStatement()
    case "for": return try forStatement(line)
    case "set": return try setStatement(line)
    case "macro": return try macroStatement()
    case "call": return try callStatement(line)
    case "filter": return try filterStatement(line)
    case "with": return try withStatement(line)
    case "generation":
      let outer = loops
      loops = 0
      let body = try block(until: ["endgeneration"])
      loops = outer
      advance()
      return JinjaScopeStatement(body: body)
    case "break", "continue":
      guard loops > 0 else {
        throw JinjaError(line: line, .syntax("'\(tag)' outside of a loop"))
      }
      return JinjaJumpStatement(flow: tag == "break" ? .broken : .continued)
    case "include", "import", "from", "extends", "block", "autoescape", "do", "trans",
      "debug", "print":
      throw JinjaError(line: line, .unsupported("the tag '\(tag)'"))
    default:
      throw JinjaError(line: line, .unexpected(found: "the tag '\(tag)'", expected: "one of Jinja"))
    }
  }

  private mutating func ifStatement() throws(JinjaError) -> any JinjaStatement {
    var branches: [JinjaIfStatement.Branch] = []
    while true {
      let condition = try tuple(withCondition: false)
      let body = try block(until: ["elif", "else", "endif"], ownNames: false)
      branches.append(JinjaIfStatement.Branch(condition: condition, body: body))
      if skip(name: "elif") { continue }
      var otherwise: [any JinjaStatement] = []
      if skip(name: "else") { otherwise = try block(until: ["endif"], ownNames: false) }
      advance()
      return JinjaIfStatement(branches: branches, otherwise: otherwise)
    }
  }

  private mutating func forStatement(_ line: Int) throws(JinjaError) -> any JinjaStatement {
    scopes.append([])
    let target = try target()
    let names = scopes.removeLast()
    try expect(.name("in"))
    let sequence = try tuple(withCondition: false, end: "recursive")
    var filter: (any JinjaExpression)?
    scopes.append(names)
    if skip(name: "if") { filter = try expression() }
    scopes.removeLast()
    let isRecursive = skip(name: "recursive")
    loops += 1
    let body = try block(until: ["endfor", "else"], names: names.union(["loop"]))
    loops -= 1
    var otherwise: [any JinjaStatement] = []
    if skip(name: "else") { otherwise = try block(until: ["endfor"]) }
    advance()
    return JinjaForStatement(
      target: target, sequence: sequence, filter: filter, isRecursive: isRecursive, body: body,
      otherwise: otherwise, loopName: symbols.number(of: "loop"), line: line)
  }

  private mutating func setStatement(_ line: Int) throws(JinjaError) -> any JinjaStatement {
    // The right side is evaluated first, and may use the same name.
    scopes.append([])
    let target = try target(withAttribute: true)
    let names = scopes.removeLast()
    let statement: any JinjaStatement
    if skip(symbol: "=") {
      statement = JinjaSetStatement(target: target, value: try tuple(), line: line)
    } else {
      var filters: [JinjaFilterCall] = []
      while skip(symbol: "|") { filters.append(try filterCall()) }
      let body = try block(until: ["endset"])
      advance()
      statement = JinjaFilteredStatement(filters: filters, body: body, target: target, line: line)
    }
    scopes[scopes.count - 1].formUnion(names)
    return statement
  }

  private mutating func withStatement(_ line: Int) throws(JinjaError) -> any JinjaStatement {
    var bindings: [JinjaWithStatement.Binding] = []
    var names: Set<String> = []
    while token.kind != .blockEnd {
      if !bindings.isEmpty { try expect(.symbol(",")) }
      scopes.append([])
      let target = try target()
      names.formUnion(scopes.removeLast())
      try expect(.symbol("="))
      bindings.append(JinjaWithStatement.Binding(target: target, value: try expression()))
    }
    let body = try block(until: ["endwith"], names: names)
    advance()
    return JinjaWithStatement(bindings: bindings, body: body, line: line)
  }

  private mutating func filterStatement(_ line: Int) throws(JinjaError) -> any JinjaStatement {
    var filters = [try filterCall()]
    while skip(symbol: "|") { filters.append(try filterCall()) }
    let body = try block(until: ["endfilter"])
    advance()
    return JinjaFilteredStatement(filters: filters, body: body, target: nil, line: line)
  }

  private mutating func macroStatement() throws(JinjaError) -> any JinjaStatement {
    let name = try expectName()
    let number = bind(name)
    try expect(.symbol("("))
    let macro = try macro(name: name, parameters: try parameters(), end: "endmacro")
    return JinjaMacroStatement(number: number, macro: macro)
  }

  private mutating func callStatement(_ line: Int) throws(JinjaError) -> any JinjaStatement {
    var parameters: [JinjaMacro.Parameter] = []
    if skip(symbol: "(") { parameters = try self.parameters() }
    guard let call = try expression() as? JinjaPostfix, case .call = call.steps.last?.kind else {
      throw JinjaError(line: line, .syntax("the tag 'call' needs a call"))
    }
    let caller = try macro(name: "caller", parameters: parameters, end: "endcall")
    return JinjaCallStatement(call: call, caller: caller, line: line)
  }

  /// Parses the rest after the opening bracket.
  private mutating func parameters() throws(JinjaError) -> [JinjaMacro.Parameter] {
    var parameters: [JinjaMacro.Parameter] = []
    while !isSymbol(")") {
      if !parameters.isEmpty { try expect(.symbol(",")) }
      let name = try expectName()
      var initial: (any JinjaExpression)?
      if skip(symbol: "=") {
        initial = try expression()
      } else if parameters.last?.initial != nil {
        throw error(.syntax("a parameter without default follows one with a default"))
      }
      parameters.append(
        JinjaMacro.Parameter(name: name, number: symbols.number(of: name), initial: initial))
    }
    advance()
    return parameters
  }

  private mutating func macro(
    name: String, parameters: [JinjaMacro.Parameter], end: String
  ) throws(JinjaError) -> JinjaMacro {
    let (outerLoops, outerNames) = (loops, special)
    loops = 0
    special = []
    let body = try block(until: [end], names: Self.macroNames.union(parameters.map(\.name)))
    advance()
    let used = special.subtracting(parameters.map(\.name))
    let numbers = Self.macroNames.sorted().map { symbols.number(of: $0) }
    loops = outerLoops
    special = outerNames.union(special)
    return JinjaMacro(
      name: name, parameters: parameters, body: body,
      caller: used.contains("caller") ? numbers[0] : nil,
      keywords: used.contains("kwargs") ? numbers[1] : nil,
      rest: used.contains("varargs") ? numbers[2] : nil)
  }

  // MARK: Targets

  /// Parses an assignment target: a name, a tuple of names, or an attribute of a namespace.
  private mutating func target(withAttribute: Bool = false) throws(JinjaError) -> JinjaTarget {
    var targets: [JinjaTarget] = []
    var isTuple = false
    while true {
      targets.append(try simpleTarget(withAttribute))
      guard skip(symbol: ",") else { break }
      isTuple = true
      if isSymbol("=") || isName("in") || isSymbol(")") { break }
    }
    return isTuple ? .tuple(targets) : targets[0]
  }

  private mutating func simpleTarget(_ withAttribute: Bool) throws(JinjaError) -> JinjaTarget {
    if skip(symbol: "(") {
      try nest()
      let inner = try target(withAttribute: withAttribute)
      depth -= 1
      try expect(.symbol(")"))
      return inner
    }
    guard case .name(let name) = token.kind else { throw unexpected("a name to assign to") }
    guard JinjaParser.constants[name] == nil else {
      throw error(.syntax("can't assign to '\(name)'"))
    }
    advance()
    if withAttribute, isSymbol(".") {
      advance()
      return .attribute(use(name), name: name, attribute: try expectName())
    }
    return .name(bind(name))
  }

  static let constants: [String: JinjaLiteral] = [
    "true": .bool(true), "True": .bool(true), "false": .bool(false), "False": .bool(false),
    "none": .null, "None": .null,
  ]
}
