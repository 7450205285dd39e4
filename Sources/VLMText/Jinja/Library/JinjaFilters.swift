/// The filters, by name.
enum JinjaFilters {
  // Swift 6.0 does not infer @Sendable for functions in literals, so the tables are constants
  // marked as safe.
  typealias Filter =
    (JinjaInterpreter, JinjaObject, JinjaArguments) throws(JinjaError) -> JinjaObject

  nonisolated(unsafe) static let table: [String: Filter] =
    texts.merging(values) { first, _ in first }.merging(selecting) { first, _ in first }
    .merging(ordering) { first, _ in first }

  private nonisolated(unsafe) static let values: [String: Filter] = [
    "abs": magnitude, "attr": attribute, "count": length, "length": length, "d": fallback,
    "default": fallback, "first": first, "last": last, "float": float, "int": int, "items": items,
    "list": list, "reverse": reverse, "round": round, "string": string, "sum": sum,
    "tojson": toJSON,
  ]

  private static func magnitude(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("abs", 0...0, run)
    try run.refuse(undefined: value)
    if case .float(let number) = value { return .float(number.magnitude) }
    guard let integer = value.integer else {
      throw run.error(.value("bad operand type for abs(): '\(value.typeName)'"))
    }
    return integer < 0 ? try run.signed(.int(integer), negates: true) : .int(integer)
  }

  private static func attribute(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let name = try arguments.bound("attr", ["name"], required: 1, run).requiredText(0).string
    try run.refuse(undefined: value)
    return try run.ownAttribute(name, of: value)
      ?? .undefined(JinjaUndefined(.attribute(owner: value.typeName + " object", name: name)))
  }

  private static func length(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("length", 0...0, run)
    if case .loop(let loop) = value, let length = try loop.attribute("length", run) {
      return length
    }
    guard let length = run.length(ifKnown: value) else {
      throw run.error(.value("object of type '\(value.typeName)' has no len()"))
    }
    return .int(length)
  }

  private static func fallback(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound("default", ["default_value", "boolean"], run)
    guard value.isUndefined || given.isTrue(1) && !value.isTrue else { return value }
    return given[0] ?? .text("")
  }

  private static func first(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("first", 0...0, run)
    return try run.iterator(over: value).next(run)
      ?? run.undefined("No first item, sequence was empty.")
  }

  private static func last(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("last", 0...0, run)
    if case .string(let text) = value, let scalar = text.scalars.last {
      return try run.string([scalar], isMarkup: text.isMarkup)
    }
    if case .iterator = value {
      throw run.error(.value("'\(value.typeName)' object is not reversible"))
    }
    return try run.elements(of: value).last
      ?? run.undefined("No last item, sequence was empty.")
  }

  private static func float(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound("float", ["default"], run)
    try run.refuse(undefined: value)
    let initial = given[0] ?? .float(0)
    if case .string(let text) = value {
      try run.charge(text.count, each: 16)
      try run.step(2 * text.count)
      return JinjaNumber.float(text.string).map { .float($0) } ?? initial
    }
    return value.number.map { .float($0) } ?? initial
  }

  private static func int(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound("int", ["default", "base"], run)
    try run.refuse(undefined: value)
    let initial = given[0] ?? .int(0)
    if let integer = value.integer { return .int(integer) }
    let number: Double?
    if case .string(let text) = value {
      try run.charge(text.count, each: 16)
      try run.step(3 * text.count)
      if let integer = JinjaNumber.integer(text.string, radix: try given.integer(1, 10)) {
        return .int(integer)
      }
      number = JinjaNumber.float(text.string)
    } else {
      number = value.number
      if number?.isInfinite == true {
        throw run.error(.value("cannot convert float infinity to integer"))
      }
    }
    guard let number, number.isFinite else { return initial }
    guard let integer = Int(exactly: number.rounded(.towardZero)) else {
      throw run.error(.unsupported("an integer beyond 64 bits"))
    }
    return .int(integer)
  }

  private static func items(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("items", 0...0, run)
    if value.isUndefined { return .iterator(JinjaIterator(depth: 1)) }
    guard case .dictionary(let dictionary) = value else {
      throw run.error(.value("Can only get item pairs from a mapping."))
    }
    let pairs = try JinjaMethods.items(of: dictionary, run)
    return try run.iterator(JinjaElementIterator(pairs, depth: dictionary.depth + 1))
  }

