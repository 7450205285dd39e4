/// The variables of a block.
final class JinjaScope {
  let parent: JinjaScope?
  private var names: [Int] = []
  private var values: [JinjaObject] = []
  /// Index by name, used if there are more than a few.
  private var index: [Int: Int] = [:]

  private static let scannedCount = 16

  init(parent: JinjaScope?) { self.parent = parent }

  private func position(of name: Int) -> Int? {
    names.count > Self.scannedCount ? index[name] : names.firstIndex(of: name)
  }

  func set(_ name: Int, _ value: JinjaObject) {
    if let position = position(of: name) {
      values[position] = value
      return
    }
    names.append(name)
    values.append(value)
    if names.count == Self.scannedCount + 1 {
      for (position, name) in names.enumerated() { index[name] = position }
    } else if names.count > Self.scannedCount {
      index[name] = names.count - 1
    }
  }

  subscript(name: Int) -> JinjaObject? { position(of: name).map { values[$0] } }

  func removeAll() {
    names.removeAll(keepingCapacity: true)
    values.removeAll(keepingCapacity: true)
    if !index.isEmpty { index.removeAll() }
  }
}

/// The state of a template's execution: its variables, its output and its remaining budget.
final class JinjaInterpreter {
  /// Assumed memory of a list element, in bytes.
  static let elementBytes = 48
  /// Characters processed per step.
  private static let bytesPerStep = 32

  private let limits: JinjaLimits
  let now: JinjaTime?
  /// The line of the current statement or operation.
  var line = 1
  var scope = JinjaScope(parent: nil)

  private let symbols: JinjaSymbols
  /// Variables of the caller and globals, indexed by name number.
  private var variables: [JinjaObject?]
  private var namespaces: [JinjaNamespace] = []
  private var macros: [(macro: JinjaMacro, scope: JinjaScope)] = []

  private var output: [UInt32] = []
  private var depth = 0
  private(set) var steps = 0
  /// Allowed steps: the limit, plus an allowance per character of the caller's input.
  private var maximumSteps: Int
  private var memory = 0

  init(symbols: JinjaSymbols, limits: JinjaLimits, now: JinjaTime?) {
    self.symbols = symbols
    self.limits = limits
    maximumSteps = limits.maximumSteps
    self.now = now
    variables = Array(repeating: nil, count: symbols.names.count)
    for global in JinjaGlobal.allCases {
      if let number = symbols.number(ifKnown: global.rawValue) {
        variables[number] = .global(global)
      }
    }
  }

  func define(_ given: [(name: String, value: JinjaValue)]) throws(JinjaError) {
    for (name, value) in given {
      guard let number = symbols.number(ifKnown: name) else { continue }
      variables[number] = try object(value, level: 0)
    }
  }

  private func object(_ value: JinjaValue, level: Int) throws(JinjaError) -> JinjaObject {
    try check(depth: level)
    switch value {
    case .none: return .null
    case .bool(let value): return .bool(value)
    case .int(let value): return .int(value)
    case .double(let value): return .float(value)
    case .text(let text, let isUserText):
      let string = JinjaString(text, isUserText: isUserText)
      maximumSteps += JinjaLimits.stepsPerCharacter * string.count
      return .string(string)
    case .list(let values):
      var elements: [JinjaObject] = []
      for value in values { elements.append(try object(value, level: level + 1)) }
      return try sequence(elements, .list)
    case .dictionary(let members):
      var builder = JinjaDictionaryBuilder()
      for member in members {
        let value = try object(member.value, level: level + 1)
        try builder.set(.text(member.key), value, self)
      }
      return try builder.object(self)
    }
  }

  func run(_ body: [any JinjaStatement]) throws(JinjaError) -> [UInt32] {
    _ = try execute(body)
    return output
  }

  // MARK: Limits

  func error(_ problem: JinjaError.Problem) -> JinjaError { JinjaError(line: line, problem) }

  /// Counts steps. A step is the work of a small expression, a few tenths of a microsecond.
  func step(_ count: Int = 1) throws(JinjaError) {
    let (sum, overflows) = steps.addingReportingOverflow(count)
    guard !overflows, sum <= maximumSteps else {
      throw error(.limit(.steps, found: overflows ? .max : sum, expected: maximumSteps))
    }
    steps = sum
  }

