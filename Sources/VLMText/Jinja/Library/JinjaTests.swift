/// The tests of `is`, by name.
enum JinjaTests {
  typealias Test =
    (JinjaInterpreter, JinjaObject, JinjaArguments) throws(JinjaError) -> Bool

  nonisolated(unsafe) static let table: [String: Test] = relations.merging(kinds) { first, _ in
    first
  }

  private static func kind(
    _ name: String, _ holds: @escaping @Sendable (JinjaObject) -> Bool
  ) -> Test {
    { (run: JinjaInterpreter, value: JinjaObject, arguments: JinjaArguments) throws(JinjaError) in
      _ = try arguments.placed(name, 0...0, run)
      return holds(value)
    }
  }

  private nonisolated(unsafe) static let kinds: [String: Test] = [
    "defined": kind("defined") { !$0.isUndefined },
    "undefined": kind("undefined") { $0.isUndefined },
    "none": kind("none") { if case .null = $0 { true } else { false } },
    "boolean": kind("boolean") { if case .bool = $0 { true } else { false } },
    "true": kind("true") { if case .bool(true) = $0 { true } else { false } },
    "false": kind("false") { if case .bool(false) = $0 { true } else { false } },
    "integer": kind("integer") { if case .int = $0 { true } else { false } },
    "float": kind("float") { if case .float = $0 { true } else { false } },
    "number": kind("number") { $0.number != nil },
    "string": kind("string") { if case .string = $0 { true } else { false } },
    "escaped": kind("escaped") { if case .string(let text) = $0 { text.isMarkup } else { false } },
    "mapping": kind("mapping") { if case .dictionary = $0 { true } else { false } },
    "sequence": kind("sequence") {
      switch $0 {
      case .string, .dictionary: true
      case .sequence(let sequence): sequence.kind.hasPositions
      default: false
      }
    },
    "iterable": kind("iterable") {
      switch $0 {
      case .string, .dictionary, .sequence, .iterator, .undefined, .loop: true
      default: false
      }
    },
    "callable": kind("callable") {
      switch $0 {
      case .macro, .global, .method, .loop, .undefined: true
      default: false
      }
    },
  ]

  private static func relation(_ relation: JinjaRelation, _ name: String) -> Test {
    { (run: JinjaInterpreter, value: JinjaObject, arguments: JinjaArguments) throws(JinjaError) in
      let other = try arguments.placed(name, 1...1, run)[0] ?? .null
      return try run.holds(relation, value, other)
    }
  }

  private nonisolated(unsafe) static let relations: [String: Test] = {
    let names: [(JinjaRelation, [String])] = [
      (.equal, ["==", "eq", "equalto"]), (.notEqual, ["!=", "ne"]),
      (.less, ["<", "lt", "lessthan"]), (.lessOrEqual, ["<=", "le"]),
      (.greater, [">", "gt", "greaterthan"]), (.greaterOrEqual, [">=", "ge"]), (.isIn, ["in"]),
    ]
    var table: [String: Test] = [
      "odd": odd, "even": even, "divisibleby": divisible, "sameas": same, "lower": lower,
      "upper": upper, "filter": isFilter, "test": isTest,
    ]
    for (relation, names) in names {
      for name in names { table[name] = Self.relation(relation, name) }
    }
    return table
  }()

  private static func remainder(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ divisor: JinjaObject
  ) throws(JinjaError) -> JinjaObject {
    try run.apply(.remainder, value, divisor)
  }

  private static func odd(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> Bool {
    _ = try arguments.placed("odd", 0...0, run)
    return try run.equal(try remainder(run, value, .int(2)), .int(1))
  }

  private static func even(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> Bool {
    _ = try arguments.placed("even", 0...0, run)
    return try run.equal(try remainder(run, value, .int(2)), .int(0))
  }

  private static func divisible(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> Bool {
    let divisor = try arguments.bound("divisibleby", ["num"], required: 1, run)[0] ?? .null
    return try run.equal(try remainder(run, value, divisor), .int(0))
  }

  private static func same(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> Bool {
    let other = try arguments.bound("sameas", ["other"], required: 1, run)[0] ?? .null
    return try run.same(value, other)
  }

  private static func lower(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> Bool {
    _ = try arguments.placed("lower", 0...0, run)
    let text = try run.text(of: value)
    try run.step(text.count / 4)
    return JinjaMethods.isCased(text, JinjaScalar.isLower)
  }

  private static func upper(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> Bool {
    _ = try arguments.placed("upper", 0...0, run)
    let text = try run.text(of: value)
    try run.step(text.count / 4)
    return JinjaMethods.isCased(text, JinjaScalar.isUpper)
  }

  private static func isFilter(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> Bool {
    JinjaFilters.table[try run.text(of: value).string] != nil
  }

  private static func isTest(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> Bool {
    table[try run.text(of: value).string] != nil
  }
}