  private static func list(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("list", 0...0, run)
    return try run.list(try run.elements(of: value))
  }

  private static func reverse(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("reverse", 0...0, run)
    if case .string(let text) = value {
      return try run.string(text.scalars.reversed(), isMarkup: text.isMarkup)
    }
    let elements = Array(try run.elements(of: value).reversed())
    try run.charge(elements.count, each: JinjaInterpreter.elementBytes)
    if case .iterator = value { return try run.list(elements) }
    return try run.iterator(JinjaElementIterator(elements, depth: max(1, value.depth)))
  }

  private static func round(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound("round", ["precision", "method"], run)
    let precision = try given.integer(0, 0)
    let method = try given.text(1)?.string ?? "common"
    try run.refuse(undefined: value)
    guard let number = value.number else {
      throw run.error(.value("type \(value.typeName) doesn't define __round__ method"))
    }
    try run.step(JinjaNumber.steps)
    switch method {
    case "common":
      guard let integer = value.integer else {
        return .float(JinjaNumber.rounded(number, precision))
      }
      guard precision < 0 else { return .int(integer) }
      let rounded = JinjaNumber.rounded(number, precision)
      guard let result = Int(exactly: rounded) else {
        throw run.error(.unsupported("an integer beyond 64 bits"))
      }
      return .int(result)
    case "ceil", "floor":
      let scale = JinjaMath.power(10, Double(precision))
      let scaled = (number * scale).rounded(method == "ceil" ? .up : .down)
      return .float(scaled / scale)
    default: throw run.error(.value("method must be common, ceil or floor"))
    }
  }

  private static func string(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("string", 0...0, run)
    return .string(try run.text(of: value))
  }

  private static func sum(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound("sum", ["attribute", "start"], run)
    let path = try JinjaPath(given.value(0), run)
    var total = given[1] ?? .int(0)
    if case .string = total {
      throw run.error(.value("sum() can't sum strings [use ''.join(seq) instead]"))
    }
    for element in try run.elements(of: value) {
      total = try run.apply(.add, total, try path.value(of: element, run))
    }
    return total
  }

  private static func toJSON(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound(
      "tojson", ["ensure_ascii", "indent", "separators", "sort_keys"], run)
    var indent: [UInt32]?
    if let width = given.value(1) {
      if case .string(let text) = width {
        indent = text.scalars
      } else {
        let count = max(0, try given.integer(1, 0))
        try run.charge(count, each: 4)
        indent = Array(repeating: 0x20, count: count)
      }
    }
    var separators: (JinjaString, JinjaString)?
    if let pair = given.value(2) {
      let parts = try run.elements(of: pair, atMost: 3)
      guard parts.count == 2, case .string(let item) = parts[0], case .string(let key) = parts[1]
      else { throw run.error(.value("separators must be two strings")) }
      separators = (item, key)
    }
    var writer = JinjaJSONWriter(
      run, indent: indent, separators: separators, sortsKeys: given.isTrue(3),
      escapesUnicode: given.isTrue(0))
    try writer.write(value)
    return try run.string(writer.scalars)
  }
}

/// The `attribute` argument of filters: a path of names and indices separated by dots.
struct JinjaPath {
  private var parts: [JinjaObject] = []

  /// - Parameter attribute: the path; nil for the value itself.
  init(_ attribute: JinjaObject?, _ run: JinjaInterpreter) throws(JinjaError) {
    guard let attribute else { return }
    guard case .string(let text) = attribute else {
      parts = [attribute]
      return
    }
    try run.charge(text.count, each: 16)
    for part in text.string.split(separator: ".", omittingEmptySubsequences: false) {
      let isNumber = !part.isEmpty && part.allSatisfy { $0.isASCII && $0.isNumber }
      if isNumber, let number = Int(part) {
        parts.append(.int(number))
      } else {
        parts.append(.text(String(part)))
      }
    }
  }

  /// - Parameter initial: the default for a missing component.
  func value(
    of object: JinjaObject, _ run: JinjaInterpreter, default initial: JinjaObject? = nil
  ) throws(JinjaError) -> JinjaObject {
    try run.step()
    var value = object
    for part in parts {
      value = try run.item(part, of: value)
      if let initial, value.isUndefined { value = initial }
    }
    return value
  }
}