  /// Counts memory before it is allocated, and the work of filling it.
  func charge(_ bytes: Int) throws(JinjaError) {
    try step(max(0, bytes) / Self.bytesPerStep)
    let (sum, overflows) = memory.addingReportingOverflow(bytes)
    guard !overflows, sum <= limits.maximumMemory else {
      throw error(.limit(.memory, found: overflows ? .max : sum, expected: limits.maximumMemory))
    }
    memory = sum
  }

  /// Counts memory for `count` items of `bytes` each before it is allocated, and the work on each.
  func charge(_ count: Int, each bytes: Int) throws(JinjaError) {
    let (product, overflows) = count.multipliedReportingOverflow(by: bytes)
    try charge(overflows ? .max : product)
    if bytes < 4 { try step(max(0, count) / 8) }
  }

  func check(depth: Int) throws(JinjaError) {
    guard depth <= JinjaLimits.maximumValueDepth else {
      throw error(.limit(.valueDepth, found: depth, expected: JinjaLimits.maximumValueDepth))
    }
  }

  /// Enters a nesting level, until `leave`.
  func enter() throws(JinjaError) {
    depth += 1
    if depth > limits.maximumDepth {
      throw error(.limit(.depth, found: depth, expected: limits.maximumDepth))
    }
    try step()
  }

  func leave() { depth -= 1 }

  // MARK: Making values

  func string(_ scalars: [UInt32], isMarkup: Bool = false) throws(JinjaError) -> JinjaObject {
    try charge(scalars.count, each: 4)
    return .string(JinjaString(scalars: scalars, isMarkup: isMarkup))
  }

  func sequence(
    _ elements: [JinjaObject], _ kind: JinjaSequence.Kind
  ) throws(JinjaError) -> JinjaObject {
    try charge(elements.count, each: Self.elementBytes)
    var depth = 0
    for element in elements { depth = max(depth, element.depth) }
    try check(depth: depth + 1)
    return .sequence(JinjaSequence(elements, kind: kind, depth: depth + 1))
  }

  func list(_ elements: [JinjaObject]) throws(JinjaError) -> JinjaObject {
    try sequence(elements, .list)
  }

  func iterator(_ iterator: JinjaIterator) throws(JinjaError) -> JinjaObject {
    try check(depth: iterator.depth)
    return .iterator(iterator)
  }

  func undefined(_ hint: String) -> JinjaObject { .undefined(JinjaUndefined(.hint(hint))) }

  // MARK: Running

  func value(_ expression: any JinjaExpression) throws(JinjaError) -> JinjaObject {
    try enter()
    defer { leave() }
    return try expression.evaluate(self)
  }

  func execute(_ body: [any JinjaStatement]) throws(JinjaError) -> JinjaFlow {
    try enter()
    defer { leave() }
    for statement in body {
      try step()
      let flow = try statement.run(self)
      if flow != .done { return flow }
    }
    return .done
  }

  func write(_ text: JinjaString) throws(JinjaError) {
    let count = output.count + text.count
    guard count <= limits.maximumOutput else {
      throw error(.limit(.output, found: count, expected: limits.maximumOutput))
    }
    try charge(text.count, each: 4)
    output += text.scalars
  }

  /// Executes `body` in `scope` and returns its output.
  func captured(
    _ body: [any JinjaStatement], in scope: JinjaScope
  ) throws(JinjaError) -> (JinjaObject, JinjaFlow) {
    let (outer, written) = (self.scope, output)
    output = []
    self.scope = scope
    let flow = try execute(body)
    let text = output
    self.scope = outer
    output = written
    return (.string(JinjaString(scalars: text)), flow)
  }

  /// The output of a recursive loop call.
  func captured(
    recursively body: JinjaRecursion, in scope: JinjaScope
  ) throws(JinjaError) -> JinjaObject {
    let (outer, written) = (self.scope, output)
    output = []
    self.scope = scope
    try body.statement.loop(self, over: body.value, level: body.level)
    let text = output
    self.scope = outer
    output = written
    return .string(JinjaString(scalars: text))
  }

  // MARK: Names

  func lookup(_ name: Int) throws(JinjaError) -> JinjaObject? {
    var scope: JinjaScope? = self.scope
    var count = 0
    while let current = scope {
      if let value = current[name] { return value }
      scope = current.parent
      count += 1
      if count % 2 == 0 { try step() }
    }
    return variables[name]
  }

  func assign(_ value: JinjaObject, to target: JinjaTarget) throws(JinjaError) {
    switch target {
    case .name(let name): scope.set(name, value)
    case .attribute(let number, let name, let attribute):
      guard case .namespace(let namespace)? = try lookup(number) else {
        throw error(
          .value("cannot assign to '\(name).\(attribute)', for '\(name)' is no namespace"))
      }
      try namespaces[namespace].set(attribute, value, self)
    case .tuple(let targets):
      let elements = try elements(of: value, atMost: targets.count + 1)
      guard elements.count == targets.count else {
        let found = elements.count > targets.count ? "too many" : "not enough"
        throw error(.value("\(found) values to unpack (expected \(targets.count))"))
      }
      for (target, element) in zip(targets, elements) { try assign(element, to: target) }
    }
  }

  func namespace(_ members: [(name: String, value: JinjaObject)]) throws(JinjaError)
    -> JinjaObject
  {
    var namespace = JinjaNamespace()
    for (name, value) in members { try namespace.set(name, value, self) }
    try charge(64)
    namespaces.append(namespace)
    return .namespace(namespaces.count - 1)
  }

  func member(_ name: String, ofNamespace number: Int) -> JinjaObject? { namespaces[number][name] }

  // MARK: Macros

  /// A macro, or a call block's body, with its enclosing variables.
  func closure(_ macro: JinjaMacro) throws(JinjaError) -> JinjaObject {
    try charge(128)
    macros.append((macro, scope))
    return .macro(macros.count - 1)
  }

  func name(ofMacro number: Int) -> String { macros[number].macro.name }

  func call(macro number: Int, _ arguments: JinjaArguments) throws(JinjaError) -> JinjaObject {
    let (macro, closure) = macros[number]
    let scope = JinjaScope(parent: closure)
    let outer = self.scope
    self.scope = scope
    try bind(arguments, of: macro, in: scope)
    let (text, _) = try captured(macro.body, in: scope)
    self.scope = outer
    return text
  }

  private func bind(
    _ given: JinjaArguments, of macro: JinjaMacro, in scope: JinjaScope
  ) throws(JinjaError) {
    var arguments = given
    for (position, parameter) in macro.parameters.enumerated() {
      try step(1 + arguments.named.count / 8)
      if position < given.positional.count {
        scope.set(parameter.number, given.positional[position])
      } else if let value = arguments.take(parameter.name) {
        scope.set(parameter.number, value)
      } else if let initial = parameter.initial {
        scope.set(parameter.number, try value(initial))
      } else {
        scope.set(
          parameter.number, undefined("parameter '\(parameter.name)' was not provided"))
      }
    }
    if let caller = macro.caller {
      scope.set(caller, arguments.take("caller") ?? undefined("No caller defined"))
    }
    if let keywords = macro.keywords {
      var builder = JinjaDictionaryBuilder()
      for (name, value) in arguments.named { try builder.set(.text(name), value, self) }
      scope.set(keywords, try builder.object(self))
    } else if let (name, _) = arguments.named.first {
      throw error(.value("macro '\(macro.name)' takes no keyword argument '\(name)'"))
    }
    let rest = Array(given.positional.dropFirst(macro.parameters.count))
    if let name = macro.rest {
      scope.set(name, try sequence(rest, .tuple))
    } else if !rest.isEmpty {
      throw error(
        .value(
          "macro '\(macro.name)' takes not more than \(macro.parameters.count) argument(s)"))
    }
  }
}

/// The contents of namespaces, the only mutable values of a template.
struct JinjaNamespace {
  private var members: [String: JinjaObject] = [:]

  subscript(name: String) -> JinjaObject? { members[name] }

  mutating func set(
    _ name: String, _ value: JinjaObject, _ run: JinjaInterpreter
  ) throws(JinjaError) {
    guard !name.hasPrefix("_") else {
      throw run.error(
        .value("a namespace cannot store '\(name)', whose name begins with an underscore"))
    }
    if members.updateValue(value, forKey: name) == nil {
      try run.charge(2 * JinjaInterpreter.elementBytes)
    }
  }
}
